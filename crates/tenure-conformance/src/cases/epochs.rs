//! O: copies that overlap a reset.

use tenure_store::{After, Created, End, EndReason, Entry, Imported, State};

use super::import::{live, tombstones};
use crate::props::{at, id, record};
use crate::story::Story;
use crate::{Stage, Verdict};

/// An epoch is for the sessions that were before the next reset: what is live elsewhere,
/// read before it, is not brought in after it; what is over is, as it cannot come back.
pub async fn a_copy_from_before_a_reset_revives_nothing(stage: &Stage) -> Verdict {
    let ns = stage.portal();
    let before = [
        stage.epoch(ns, id(1)).await?,
        stage.epoch(ns, id(2)).await?,
        stage.epoch(ns, id(3)).await?,
    ];
    stage.other().reset(ns, at(1)).await?;
    let late = stage.import(ns, &live(1), before[0], at(2)).await?;
    assert_eq!(late, Imported::Reset);
    assert_eq!(
        stage.inspect(ns, id(1), at(2)).await?,
        None,
        "nothing was stored"
    );

    let reason = EndReason::ApplicationReset;
    let over = Entry {
        record: record(2),
        state: State::Over(End { reason, at: at(1) }),
    };
    let [_, _, dead] = tombstones();
    let ended = Entry {
        record: record(3),
        state: State::Ended(dead),
    };
    let imported = stage.import(ns, &over, before[1], at(2)).await?;
    assert_eq!(imported, Imported::Done);
    let imported = stage.import(ns, &ended, before[2], at(2)).await?;
    assert_eq!(imported, Imported::Done);
    assert_eq!(stage.entry(ns, id(3), at(2)).await?, ended);

    assert_eq!(stage.bring(ns, &live(1), at(2)).await?, Imported::Done);
    assert!(stage.load(ns, id(1), at(2)).await?.is_some());
    Ok(())
}

/// Said first: whoever repeats an import whose answer got lost learns that it happened.
pub async fn a_taken_id_is_taken_in_every_epoch(stage: &Stage) -> Verdict {
    let ns = stage.portal();
    let before = stage.epoch(ns, id(1)).await?;
    let imported = stage.import(ns, &live(1), before, at(1)).await?;
    assert_eq!(imported, Imported::Done);
    stage.reset(ns, at(2)).await?;
    let now = stage.epoch(ns, id(1)).await?;
    for epoch in [before, now] {
        let again = stage.other().import(ns, &live(1), epoch, at(3)).await?;
        assert_eq!(again, Imported::Exists);
    }
    assert_eq!(stage.load(ns, id(1), at(3)).await?, None);
    Ok(())
}

/// The same on every node until the next one, whatever else happens; and a reset of
/// another namespace, or of nothing, is no exception to either.
pub async fn every_reset_begins_another_epoch(stage: &Stage) -> Verdict {
    let (ns, other) = (stage.portal(), stage.wiki());
    let elsewhere = stage.epoch(other, id(1)).await?;
    let mut seen = Vec::new();
    for round in 0..4 {
        let epoch = stage.epoch(ns, id(1)).await?;
        assert!(!seen.contains(&epoch), "{epoch:?} after {seen:?}");
        seen.push(epoch);
        if round % 2 == 0 {
            let created = stage.create(ns, &record(round), at(0)).await?;
            assert_eq!(created, Created::Done);
            stage
                .end(
                    ns,
                    id(round),
                    None,
                    EndReason::Logout,
                    After::Discard,
                    at(1),
                )
                .await?;
            stage.put(ns, &record(10 + round)).await?;
        }
        stage.reset(other, at(1)).await?;
        assert_eq!(stage.other().epoch(ns, id(1)).await?, epoch);
        stage.reset(ns, at(1)).await?;
    }
    assert_ne!(stage.epoch(other, id(1)).await?, elsewhere);
    Ok(())
}

/// Whichever comes first: when both have returned, the copy is not live.
pub async fn an_import_racing_a_reset_revives_nothing(stage: &Stage) -> Verdict {
    let ns = stage.portal();
    let mut refused = 0;
    for number in 0..40 {
        let epoch = stage.epoch(ns, id(number)).await?;
        let (node, importing) = (stage.nth(number), ns.clone());
        let import = tokio::spawn(async move {
            let entry = live(number);
            node.import(&importing, &entry, epoch, at(1)).await
        });
        let (node, resetting) = (stage.nth(number + 1), ns.clone());
        let reset = tokio::spawn(async move { node.reset(&resetting, at(1)).await });
        let imported = import.await.expect("the task did not panic")?;
        reset.await.expect("the task did not panic")?;
        assert_eq!(stage.load(ns, id(number), at(1)).await?, None);
        let there = stage.inspect(ns, id(number), at(1)).await?.is_some();
        assert_eq!(there, imported == Imported::Done);
        refused += u64::from(!there);
    }
    let ended = stage.reap(ns, at(1)).await?;
    assert_eq!(ended.len() as u64, 40 - refused);
    Ok(())
}
