//! A: updating and ending one session.

use tenure_store::{
    Access, After, Change, End, EndReason, Field, Outcome, Phase, Record, Rotation, State,
    Tombstone, Updated,
};

use crate::props::{
    HOUR, IDLE, LEASE, LEASE_MILLIS, at, counted, id, passive, payload, principal, record,
    record_of, timeout, version,
};
use crate::story::Story;
use crate::{Stage, Verdict};

/// Each field alone, all together, and none, as an access and passively.
pub async fn an_update_changes_what_it_names_and_nothing_else(stage: &Stage) -> Verdict {
    let ns = stage.portal();
    let idle = timeout(2 * HOUR).map_or(Field::Keep, Field::Set);
    let lifetime = timeout(3 * HOUR).map_or(Field::Keep, Field::Set);
    let fields: [fn(&mut Change); 6] = [
        |change| change.payload = Some(payload(99)),
        |change| change.principal = Field::Set(principal("bob")),
        |change| change.principal = Field::Clear,
        |change| change.idle_timeout = Field::Clear,
        |change| change.lifetime = Field::Clear,
        |change| change.leaves_at = Field::Set(at(HOUR)),
    ];
    let mut changes = vec![passive(100)];
    changes.extend(fields.map(|set| {
        let mut change = passive(100);
        set(&mut change);
        change
    }));
    changes.push(Change {
        rotation: Some(Rotation::new(1, Some(at(HOUR)))?),
        ..passive(100)
    });
    changes.push(Change {
        payload: Some(payload(98)),
        principal: Field::Set(principal("carol")),
        idle_timeout: idle,
        lifetime,
        rotation: Some(Rotation::new(2, None)?),
        leaves_at: Field::Set(at(2 * HOUR)),
        ..passive(100)
    });

    let mut number = 0;
    for change in changes {
        for access in [Access::Passive, Access::Counts] {
            number += 1;
            let change = Change {
                access,
                ..change.clone()
            };
            let mut expected = record_of(number, "alice");
            stage.put(ns, &expected).await?;
            let updated = stage
                .update(ns, id(number), version(number), &change, at(5))
                .await?;
            assert_eq!(updated, Updated::Done);
            change.apply_to(&mut expected, at(5));
            let loaded = stage.other().load(ns, id(number), at(5)).await?;
            assert_eq!(loaded, Some(expected), "after {change:?}");
        }
    }
    Ok(())
}

/// Nothing of the change is written, and the access that it would have been is not
/// noted either.
pub async fn an_update_of_another_version_changes_nothing(stage: &Stage) -> Verdict {
    let ns = stage.portal();
    stage.put(ns, &record(1)).await?;
    let mut change = counted(3);
    change.payload = Some(payload(3));
    change.principal = Field::Set(principal("mallory"));
    let updated = stage.update(ns, id(1), version(2), &change, at(5)).await?;
    assert_eq!(updated, Updated::Changed);
    assert_eq!(stage.load(ns, id(1), at(5)).await?, Some(record(1)));
    Ok(())
}

/// What was read before somebody else's update cannot be built upon.
pub async fn an_update_is_done_once_for_each_version(stage: &Stage) -> Verdict {
    let ns = stage.portal();
    stage.put(ns, &record(1)).await?;
    let first = stage
        .update(ns, id(1), version(1), &passive(2), at(1))
        .await?;
    assert_eq!(first, Updated::Done);
    let other = stage.other();
    let second = other
        .update(ns, id(1), version(1), &passive(3), at(2))
        .await?;
    assert_eq!(second, Updated::Changed);
    let third = other
        .update(ns, id(1), version(2), &passive(3), at(3))
        .await?;
    assert_eq!(third, Updated::Done);
    Ok(())
}

pub async fn a_touch_conflicts_with_no_update(stage: &Stage) -> Verdict {
    let ns = stage.portal();
    stage.put(ns, &record(1)).await?;
    assert!(stage.other().touch(ns, id(1), at(7)).await?);
    let updated = stage
        .update(ns, id(1), version(1), &passive(2), at(8))
        .await?;
    assert_eq!(updated, Updated::Done);
    let loaded = stage.load(ns, id(1), at(8)).await?.expect("it is live");
    assert_eq!((loaded.last_access, loaded.accesses), (at(7), 2));
    Ok(())
}

/// For every reason, on every node, whoever is to run the hook.
pub async fn an_ended_session_is_absent_at_once(stage: &Stage) -> Verdict {
    let ns = stage.portal();
    let mut number = 0;
    for reason in EndReason::ALL {
        for after in [After::Hold(LEASE), After::Queue, After::Discard] {
            number += 1;
            stage.put(ns, &record(number)).await?;
            let ended = stage
                .end(ns, id(number), None, reason, after, at(1))
                .await?;
            let ended = ended.expect("it was live");
            assert_eq!(ended.tombstone.end, End { reason, at: at(1) });
            for node in [stage.node(), stage.other()] {
                assert_eq!(node.load(ns, id(number), at(1)).await?, None);
                assert!(!node.touch(ns, id(number), at(1)).await?);
            }
        }
    }
    Ok(())
}

/// The caller sees the record as it was last, and what is kept is what it sees.
pub async fn an_end_returns_what_is_kept_of_the_session(stage: &Stage) -> Verdict {
    let ns = stage.portal();
    let end = End {
        reason: EndReason::Logout,
        at: at(9),
    };
    let waiting = Tombstone::new(end);
    let mut held = waiting.clone();
    held.claim(LEASE, at(9));
    let ways = [
        (1, After::Queue, &waiting),
        (2, After::Hold(LEASE), &held),
        (3, After::Discard, &waiting),
    ];
    for (number, after, tombstone) in ways {
        let mut last = record_of(number, "alice");
        stage.put(ns, &last).await?;
        stage.touch(ns, id(number), at(5)).await?;
        last.access(at(5));
        let mut change = passive(9);
        change.payload = Some(payload(9));
        let updated = stage
            .update(ns, id(number), version(number), &change, at(6))
            .await?;
        assert_eq!(updated, Updated::Done);
        change.apply_to(&mut last, at(6));

        let ended = stage
            .end(ns, id(number), None, end.reason, after, end.at)
            .await?;
        let ended = ended.expect("it was live");
        assert_eq!((&ended.record, &ended.tombstone), (&last, tombstone));
        let kept = stage.other().inspect(ns, id(number), at(9)).await?;
        let kept = kept.map(|entry| (entry.record, entry.state));
        let expected = (last, State::Ended(tombstone.clone()));
        assert_eq!(kept, (after != After::Discard).then_some(expected));
    }
    Ok(())
}

/// No error, no second tombstone, and the first one stays what it was.
pub async fn ending_again_finds_nothing(stage: &Stage) -> Verdict {
    let ns = stage.portal();
    stage.put(ns, &record(1)).await?;
    let queue = After::Queue;
    stage
        .end(ns, id(1), None, EndReason::Logout, queue, at(1))
        .await?;
    for after in [After::Hold(LEASE), After::Queue, After::Discard] {
        let again = stage
            .other()
            .end(ns, id(1), None, EndReason::Administrator, after, at(2))
            .await?;
        assert_eq!(again, None);
    }
    let ended = stage.reap(ns, at(3)).await?;
    assert_eq!(ended.len(), 1);
    assert_eq!(ended[0].tombstone.end.reason, EndReason::Logout);
    assert_eq!(ended[0].tombstone.end.at, at(1));
    Ok(())
}

/// It is the reapers' business, which know why it ended.
pub async fn ending_what_ran_out_finds_nothing(stage: &Stage) -> Verdict {
    let ns = stage.portal();
    stage.put(ns, &record(1)).await?;
    for after in [After::Hold(LEASE), After::Queue, After::Discard] {
        let ended = stage
            .end(ns, id(1), None, EndReason::Logout, after, at(IDLE))
            .await?;
        assert_eq!(ended, None);
    }
    let ended = stage.claim_one(ns, at(IDLE + 1)).await?;
    assert_eq!(ended.tombstone.end.reason, EndReason::IdleTimeout);
    assert_eq!(ended.tombstone.end.at, at(IDLE));
    Ok(())
}

/// A caller that died in the middle of its hook leaves it to the reapers, no earlier
/// than its lease is over.
pub async fn an_end_that_holds_gives_the_caller_the_first_claim(stage: &Stage) -> Verdict {
    let ns = stage.portal();
    stage.put(ns, &record(1)).await?;
    stage.put(ns, &record(2)).await?;
    let hold = After::Hold(LEASE);
    let mut tickets = Vec::new();
    for number in [1, 2] {
        let ended = stage
            .end(ns, id(number), None, EndReason::Logout, hold, at(0))
            .await?;
        let ended = ended.expect("it was live");
        assert_eq!(ended.tombstone.claims, 1);
        let until = at(LEASE_MILLIS);
        assert_eq!(ended.tombstone.phase, Phase::Held { until });
        tickets.push(ended.ticket());
    }
    assert!(
        stage
            .other()
            .claim_all(ns, at(LEASE_MILLIS - 1))
            .await?
            .is_empty()
    );
    assert!(
        stage
            .settle_one(ns, tickets[0], Outcome::Done, at(1))
            .await?
    );

    let ended = stage.other().claim_one(ns, at(LEASE_MILLIS)).await?;
    assert_eq!((ended.record.id, ended.tombstone.claims), (id(2), 2));
    let late = stage
        .settle_one(ns, tickets[1], Outcome::Done, at(LEASE_MILLIS))
        .await?;
    assert!(!late, "somebody else has claimed it");
    Ok(())
}

/// Neither a queued nor a discarded end gives its caller any right.
pub async fn an_end_that_does_not_hold_gives_no_ticket(stage: &Stage) -> Verdict {
    let ns = stage.portal();
    for (number, after) in [(1, After::Queue), (2, After::Discard)] {
        stage.put(ns, &record(number)).await?;
        let ended = stage
            .end(ns, id(number), None, EndReason::Logout, after, at(1))
            .await?;
        let ticket = ended.expect("it was live").ticket();
        assert!(!stage.settle_one(ns, ticket, Outcome::Done, at(2)).await?);
        assert_eq!(stage.renew(ns, &[ticket], LEASE, at(2)).await?, 0);
    }
    let ended = stage.claim_one(ns, at(2)).await?;
    assert_eq!(ended.record, Record { ..record(1) });
    Ok(())
}
