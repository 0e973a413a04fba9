//! C: when a session runs out, and what that means before any reaper came by.

use tenure_store::{After, End, EndReason, Field, Record, State, Status, Timestamp, Updated};

use crate::props::{
    HOUR, IDLE, MINUTE, at, counted, endless, id, passive, record, timeout, version,
};
use crate::story::Story;
use crate::{Stage, Verdict};

/// Sessions that run out at [`HOUR`], each for another cause.
fn by_each_cause() -> [(EndReason, Record); 3] {
    let idle = Record {
        idle_timeout: timeout(HOUR),
        ..endless(1)
    };
    let lifetime = Record {
        lifetime: timeout(HOUR),
        ..endless(2)
    };
    let left = Record {
        leaves_at: Some(at(HOUR)),
        ..endless(3)
    };
    [
        (EndReason::IdleTimeout, idle),
        (EndReason::Lifetime, lifetime),
        (EndReason::Left, left),
    ]
}

/// One millisecond before the instant it is there for every operation; at the instant
/// and after it, for none.
pub async fn a_session_is_absent_from_the_very_instant_it_runs_out(stage: &Stage) -> Verdict {
    let ns = stage.portal();
    for (reason, record) in by_each_cause() {
        let (id, version) = (record.id, record.version);
        stage.put(ns, &record).await?;
        let before = at(HOUR - 1);
        assert!(stage.load(ns, id, before).await?.is_some(), "{reason}");
        let status = stage.entry(ns, id, before).await?.status(before);
        assert_eq!(status, Status::Live, "{reason}");
        let updated = stage.update(ns, id, version, &passive(9), before).await?;
        assert_eq!(updated, Updated::Done, "{reason}");

        for now in [at(HOUR), at(HOUR + 1), at(1_000 * HOUR), Timestamp::MAX] {
            assert_eq!(stage.load(ns, id, now).await?, None, "{reason}");
            assert!(!stage.touch(ns, id, now).await?, "{reason}");
            for change in [passive(10), counted(10)] {
                let updated = stage
                    .update(ns, id, crate::props::version(9), &change, now)
                    .await?;
                assert_eq!(updated, Updated::Gone, "{reason}");
            }
            let ended = stage
                .end(ns, id, None, EndReason::Logout, After::Queue, now)
                .await?;
            assert_eq!(ended, None, "{reason}");
            let found = stage.entry(ns, id, now).await?.state;
            let end = End {
                reason,
                at: at(HOUR),
            };
            assert_eq!(found, State::Over(end));
        }
    }
    assert_eq!(stage.count(ns, at(HOUR - 1)).await?.live, 3);
    assert_eq!(stage.count(ns, at(HOUR)).await?.over, 3);
    Ok(())
}

/// Neither finding it absent nor trying to use it takes its end from the reapers, nor
/// changes what they are told.
pub async fn being_found_absent_changes_nothing(stage: &Stage) -> Verdict {
    let ns = stage.portal();
    for (_, record) in by_each_cause() {
        stage.put(ns, &record).await?;
    }
    for (_, record) in by_each_cause() {
        let (id, version, now) = (record.id, record.version, at(HOUR + 5));
        assert_eq!(stage.load(ns, id, now).await?, None);
        assert!(!stage.touch(ns, id, now).await?);
        let updated = stage.update(ns, id, version, &counted(9), now).await?;
        assert_eq!(updated, Updated::Gone);
        assert_eq!(
            stage
                .end(ns, id, None, EndReason::Logout, After::Discard, now)
                .await?,
            None
        );
    }
    let mut ended = stage.reap(ns, at(HOUR + 5)).await?;
    ended.sort_by_key(|ended| ended.tombstone.end.reason);
    let ended: Vec<_> = ended
        .into_iter()
        .map(|ended| (ended.tombstone.end.reason, ended.record))
        .collect();
    assert_eq!(ended, by_each_cause());
    Ok(())
}

/// Of several causes the earliest; on a tie, leaving before idleness before lifetime.
pub async fn the_earliest_cause_is_the_reason(stage: &Stage) -> Verdict {
    let ns = stage.portal();
    let causes = [
        (1, 3, 2, 1, EndReason::Left),
        (2, 1, 2, 3, EndReason::IdleTimeout),
        (3, 3, 1, 2, EndReason::Lifetime),
        (4, 1, 1, 1, EndReason::Left),
        (5, 1, 1, 2, EndReason::IdleTimeout),
        (6, 2, 1, 1, EndReason::Left),
    ];
    for (number, idle, lifetime, leaves, _) in causes {
        let record = Record {
            idle_timeout: timeout(idle),
            lifetime: timeout(lifetime),
            leaves_at: Some(at(leaves)),
            ..record(number)
        };
        stage.put(ns, &record).await?;
    }
    stage.claim_all(ns, at(HOUR)).await?;
    for (number, .., reason) in causes {
        let end = End { reason, at: at(1) };
        match stage.entry(ns, id(number), at(HOUR)).await?.state {
            State::Ended(tombstone) => assert_eq!(tombstone.end, end, "session {number}"),
            other => panic!("session {number} was reaped, not {other:?}"),
        }
    }
    Ok(())
}

/// For loads and for the reaper, after touches and other sessions' updates.
pub async fn each_session_has_time_outs_of_its_own(stage: &Stage) -> Verdict {
    let ns = stage.portal();
    stage.put(ns, &record(1)).await?;
    stage.put(ns, &record(2)).await?;
    let mut change = passive(10);
    change.idle_timeout = timeout(2 * IDLE).map_or(Field::Keep, Field::Set);
    let updated = stage.update(ns, id(2), version(2), &change, at(0)).await?;
    assert_eq!(updated, Updated::Done);
    for number in [1, 2] {
        assert!(stage.touch(ns, id(number), at(MINUTE)).await?);
    }
    let other = stage.other();
    assert_eq!(other.load(ns, id(1), at(IDLE + MINUTE)).await?, None);
    let ended = other.claim_one(ns, at(IDLE + MINUTE)).await?;
    assert_eq!(ended.record.id, id(1));
    let last = other.load(ns, id(2), at(2 * IDLE + MINUTE - 1)).await?;
    assert_eq!(
        last.map(|record| record.idle_timeout),
        Some(timeout(2 * IDLE))
    );
    assert_eq!(other.load(ns, id(2), at(2 * IDLE + MINUTE)).await?, None);
    Ok(())
}
