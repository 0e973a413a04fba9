//! B: no operation on one namespace sees or changes another.

use tenure_store::{
    After, Claimed, Counts, EndReason, Entry, Field, Filter, Imported, Namespace, Outcome, Purged,
    Record, Resolve, Result, Ticket, Updated,
};

use crate::props::{
    HOUR, LEASE, at, id, passive, payload, principal, record, record_of, timeout, version,
};
use crate::story::Story;
use crate::{Stage, Verdict};

/// One session of every status in one namespace, the same ids being tried in others.
struct Scene<'a> {
    stage: &'a Stage,
    held: Ticket,
    before: Vec<Entry>,
}

/// When the scene is looked at.
const NOW: i64 = 10;

impl<'a> Scene<'a> {
    /// Live 1 of alice, over 2, waiting 3, held 4, dead 5.
    async fn set(stage: &'a Stage) -> Result<Scene<'a>> {
        let ns = stage.portal();
        stage.put(ns, &record(5)).await?;
        stage
            .end(ns, id(5), None, EndReason::Logout, After::Queue, at(1))
            .await?;
        stage.bury(ns, at(1)).await?;
        stage.put(ns, &record_of(1, "alice")).await?;
        let idle_timeout = timeout(5);
        stage
            .put(
                ns,
                &Record {
                    idle_timeout,
                    ..record(2)
                },
            )
            .await?;
        stage.put(ns, &record(3)).await?;
        stage
            .end(ns, id(3), None, EndReason::Logout, After::Queue, at(1))
            .await?;
        stage.put(ns, &record(4)).await?;
        let hold = After::Hold(LEASE);
        let ended = stage
            .end(ns, id(4), None, EndReason::Logout, hold, at(1))
            .await?;
        Ok(Scene {
            stage,
            held: ended.expect("it was live").ticket(),
            before: stage.everything(ns, at(NOW)).await?,
        })
    }

    /// Others to be called: of another application, of another kind, and unknown.
    fn others(&self) -> Result<[Namespace; 3]> {
        let unknown = Namespace::sessions("unknown")?;
        Ok([
            self.stage.wiki().clone(),
            self.stage.visitors().clone(),
            unknown,
        ])
    }

    /// Those of them that were opened.
    fn others_opened(&self) -> [&Namespace; 2] {
        [self.stage.wiki(), self.stage.visitors()]
    }

    async fn is_unchanged(&self) -> Verdict {
        let after = self.stage.everything(self.stage.portal(), at(NOW)).await?;
        assert_eq!(after, self.before);
        Ok(())
    }
}

/// In two applications, and in both kinds of one.
pub async fn an_id_in_two_namespaces_is_two_sessions(stage: &Stage) -> Verdict {
    let all = [stage.portal(), stage.wiki(), stage.visitors()];
    for (number, ns) in (0..).zip(all) {
        let payload = payload(number);
        stage
            .put(
                ns,
                &Record {
                    payload,
                    ..record(1)
                },
            )
            .await?;
    }
    for (number, ns) in (0..).zip(all) {
        let loaded = stage.load(ns, id(1), at(1)).await?.expect("it is live");
        assert_eq!(loaded.payload, payload(number));
    }
    stage
        .end(
            stage.portal(),
            id(1),
            None,
            EndReason::Logout,
            After::Queue,
            at(1),
        )
        .await?;
    assert_eq!(stage.load(stage.portal(), id(1), at(2)).await?, None);
    assert!(stage.touch(stage.wiki(), id(1), at(2)).await?);
    assert!(stage.touch(stage.visitors(), id(1), at(2)).await?);
    Ok(())
}

pub async fn create_takes_no_id_in_another_namespace(stage: &Stage) -> Verdict {
    let scene = Scene::set(stage).await?;
    for ns in [stage.wiki(), stage.visitors()] {
        for number in 1..=5 {
            stage.put(ns, &record(number)).await?;
        }
    }
    scene.is_unchanged().await
}

pub async fn load_finds_nothing_of_another_namespace(stage: &Stage) -> Verdict {
    let scene = Scene::set(stage).await?;
    for ns in scene.others()? {
        assert_eq!(stage.load(&ns, id(1), at(NOW)).await?, None, "in {ns}");
    }
    scene.is_unchanged().await
}

pub async fn touch_reaches_nothing_in_another_namespace(stage: &Stage) -> Verdict {
    let scene = Scene::set(stage).await?;
    for ns in scene.others()? {
        assert!(!stage.touch(&ns, id(1), at(NOW)).await?, "in {ns}");
    }
    scene.is_unchanged().await
}

pub async fn update_reaches_nothing_in_another_namespace(stage: &Stage) -> Verdict {
    let scene = Scene::set(stage).await?;
    let mut change = passive(9);
    change.payload = Some(payload(9));
    change.principal = Field::Set(principal("mallory"));
    for ns in scene.others()? {
        let updated = stage
            .update(&ns, id(1), version(1), &change, at(NOW))
            .await?;
        assert_eq!(updated, Updated::Gone, "in {ns}");
    }
    scene.is_unchanged().await
}

pub async fn end_reaches_nothing_in_another_namespace(stage: &Stage) -> Verdict {
    let scene = Scene::set(stage).await?;
    for ns in scene.others()? {
        for after in [After::Hold(LEASE), After::Queue, After::Discard] {
            let ended = stage
                .end(&ns, id(1), None, EndReason::Logout, after, at(NOW))
                .await?;
            assert_eq!(ended, None, "in {ns}");
        }
    }
    scene.is_unchanged().await
}

pub async fn end_principal_reaches_nobody_in_another_namespace(stage: &Stage) -> Verdict {
    let scene = Scene::set(stage).await?;
    for ns in scene.others()? {
        for after in [After::Queue, After::Discard] {
            let ended = stage
                .end_principal(&ns, &principal("alice"), None, after, at(NOW))
                .await?;
            assert_eq!(ended, 0, "in {ns}");
        }
    }
    scene.is_unchanged().await
}

pub async fn reset_reaches_nothing_in_another_namespace(stage: &Stage) -> Verdict {
    let scene = Scene::set(stage).await?;
    stage.reset(stage.wiki(), at(NOW)).await?;
    stage.reset(stage.visitors(), at(NOW)).await?;
    scene.is_unchanged().await
}

pub async fn claim_finds_nothing_of_another_namespace(stage: &Stage) -> Verdict {
    let scene = Scene::set(stage).await?;
    let nothing = Claimed {
        ended: Vec::new(),
        more: false,
        hooks_expected: false,
        next_due: None,
    };
    for ns in scene.others_opened() {
        let claimed = stage.claim(ns, LEASE, 100, at(24 * HOUR)).await?;
        assert_eq!(claimed, nothing, "in {ns}");
    }
    scene.is_unchanged().await
}

pub async fn renew_reaches_nothing_in_another_namespace(stage: &Stage) -> Verdict {
    let scene = Scene::set(stage).await?;
    for ns in scene.others()? {
        let renewed = stage.renew(&ns, &[scene.held], 10 * LEASE, at(NOW)).await?;
        assert_eq!(renewed, 0, "in {ns}");
    }
    scene.is_unchanged().await
}

pub async fn settle_reaches_nothing_in_another_namespace(stage: &Stage) -> Verdict {
    let scene = Scene::set(stage).await?;
    for ns in scene.others()? {
        let good = stage
            .settle_one(&ns, scene.held, Outcome::Done, at(NOW))
            .await?;
        assert!(!good, "in {ns}");
    }
    scene.is_unchanged().await
}

pub async fn purge_removes_nothing_of_another_namespace(stage: &Stage) -> Verdict {
    let scene = Scene::set(stage).await?;
    let nothing = Purged {
        removed: 0,
        more: false,
        next_due: None,
    };
    for ns in scene.others_opened() {
        let purged = stage.purge(ns, 100, at(24 * HOUR)).await?;
        assert_eq!(purged, nothing, "in {ns}");
    }
    scene.is_unchanged().await
}

pub async fn inspect_shows_nothing_of_another_namespace(stage: &Stage) -> Verdict {
    let scene = Scene::set(stage).await?;
    for ns in scene.others()? {
        for number in 1..=5 {
            assert_eq!(
                stage.inspect(&ns, id(number), at(NOW)).await?,
                None,
                "in {ns}"
            );
        }
    }
    scene.is_unchanged().await
}

pub async fn list_shows_nothing_of_another_namespace(stage: &Stage) -> Verdict {
    let scene = Scene::set(stage).await?;
    let mut of_alice = Filter::all(100);
    of_alice.principal = Some(principal("alice"));
    for ns in scene.others()? {
        for filter in [&Filter::all(100), &of_alice] {
            assert_eq!(stage.scan(&ns, filter, at(NOW)).await?, [], "in {ns}");
        }
    }
    scene.is_unchanged().await
}

pub async fn count_counts_nothing_of_another_namespace(stage: &Stage) -> Verdict {
    let scene = Scene::set(stage).await?;
    for ns in scene.others()? {
        let counts = stage.count(&ns, at(NOW)).await?;
        assert_eq!(counts, Counts::default(), "in {ns}");
    }
    scene.is_unchanged().await
}

pub async fn resolve_reaches_nothing_in_another_namespace(stage: &Stage) -> Verdict {
    let scene = Scene::set(stage).await?;
    for ns in scene.others()? {
        for number in 1..=5 {
            for what in [Resolve::Requeue, Resolve::Discard] {
                let resolved = stage.resolve(&ns, id(number), what, at(NOW)).await?;
                assert!(!resolved, "in {ns}");
            }
        }
    }
    scene.is_unchanged().await
}

pub async fn import_takes_no_id_in_another_namespace(stage: &Stage) -> Verdict {
    let scene = Scene::set(stage).await?;
    for ns in [stage.wiki(), stage.visitors()] {
        for entry in &scene.before {
            assert_eq!(
                stage.bring(ns, entry, at(NOW)).await?,
                Imported::Done,
                "in {ns}"
            );
        }
    }
    scene.is_unchanged().await
}
