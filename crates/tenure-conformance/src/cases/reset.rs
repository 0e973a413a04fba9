//! J: ending all sessions of an application at once.

use std::collections::{BTreeMap, BTreeSet};

use tenure_store::{After, EndReason, Outcome, Record, State, Timestamp};

use crate::props::{HOUR, IDLE, LEASE, at, endless, id, record, record_at, rows, timeout};
use crate::story::Story;
use crate::{Stage, Verdict};

/// Whatever had been created is absent on every node when the call returns, and what is
/// created afterwards lives.
pub async fn a_reset_ends_what_came_before_it_and_nothing_after(stage: &Stage) -> Verdict {
    let ns = stage.portal();
    let many = rows(10_000);
    stage.put_many(ns, (0..many).map(endless).collect()).await?;
    stage.other().reset(ns, at(1)).await?;
    for number in 0..many.min(500) {
        let node = stage.nth(number);
        assert_eq!(node.load(ns, id(number), at(1)).await?, None);
        assert!(!node.touch(ns, id(number), at(1)).await?);
    }
    let counts = stage.count(ns, at(1)).await?;
    assert_eq!((counts.live, counts.over), (0, many));
    assert_eq!(counts.oldest_due, Some(at(1)));

    for number in [many, many + 1] {
        stage.nth(number).put(ns, &record_at(number, at(1))).await?;
        assert!(stage.nth(number + 1).touch(ns, id(number), at(2)).await?);
    }
    let ended = stage.reap(ns, at(3)).await?;
    let ids: BTreeSet<_> = ended.iter().map(|ended| ended.record.id).collect();
    assert_eq!(
        (ids.len() as u64, ended.len() as u64),
        (many, many),
        "one hook each"
    );
    assert_eq!(stage.count(ns, at(3)).await?.live, 2);
    Ok(())
}

/// The reset's instant, unless the session had run out before it; on a tie, its own
/// cause.
pub async fn a_reset_is_the_reason_unless_there_was_an_earlier_one(stage: &Stage) -> Verdict {
    let ns = stage.portal();
    let causes = [
        (1, 49, EndReason::IdleTimeout, at(49)),
        (2, 50, EndReason::IdleTimeout, at(50)),
        (3, 51, EndReason::ApplicationReset, at(50)),
        (4, HOUR, EndReason::ApplicationReset, at(50)),
    ];
    for (number, idle, ..) in causes {
        let idle_timeout = timeout(idle);
        stage
            .put(
                ns,
                &Record {
                    idle_timeout,
                    ..record(number)
                },
            )
            .await?;
    }
    stage.reset(ns, at(50)).await?;
    // Seen much later, each still has the cause that it had then.
    for now in [at(51), at(100 * HOUR)] {
        for (number, _, reason, instant) in causes {
            let State::Over(end) = stage.entry(ns, id(number), now).await?.state else {
                panic!("no reaper came by");
            };
            assert_eq!((end.reason, end.at), (reason, instant), "session {number}");
        }
    }
    let ends: BTreeMap<_, _> = stage
        .reap(ns, at(100 * HOUR))
        .await?
        .into_iter()
        .map(|ended| (ended.record.id, ended.tombstone.end))
        .collect();
    for (number, _, reason, instant) in causes {
        let end = ends[&id(number)];
        assert_eq!((end.reason, end.at), (reason, instant), "session {number}");
    }
    Ok(())
}

/// A namespace remembers when each of its resets was, for as long as it matters.
pub async fn each_session_is_ended_by_the_first_reset_after_it(stage: &Stage) -> Verdict {
    let ns = stage.portal();
    for number in 1..=20 {
        let now = i64::try_from(number).unwrap_or(0) * 10;
        stage.put(ns, &endless(number)).await?;
        stage.nth(number).reset(ns, at(now)).await?;
        stage.reset(ns, at(now + 5)).await?;
    }
    let ended = stage.reap(ns, at(HOUR)).await?;
    let mut ends: Vec<_> = ended
        .into_iter()
        .map(|ended| {
            (
                ended.tombstone.end.at,
                ended.tombstone.end.reason,
                ended.record.id,
            )
        })
        .collect();
    ends.sort_unstable();
    let reset = EndReason::ApplicationReset;
    let expected = (1..=20).map(|number| {
        let now = i64::try_from(number).unwrap_or(0) * 10;
        (at(now), reset, id(number))
    });
    assert_eq!(ends, expected.collect::<Vec<_>>());
    Ok(())
}

/// What had ended before keeps its reason, its instant, its holder and its ticket.
pub async fn a_reset_leaves_tombstones_alone(stage: &Stage) -> Verdict {
    let ns = stage.portal();
    stage.put(ns, &record(3)).await?;
    stage
        .end(ns, id(3), None, EndReason::Logout, After::Queue, at(1))
        .await?;
    stage.bury(ns, at(1)).await?;
    stage.put(ns, &record(1)).await?;
    stage
        .end(ns, id(1), None, EndReason::Logout, After::Queue, at(1))
        .await?;
    stage.put(ns, &record(2)).await?;
    let hold = After::Hold(LEASE);
    let ended = stage
        .end(ns, id(2), None, EndReason::Administrator, hold, at(1))
        .await?;
    let before = stage.everything(ns, at(2)).await?;

    stage.reset(ns, at(2)).await?;

    assert_eq!(stage.everything(ns, at(2)).await?, before);
    let ticket = ended.expect("it was live").ticket();
    assert!(stage.settle_one(ns, ticket, Outcome::Done, at(3)).await?);
    assert_eq!(stage.claim_one(ns, at(3)).await?.record.id, id(1));
    Ok(())
}

pub async fn a_reset_of_nothing_is_fine(stage: &Stage) -> Verdict {
    let ns = stage.portal();
    for _ in 0..3 {
        stage.reset(ns, at(1)).await?;
        stage.other().reset(ns, at(1)).await?;
    }
    assert_eq!(stage.claim_all(ns, at(2)).await?, []);
    stage.put(ns, &record(1)).await?;
    assert_eq!(stage.load(ns, id(1), at(2)).await?, Some(record(1)));
    Ok(())
}

/// Nor does ending a session touch the visitor, or resetting visitors the sessions.
pub async fn a_reset_of_sessions_leaves_visitors_alone(stage: &Stage) -> Verdict {
    let (sessions, visitors) = (stage.portal(), stage.visitors());
    for ns in [sessions, visitors] {
        stage.put(ns, &record(1)).await?;
        stage.put(ns, &record(2)).await?;
    }
    stage
        .end(
            sessions,
            id(1),
            None,
            EndReason::Logout,
            After::Queue,
            at(1),
        )
        .await?;
    stage.reset(sessions, at(2)).await?;
    for number in [1, 2] {
        let loaded = stage.load(visitors, id(number), at(3)).await?;
        assert_eq!(loaded, Some(record(number)));
    }
    stage.put(sessions, &record(3)).await?;
    stage.reset(visitors, at(4)).await?;
    assert_eq!(stage.load(sessions, id(3), at(5)).await?, Some(record(3)));
    assert_eq!(stage.load(visitors, id(1), at(5)).await?, None);
    Ok(())
}

/// A session created on a clock ahead of the reset's is an old one all the same.
pub async fn a_reset_goes_by_order_not_by_clocks(stage: &Stage) -> Verdict {
    let ns = stage.portal();
    stage.other().put(ns, &record_at(1, at(IDLE))).await?;
    stage.reset(ns, at(1)).await?;
    assert_eq!(stage.load(ns, id(1), at(IDLE)).await?, None);
    stage.put(ns, &record_at(2, at(-1))).await?;
    assert!(stage.load(ns, id(2), at(0)).await?.is_some());
    assert!(stage.load(ns, id(2), Timestamp::MIN).await?.is_some());
    let ended = stage.claim_one(ns, at(1)).await?;
    assert_eq!((ended.record.id, ended.tombstone.end.at), (id(1), at(1)));
    Ok(())
}
