//! E: requests for one session at the same time.

use tenure_store::{
    After, Created, EndReason, Field, Namespace, Payload, Record, Result, SessionStore, Updated,
    Version,
};
use tokio::task::{JoinSet, yield_now};

use crate::props::{
    HOUR, at, counted, id, passive, payload, principal, record, rows, timeout, version,
};
use crate::story::{PATIENCE, Story, all};
use crate::{Stage, Verdict};

/// Reads, changes, writes, and again from the start if somebody else was faster.
async fn read_modify_write(
    node: &dyn SessionStore,
    ns: &Namespace,
    next: Version,
    modify: impl Fn(&[u8]) -> Vec<u8>,
) -> Result<()> {
    for _ in 0..PATIENCE {
        let loaded = node.load(ns, id(1), at(1)).await?.expect("it is live");
        let mut change = passive(0);
        change.version = next;
        change.payload = Some(Payload::new(modify(loaded.payload.as_bytes())));
        // Lets the others in between, where the store itself never waits.
        yield_now().await;
        match node
            .update(ns, id(1), loaded.version, &change, at(1))
            .await?
        {
            Updated::Done => return Ok(()),
            Updated::Changed => {}
            refused => panic!("a live session was refused as {refused:?}"),
        }
    }
    panic!("no update of the version just read in {PATIENCE} attempts");
}

/// Every one of many tasks on two nodes adds to one number: the sum is exact.
pub async fn no_update_is_lost(stage: &Stage) -> Verdict {
    let ns = stage.portal();
    let (tasks, rounds) = (16, rows(400) / 16);
    let payload = Payload::new(0_u64.to_be_bytes().to_vec());
    stage
        .put(
            ns,
            &Record {
                payload,
                ..record(1)
            },
        )
        .await?;
    let mut adding = JoinSet::new();
    for task in 0..tasks {
        let (node, ns) = (stage.nth(task), ns.clone());
        adding.spawn(async move {
            for round in 0..rounds {
                let next = version(1_000 + task * rounds + round);
                read_modify_write(&*node, &ns, next, |bytes| {
                    let number = bytes.try_into().map_or(0, u64::from_be_bytes);
                    (number + 1).to_be_bytes().to_vec()
                })
                .await?;
            }
            Ok(())
        });
    }
    all(adding).await?;
    let loaded = stage.load(ns, id(1), at(2)).await?.expect("it is live");
    let sum = tasks * rounds;
    assert_eq!(loaded.payload.as_bytes(), sum.to_be_bytes());
    Ok(())
}

/// A store may take calls that wait together as one: each caller gets the answer to its own,
/// whatever the others asked.
pub async fn calls_at_once_each_get_their_own_answer(stage: &Stage) -> Verdict {
    let ns = stage.portal();
    let (there, asked) = (200, 300);
    let records = (0..there).map(record).collect();
    stage.put_many(ns, records).await?;
    let mut calls = JoinSet::new();
    for number in 0..asked {
        let (node, ns) = (stage.nth(number % 2), ns.clone());
        calls.spawn(async move {
            let there = number < there;
            let loaded = node.load(&ns, id(number), at(1)).await?;
            assert_eq!(loaded, there.then(|| record(number)), "session {number}");
            assert_eq!(node.touch(&ns, id(number), at(1)).await?, there);
            // A third of them are of another version than the one that was read.
            let read = version(number + u64::from(number % 3 == 0));
            let change = passive(1_000 + number);
            let updated = node.update(&ns, id(number), read, &change, at(1)).await?;
            let expected = match number % 3 {
                _ if !there => Updated::Gone,
                0 => Updated::Changed,
                _ => Updated::Done,
            };
            assert_eq!(updated, expected, "session {number}");
            let reason = EndReason::Logout;
            let ended = node
                .end(&ns, id(number), None, reason, After::Queue, at(2))
                .await?;
            let ended = ended.map(|ended| (ended.record.id, ended.record.payload));
            assert_eq!(ended, there.then(|| (id(number), payload(number))));
            Ok(())
        });
    }
    all(calls).await?;
    Ok(())
}

/// The same where they are of several namespaces, one of which was reset: what is taken as one
/// is still of each namespace's own epoch.
pub async fn calls_at_once_in_several_namespaces_are_apart(stage: &Stage) -> Verdict {
    let all_three = [stage.portal(), stage.wiki(), stage.visitors()];
    for ns in all_three {
        stage.put_many(ns, (0..64).map(record).collect()).await?;
    }
    stage.reset(stage.wiki(), at(1)).await?;
    let born_since = (64..128).map(record).collect();
    stage.put_many(stage.wiki(), born_since).await?;
    let mut calls = JoinSet::new();
    for number in 0..128 {
        for ns in all_three {
            let there = (number < 64) != (ns == stage.wiki());
            let (node, ns) = (stage.nth(number % 2), ns.clone());
            calls.spawn(async move {
                let loaded = node.load(&ns, id(number), at(1)).await?;
                assert_eq!(loaded, there.then(|| record(number)), "{number} in {ns}");
                assert_eq!(node.touch(&ns, id(number), at(1)).await?, there);
                Ok(())
            });
        }
    }
    all(calls).await?;
    Ok(())
}

/// Of many updates of one version at once exactly one is done, and it is the one that
/// is there.
pub async fn one_update_of_a_version_wins(stage: &Stage) -> Verdict {
    let ns = stage.portal();
    stage.put(ns, &record(1)).await?;
    let mut current = version(1);
    for round in 0..20 {
        let mut racing = JoinSet::new();
        for racer in 0..8 {
            let (node, ns, expected) = (stage.nth(racer), ns.clone(), current);
            racing.spawn(async move {
                let number = 100 + round * 8 + racer;
                let mut change = passive(number);
                change.payload = Some(payload(number));
                let updated = node.update(&ns, id(1), expected, &change, at(1)).await?;
                Ok((updated, number))
            });
        }
        let results = all(racing).await?;
        let mut winners = results
            .iter()
            .filter(|(updated, _)| *updated == Updated::Done);
        let (_, winner) = winners.next().expect("one of them wins");
        assert_eq!(winners.next(), None, "only one of them wins");
        let losers = results
            .iter()
            .filter(|(updated, _)| *updated == Updated::Changed);
        assert_eq!(losers.count(), 7);
        current = version(*winner);
        let loaded = stage.load(ns, id(1), at(1)).await?.expect("it is live");
        assert_eq!(
            (loaded.version, loaded.payload),
            (current, payload(*winner))
        );
    }
    Ok(())
}

/// Touches from everywhere, and updates between them: each is counted, no update is
/// refused for a touch.
pub async fn no_access_is_lost(stage: &Stage) -> Verdict {
    let ns = stage.portal();
    stage.put(ns, &record(1)).await?;
    let mut using = JoinSet::new();
    for toucher in 0..8 {
        let (node, ns) = (stage.nth(toucher), ns.clone());
        using.spawn(async move {
            for step in 0..25 {
                assert!(node.touch(&ns, id(1), at(step)).await?);
            }
            Ok(())
        });
    }
    let (node, writing) = (stage.other(), ns.clone());
    using.spawn(async move {
        for step in 1..=25 {
            let change = counted(step + 1);
            let updated = node
                .update(&writing, id(1), version(step), &change, at(50))
                .await?;
            assert_eq!(updated, Updated::Done, "only this task updates");
        }
        Ok(())
    });
    all(using).await?;
    let loaded = stage.load(ns, id(1), at(50)).await?.expect("it is live");
    assert_eq!(
        (loaded.accesses, loaded.last_access),
        (1 + 8 * 25 + 25, at(50))
    );
    Ok(())
}

/// Payload, principal and time-out that are written together are read together, while
/// two nodes write and two read.
pub async fn nobody_reads_half_a_record(stage: &Stage) -> Verdict {
    let ns = stage.portal();
    let numbered = |number: u64| {
        let mut change = passive(number);
        let lifetime = HOUR + i64::try_from(number).unwrap_or(0);
        change.payload = Some(payload(number));
        change.principal = Field::Set(principal(&number.to_string()));
        change.lifetime = timeout(lifetime).map_or(Field::Keep, Field::Set);
        change
    };
    let mut first = record(1);
    numbered(1).apply_to(&mut first, at(0));
    stage.put(ns, &first).await?;
    let mut tasks = JoinSet::new();
    let (node, writing) = (stage.node(), ns.clone());
    tasks.spawn(async move {
        for number in 2..=200 {
            let change = numbered(number);
            let updated = node
                .update(&writing, id(1), version(number - 1), &change, at(1))
                .await?;
            assert_eq!(updated, Updated::Done);
        }
        Ok(())
    });
    for reader in 0..3 {
        let (node, ns) = (stage.nth(reader), ns.clone());
        tasks.spawn(async move {
            for step in 0..200 {
                let record = match (reader + step) % 2 {
                    0 => node.load(&ns, id(1), at(1)).await?.expect("it is live"),
                    _ => node.entry(&ns, id(1), at(1)).await?.record,
                };
                let name = record.principal.clone().expect("somebody is logged in");
                let number = name.as_str().parse().expect("principals are numbers here");
                let mut whole = self::record(1);
                numbered(number).apply_to(&mut whole, at(1));
                assert_eq!(record, whole);
            }
            Ok(())
        });
    }
    all(tasks).await?;
    Ok(())
}

/// Many at once on two nodes, for many ids: one succeeds for each, and its record is
/// the one that is there.
pub async fn two_creations_of_one_id_make_one_session(stage: &Stage) -> Verdict {
    let ns = stage.portal();
    for number in 0..20 {
        let mut racing = JoinSet::new();
        for racer in 0..8 {
            let (node, ns) = (stage.nth(racer), ns.clone());
            racing.spawn(async move {
                let mine = Record {
                    version: version(racer),
                    payload: payload(racer),
                    ..record(number)
                };
                let created = node.create(&ns, &mine, at(0)).await?;
                Ok((created, mine))
            });
        }
        let results = all(racing).await?;
        let mut winners = results
            .iter()
            .filter(|(created, _)| *created == Created::Done);
        let (_, winner) = winners.next().expect("one of them wins");
        assert_eq!(winners.next(), None, "only one of them wins");
        assert_eq!(
            stage.load(ns, id(number), at(1)).await?.as_ref(),
            Some(winner)
        );
    }
    Ok(())
}
