//! F: the store's half of rotation: a number that changes with the record, once.

use tenure_store::{After, EndReason, Field, Outcome, Record, Rotation, State, Updated};
use tokio::task::JoinSet;

use crate::props::{
    HOUR, LEASE, MINUTE, at, counted, id, passive, payload, principal, record, record_of, version,
};
use crate::story::{Story, all};
use crate::{Stage, Verdict};

/// Payload, creation, principal, time-outs and accesses stay, and so does the id.
pub async fn a_rotation_keeps_everything_else(stage: &Stage) -> Verdict {
    let ns = stage.portal();
    stage.put(ns, &record_of(1, "alice")).await?;
    let mut expected = record_of(1, "alice");
    for (number, until) in [
        (1, Some(at(MINUTE))),
        (2, None),
        (Rotation::MAX, Some(at(-1))),
    ] {
        let mut change = passive(u64::from(number));
        change.rotation = Some(Rotation::new(number, until)?);
        let current = expected.version;
        let updated = stage.update(ns, id(1), current, &change, at(5)).await?;
        assert_eq!(updated, Updated::Done);
        expected.version = change.version;
        expected.rotation = Rotation::new(number, until)?;
        let loaded = stage.other().load(ns, id(1), at(6)).await?;
        assert_eq!(loaded.as_ref(), Some(&expected));
    }
    Ok(())
}

/// Logging in is one write: nobody sees the principal with the old rotation, nor the
/// other way round.
pub async fn a_log_in_sets_principal_and_rotation_at_once(stage: &Stage) -> Verdict {
    let ns = stage.portal();
    stage.put(ns, &record(1)).await?;
    let mut tasks = JoinSet::new();
    let (node, writing) = (stage.node(), ns.clone());
    tasks.spawn(async move {
        for step in 1..=100 {
            let number = u32::try_from(step).unwrap_or(0);
            let mut change = counted(step + 1);
            change.rotation = Some(Rotation::new(number, None)?);
            change.principal = Field::Set(principal(&number.to_string()));
            let updated = node
                .update(&writing, id(1), version(step), &change, at(1))
                .await?;
            assert_eq!(updated, Updated::Done);
        }
        Ok(())
    });
    for reader in 0..2 {
        let (node, ns) = (stage.nth(reader), ns.clone());
        tasks.spawn(async move {
            for _ in 0..100 {
                let loaded = node.load(&ns, id(1), at(1)).await?.expect("it is live");
                let number = loaded.rotation.number();
                let name = loaded.principal.as_ref().map_or("0", |name| name.as_str());
                assert_eq!(name, number.to_string());
            }
            Ok(())
        });
    }
    all(tasks).await?;
    Ok(())
}

/// One of them is done; the other one is told, and sees the winner's.
pub async fn of_two_rotations_at_once_one_wins(stage: &Stage) -> Verdict {
    let ns = stage.portal();
    stage.put(ns, &record(1)).await?;
    let mut current = version(1);
    for round in 0..20_u32 {
        let mut racing = JoinSet::new();
        for racer in 0..2 {
            let (node, ns, expected) = (stage.nth(racer), ns.clone(), current);
            racing.spawn(async move {
                let mut change = passive(100 + 2 * u64::from(round) + racer);
                let rotation = Rotation::new(round + 1, Some(at(HOUR + i64::from(round))))?;
                change.rotation = Some(rotation);
                let updated = node.update(&ns, id(1), expected, &change, at(1)).await?;
                let seen = node.load(&ns, id(1), at(1)).await?.expect("it is live");
                assert_eq!(seen.rotation, rotation);
                Ok((updated, change.version))
            });
        }
        let results = all(racing).await?;
        let done: Vec<_> = results
            .iter()
            .filter(|(updated, _)| *updated == Updated::Done)
            .collect();
        assert_eq!(done.len(), 1);
        assert!(
            results
                .iter()
                .any(|(updated, _)| *updated == Updated::Changed)
        );
        current = done[0].1;
    }
    Ok(())
}

/// Whichever is first, the session is ended, and its tombstone shows the rotation if
/// and only if that was done.
pub async fn a_rotation_racing_an_end_never_leaves_it_alive(stage: &Stage) -> Verdict {
    let ns = stage.portal();
    for number in 0..40 {
        stage.put(ns, &record(number)).await?;
        let mut change = counted(1_000 + number);
        change.rotation = Some(Rotation::new(1, None)?);
        change.payload = Some(payload(1_000 + number));
        let mut rotated = record(number);
        change.apply_to(&mut rotated, at(1));

        let (node, rotating) = (stage.nth(number), ns.clone());
        let rotating = tokio::spawn(async move {
            node.update(&rotating, id(number), version(number), &change, at(1))
                .await
        });
        let (node, ending) = (stage.nth(number + 1), ns.clone());
        let ending = tokio::spawn(async move {
            let hold = After::Hold(LEASE);
            node.end(&ending, id(number), None, EndReason::Logout, hold, at(1))
                .await
        });
        let updated = rotating.await.expect("the task did not panic")?;
        let ended = ending.await.expect("the task did not panic")?;
        let ended = ended.expect("nobody else ended it");

        let last = match updated {
            Updated::Done => rotated,
            Updated::Gone => record(number),
            refused => panic!("nobody else changed it, but it was {refused:?}"),
        };
        assert_eq!(ended.record, last);
        assert_eq!(stage.load(ns, id(number), at(1)).await?, None);
        let entry = stage.entry(ns, id(number), at(1)).await?;
        assert_eq!(
            (entry.record, entry.state),
            (last, State::Ended(ended.tombstone.clone()))
        );
        assert!(
            stage
                .settle_one(ns, ended.ticket(), Outcome::Done, at(2))
                .await?
        );
    }
    assert_eq!(stage.everything(ns, at(2)).await?, []);
    Ok(())
}

/// And it makes no tombstone, or session, out of nothing.
pub async fn rotating_the_absent_creates_nothing(stage: &Stage) -> Verdict {
    let ns = stage.portal();
    let mut change = counted(2);
    change.rotation = Some(Rotation::new(1, None)?);
    let updated = stage.update(ns, id(1), version(1), &change, at(1)).await?;
    assert_eq!(updated, Updated::Gone);
    let idle = Record { ..record(2) };
    stage.put(ns, &idle).await?;
    stage
        .end(ns, id(2), None, EndReason::Logout, After::Discard, at(1))
        .await?;
    let updated = stage.update(ns, id(2), version(2), &change, at(1)).await?;
    assert_eq!(updated, Updated::Gone);
    assert_eq!(stage.everything(ns, at(1)).await?, []);
    Ok(())
}

/// In every way of ending, and also where many ends are carried out together.
pub async fn an_end_for_a_replaced_token_finds_nothing(stage: &Stage) -> Verdict {
    let ns = stage.portal();
    for (number, after) in (1..).zip([After::Queue, After::Discard, After::Hold(LEASE)]) {
        stage.put(ns, &record(number)).await?;
        let mut change = counted(1_000 + number);
        change.rotation = Some(Rotation::new(7, Some(at(HOUR)))?);
        let updated = stage.update(ns, id(number), version(number), &change, at(1));
        assert_eq!(updated.await?, Updated::Done);
        let live = stage.load(ns, id(number), at(1)).await?;

        let end = |rotation| stage.end(ns, id(number), rotation, EndReason::Logout, after, at(1));
        for replaced in [0, 6, 8, Rotation::MAX] {
            assert_eq!(end(Some(replaced)).await?, None);
        }
        assert_eq!(stage.load(ns, id(number), at(1)).await?, live);
        let ended = end(Some(7)).await?.expect("it has this rotation");
        assert_eq!(Some(ended.record), live);
        assert_eq!(end(Some(7)).await?, None);
    }

    for number in 10..30 {
        stage.put(ns, &record(number)).await?;
    }
    let ends = (10..30).map(|number| {
        let (node, ns) = (stage.nth(number), ns.clone());
        tokio::spawn(async move {
            let (rotation, queue) = (Some(u32::from(number % 2 == 1)), After::Queue);
            node.end(&ns, id(number), rotation, EndReason::Logout, queue, at(1))
                .await
        })
    });
    let ends: Vec<_> = ends.collect();
    for (number, end) in (10..30).zip(ends) {
        let ended = end.await.expect("the task did not panic")?;
        assert_eq!(ended.is_some(), number % 2 == 0, "session {number}");
    }
    Ok(())
}
