//! C: clocks that step back, jump ahead, or differ between nodes.

use tenure_store::{After, EndReason, Outcome, Record, Status, Timestamp, Updated};

use crate::props::{
    HOUR, IDLE, LEASE, LEASE_MILLIS, SECOND, at, counted, id, record, record_at, rows, timeout,
    version,
};
use crate::story::Story;
use crate::{Stage, Verdict};

/// An hour back: accesses are counted, and last ones stay where they were.
pub async fn no_time_moves_back_with_the_clock(stage: &Stage) -> Verdict {
    let ns = stage.portal();
    stage.put(ns, &record(1)).await?;
    assert!(stage.touch(ns, id(1), at(10)).await?);
    assert!(stage.touch(ns, id(1), at(-HOUR)).await?);
    let updated = stage
        .update(ns, id(1), version(1), &counted(2), at(-HOUR))
        .await?;
    assert_eq!(updated, Updated::Done);
    let loaded = stage.load(ns, id(1), at(-HOUR)).await?.expect("it is live");
    assert_eq!((loaded.last_access, loaded.accesses), (at(10), 4));
    assert_eq!(
        (loaded.created, loaded.expires_at()),
        (at(0), Some(at(IDLE + 10)))
    );
    Ok(())
}

/// An hour ahead and back: what a reaper or a caller ended in between stays ended, and
/// has one end.
pub async fn what_ended_stays_ended_when_the_clock_steps_back(stage: &Stage) -> Verdict {
    let ns = stage.portal();
    let queue = After::Queue;
    stage.put(ns, &record(1)).await?;
    let reaped = stage.claim_one(ns, at(HOUR)).await?.ticket();
    stage.put(ns, &record(2)).await?;
    stage
        .end(ns, id(2), None, EndReason::Logout, queue, at(IDLE - 1))
        .await?;
    stage.put(ns, &record_at(3, at(HOUR))).await?;
    stage
        .end(ns, id(3), None, EndReason::Logout, queue, at(HOUR))
        .await?;

    for number in [1, 2, 3] {
        assert_eq!(stage.load(ns, id(number), at(1)).await?, None);
        assert!(!stage.touch(ns, id(number), at(1)).await?);
        let updated = stage
            .update(ns, id(number), version(number), &counted(9), at(1))
            .await?;
        assert_eq!(updated, Updated::Gone);
        let again = stage
            .end(ns, id(number), None, EndReason::Administrator, queue, at(1))
            .await?;
        assert_eq!(again, None);
    }
    assert!(stage.settle_one(ns, reaped, Outcome::Done, at(1)).await?);
    let rest = stage.reap(ns, at(2 * HOUR)).await?;
    assert_eq!(rest.len(), 2, "one end each");
    assert_eq!(stage.reap(ns, at(3 * HOUR)).await?, []);
    Ok(())
}

/// Nobody ended it, so it is there again when the clock is right again.
pub async fn what_a_clock_merely_jumped_past_is_not_ended(stage: &Stage) -> Verdict {
    let ns = stage.portal();
    stage.put(ns, &record(1)).await?;
    assert_eq!(stage.load(ns, id(1), at(HOUR)).await?, None);
    assert!(!stage.touch(ns, id(1), at(HOUR)).await?);
    let status = stage.entry(ns, id(1), at(HOUR)).await?.status(at(HOUR));
    assert_eq!(status, Status::Over);
    assert_eq!(stage.load(ns, id(1), at(1)).await?, Some(record(1)));
    assert!(stage.touch(ns, id(1), at(1)).await?);
    Ok(())
}

/// A node whose clock is half a minute ahead ends a session that much early and no
/// earlier, and takes nothing whose lease is longer than that.
pub async fn a_clock_ahead_ends_nothing_by_more_than_that(stage: &Stage) -> Verdict {
    let ns = stage.portal();
    let (ahead, skew) = (stage.other(), 30 * SECOND);
    stage.put(ns, &record(1)).await?;
    stage.put(ns, &record(2)).await?;
    assert_eq!(ahead.claim_all(ns, at(IDLE - 1)).await?, []);
    let now = IDLE - skew;
    assert!(stage.touch(ns, id(2), at(now)).await?);
    let ended = ahead.claim_one(ns, at(now + skew)).await?;
    assert_eq!((ended.record.id, ended.tombstone.end.at), (id(1), at(IDLE)));

    let hold = After::Hold(LEASE);
    let ended = stage
        .end(ns, id(2), None, EndReason::Logout, hold, at(now))
        .await?;
    let ticket = ended.expect("it was live").ticket();
    let later = now + LEASE_MILLIS - skew - 1;
    assert_eq!(
        ahead.claim_all(ns, at(later + skew)).await?,
        [],
        "the lease holds"
    );
    assert!(
        stage
            .settle_one(ns, ticket, Outcome::Done, at(later))
            .await?
    );
    Ok(())
}

/// Every node was down while they ran out: a year later each comes once, with the
/// reason and the instant that it had.
pub async fn what_ran_out_while_nobody_looked_is_reaped(stage: &Stage) -> Verdict {
    let ns = stage.portal();
    let count = rows(500);
    let step = |number: u64| i64::try_from(number).unwrap_or(0) * SECOND;
    let records = (0..count).map(|number| Record {
        idle_timeout: timeout(IDLE + step(number)),
        ..record(number)
    });
    stage.put_many(ns, records.collect()).await?;
    let ended = stage.reap(ns, at(365 * 24 * HOUR)).await?;
    let mut ends: Vec<_> = ended.iter().map(|ended| ended.tombstone.end).collect();
    ends.sort_by_key(|end| end.at);
    let instants: Vec<_> = ends.iter().map(|end| end.at).collect();
    let expected: Vec<_> = (0..count).map(|number| at(IDLE + step(number))).collect();
    assert_eq!(instants, expected);
    assert!(ends.iter().all(|end| end.reason == EndReason::IdleTimeout));
    Ok(())
}

/// Times that no right clock wrote: they are kept, judged like others, and can be
/// listed, ended and reaped.
pub async fn times_in_the_future_are_survived(stage: &Stage) -> Verdict {
    let ns = stage.portal();
    let future = record_at(1, at(100 * HOUR));
    let accessed = Record {
        last_access: at(50 * HOUR),
        lifetime: None,
        ..record(2)
    };
    let never_yet = Record {
        last_access: Timestamp::MIN,
        idle_timeout: None,
        ..record(3)
    };
    for record in [&future, &accessed, &never_yet] {
        let created = stage.create(ns, record, at(0)).await?;
        assert_eq!(created, tenure_store::Created::Done);
        assert_eq!(
            stage.load(ns, record.id, at(0)).await?.as_ref(),
            Some(record)
        );
    }
    assert!(stage.touch(ns, id(2), at(1)).await?);
    let loaded = stage.load(ns, id(2), at(1)).await?.expect("it is live");
    assert_eq!(loaded.last_access, at(50 * HOUR));
    assert!(stage.touch(ns, id(3), at(1)).await?);
    let loaded = stage.load(ns, id(3), at(1)).await?.expect("it is live");
    assert_eq!(loaded.last_access, at(1));
    assert_eq!(stage.claim_all(ns, at(2)).await?, []);
    assert_eq!(stage.everything(ns, at(2)).await?.len(), 3);
    let ended = stage
        .end(ns, id(1), None, EndReason::Logout, After::Queue, at(3))
        .await?;
    assert!(ended.is_some());
    assert_eq!(stage.reap(ns, at(200 * HOUR)).await?.len(), 3);
    Ok(())
}
