//! C: what a clock that was ahead wrote down, once it is right.

use std::time::Duration;

use tenure_store::{After, EndReason, Outcome, Phase, Resolve, State, Status, Tombstone};

use crate::props::{HOUR, LEASE, LEASE_MILLIS, SECOND, at, endless, failure, id};
use crate::story::Story;
use crate::{Broken, Stage, Verdict};

/// A node whose clock is years ahead leaves a retry, a queued end, a claim given back and a
/// lease behind. Once its clock is right, all four are due: no right clock lets anything
/// wait for longer than an hour.
pub async fn what_a_clock_ahead_put_off_is_due_at_once(stage: &Stage) -> Verdict {
    let ns = stage.portal();
    let years = 3 * 365 * 24 * HOUR;
    for number in 1..=5 {
        stage.put(ns, &endless(number)).await?;
    }
    for number in 1..=4 {
        let (reason, now) = (EndReason::Logout, at(years));
        let ended = stage
            .end(ns, id(number), None, reason, After::Queue, now)
            .await?;
        assert!(ended.is_some());
    }
    let held = stage.claim_all(ns, at(years)).await?;
    assert_eq!(held.len(), 4);
    let ticket = |number| {
        let ended = held.iter().find(|ended| ended.record.id == id(number));
        ended.expect("it was claimed").ticket()
    };
    let (again, why) = (at(years + SECOND), failure("the mail server is away"));
    let retry = Outcome::Retry { at: again, why };
    assert!(stage.settle_one(ns, ticket(1), retry, at(years)).await?);
    assert!(
        stage
            .settle_one(ns, ticket(2), Outcome::Release, at(years))
            .await?
    );
    let (reason, now) = (EndReason::Logout, at(years));
    assert!(
        stage
            .end(ns, id(5), None, reason, After::Queue, now)
            .await?
            .is_some()
    );

    let counts = stage.count(ns, at(0)).await?;
    assert_eq!((counts.waiting, counts.held), (5, 0), "nobody holds any");
    let due = stage.other().claim_all(ns, at(0)).await?;
    let mut ids: Vec<_> = due.iter().map(|ended| ended.record.id).collect();
    ids.sort();
    let mut expected: Vec<_> = (1..=5).map(id).collect();
    expected.sort();
    assert_eq!(ids, expected);
    for ended in &due {
        assert!(
            stage
                .settle_one(ns, ended.ticket(), Outcome::Done, at(1))
                .await?
        );
    }
    assert!(
        !stage
            .settle_one(ns, ticket(3), Outcome::Done, at(1))
            .await?
    );
    Ok(())
}

/// What waits for less than the longest wait, and 30 s of skew, is what a right clock may
/// have written: it waits. A millisecond further, and it is due, and nobody's.
pub async fn an_hour_and_the_skew_are_waited_for(stage: &Stage) -> Verdict {
    let ns = stage.portal();
    let farthest = HOUR + 30 * SECOND;
    for number in [1, 2] {
        stage.put(ns, &endless(number)).await?;
    }
    let ahead = at(farthest - LEASE_MILLIS);
    let hold = After::Hold(LEASE);
    stage
        .end(ns, id(1), None, EndReason::Logout, hold, ahead)
        .await?;
    let (reason, queue) = (EndReason::Logout, After::Queue);
    stage
        .end(ns, id(2), None, reason, queue, at(farthest))
        .await?;

    assert_eq!(stage.claim_all(ns, at(0)).await?, []);
    assert_eq!(stage.count(ns, at(0)).await?.held, 1);
    assert!(!stage.resolve(ns, id(1), Resolve::Requeue, at(0)).await?);
    assert_eq!(stage.claim_all(ns, at(-1)).await?.len(), 2);
    Ok(())
}

/// An operator, too, goes by what a right clock can have written.
pub async fn an_operator_takes_what_a_clock_ahead_holds(stage: &Stage) -> Verdict {
    let ns = stage.portal();
    let (ahead, hold) = (at(24 * HOUR), After::Hold(LEASE));
    for number in [1, 2] {
        stage.put(ns, &endless(number)).await?;
        let ended = stage.end(ns, id(number), None, EndReason::Logout, hold, ahead);
        assert!(ended.await?.is_some());
        let entry = stage.entry(ns, id(number), at(0)).await?;
        assert_eq!(entry.status(at(0)), Status::Waiting);
    }
    assert!(stage.resolve(ns, id(1), Resolve::Discard, at(0)).await?);
    assert!(stage.resolve(ns, id(2), Resolve::Requeue, at(0)).await?);
    assert_eq!(stage.claim_one(ns, at(0)).await?.record.id, id(2));
    Ok(())
}

/// Without hooks, a lease that a clock wrote which was ahead holds up nothing either.
pub async fn a_purge_takes_what_a_clock_ahead_holds(stage: &Stage) -> Verdict {
    let ns = stage.visitors();
    stage.put(ns, &endless(1)).await?;
    let (ahead, hold) = (at(24 * HOUR), After::Hold(LEASE));
    let ended = stage.end(ns, id(1), None, EndReason::Logout, hold, ahead);
    assert!(ended.await?.is_some());
    let purged = stage.purge(ns, 10, at(0)).await?;
    assert_eq!(purged.removed, 1);
    assert_eq!(stage.inspect(ns, id(1), at(0)).await?, None);
    Ok(())
}

/// Longer than an hour is nothing put off, whoever asks for it.
pub async fn nothing_is_put_off_for_more_than_an_hour(stage: &Stage) -> Verdict {
    let ns = stage.portal();
    let (week, hour) = (Duration::from_hours(7 * 24), at(HOUR));
    for number in [1, 2] {
        stage.put(ns, &endless(number)).await?;
    }
    let hold = After::Hold(week);
    let ended = stage
        .end(ns, id(1), None, EndReason::Logout, hold, at(0))
        .await?;
    let ended = ended.expect("it was live");
    assert_eq!(ended.tombstone.phase, Phase::Held { until: hour });
    assert_eq!(stage.renew(ns, &[ended.ticket()], week, at(0)).await?, 1);
    let phase = async |number| match stage.entry(ns, id(number), at(0)).await?.state {
        State::Ended(Tombstone { phase, .. }) => Ok::<_, Broken>(phase),
        other => panic!("it has a tombstone, not {other:?}"),
    };
    assert_eq!(phase(1).await?, Phase::Held { until: hour });

    let (reason, queue) = (EndReason::Logout, After::Queue);
    stage.end(ns, id(2), None, reason, queue, at(0)).await?;
    let claimed = stage.claim(ns, week, 10, at(0)).await?;
    assert_eq!(claimed.ended.len(), 1);
    let ended = &claimed.ended[0];
    assert_eq!(ended.tombstone.phase, Phase::Held { until: hour });
    let (after, why) = (at(7 * 24 * HOUR), failure("later"));
    let retry = Outcome::Retry { at: after, why };
    assert!(stage.settle_one(ns, ended.ticket(), retry, at(0)).await?);
    assert_eq!(phase(2).await?, Phase::Waiting { from: hour });
    Ok(())
}
