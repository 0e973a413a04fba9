//! K: attempts that fail, dead letters, and what an operator does about them.

use tenure_store::{After, EndReason, Failure, Filter, Outcome, Phase, Resolve, Status};

use super::settle::{one_claimed, tombstone};
use crate::props::{HOUR, IDLE, LEASE, LEASE_MILLIS, at, failure, id, record, record_of};
use crate::story::Story;
use crate::{Stage, Verdict};

/// Not before the instant that was given; each failure is counted and the last one is
/// kept, to the byte.
pub async fn a_failed_attempt_is_tried_again_later(stage: &Stage) -> Verdict {
    let ns = stage.portal();
    let mut ended = one_claimed(stage).await?;
    let mut now = 0;
    for attempt in 1..=4 {
        let text = format!("{attempt}: {}", "né'\"%\n".repeat(200));
        let why = Failure::new(&text);
        let later = now + i64::from(attempt) * 100;
        let retry = Outcome::Retry {
            at: at(later),
            why: why.clone(),
        };
        assert!(stage.settle_one(ns, ended.ticket(), retry, at(now)).await?);
        let waiting = tombstone(stage, now).await?;
        assert_eq!(waiting.phase, Phase::Waiting { from: at(later) });
        assert_eq!(
            (waiting.failures, waiting.claims, waiting.unsettled),
            (attempt, attempt, 0)
        );
        assert_eq!(waiting.last_failure, Some(why));
        assert_eq!(stage.other().claim_all(ns, at(later - 1)).await?, []);
        ended = stage.other().claim_one(ns, at(later)).await?;
        assert_eq!(ended.tombstone.failures, attempt);
        assert_eq!(ended.tombstone.claims, attempt + 1);
        now = later;
    }
    Ok(())
}

/// A shutdown gives back what it did not get to: at once, and no failure is counted.
pub async fn a_released_claim_may_be_claimed_at_once(stage: &Stage) -> Verdict {
    let ns = stage.portal();
    let ended = one_claimed(stage).await?;
    assert!(
        stage
            .settle_one(ns, ended.ticket(), Outcome::Release, at(3))
            .await?
    );
    let waiting = tombstone(stage, 3).await?;
    assert_eq!(waiting.phase, Phase::Waiting { from: at(3) });
    assert_eq!(
        (waiting.failures, waiting.unsettled, waiting.last_failure),
        (0, 0, None)
    );
    let again = stage.other().claim_one(ns, at(3)).await?;
    assert_eq!((again.tombstone.claims, again.tombstone.unsettled), (2, 1));
    Ok(())
}

/// Kept whole, counted and listed; no reaper sees it again, however long it waits.
pub async fn a_dead_letter_is_kept_and_left_alone(stage: &Stage) -> Verdict {
    let ns = stage.portal();
    stage.put(ns, &record_of(1, "alice")).await?;
    stage
        .end(ns, id(1), None, EndReason::Logout, After::Queue, at(0))
        .await?;
    stage.bury(ns, at(1)).await?;
    for now in [at(1), at(HOUR), at(1_000 * HOUR)] {
        let claimed = stage.claim(ns, LEASE, 10, now).await?;
        assert_eq!(
            (claimed.ended, claimed.more, claimed.next_due),
            (vec![], false, None)
        );
        let counts = stage.count(ns, now).await?;
        assert_eq!((counts.dead, counts.oldest_due), (1, None));
        let mut filter = Filter::all(10);
        filter.status = Some(Status::Dead);
        let listed = stage.scan(ns, &filter, now).await?;
        assert_eq!(listed.len(), 1);
        assert_eq!(listed[0].record, record_of(1, "alice"));
        assert_eq!(stage.entry(ns, id(1), now).await?, listed[0]);
    }
    Ok(())
}

/// Back to the reapers at once, its failures forgotten; its attempts are counted on,
/// so that no ticket ever comes twice.
pub async fn a_requeued_dead_letter_starts_anew(stage: &Stage) -> Verdict {
    let ns = stage.portal();
    let first = one_claimed(stage).await?;
    let second = stage.claim_one(ns, at(LEASE_MILLIS)).await?;
    let dead = Outcome::Dead { why: failure("x") };
    assert!(
        stage
            .settle_one(ns, second.ticket(), dead, at(LEASE_MILLIS))
            .await?
    );
    let now = HOUR;
    assert!(
        stage
            .other()
            .resolve(ns, id(1), Resolve::Requeue, at(now))
            .await?
    );
    let waiting = tombstone(stage, now).await?;
    assert_eq!(waiting.phase, Phase::Waiting { from: at(now) });
    assert_eq!(
        (waiting.failures, waiting.unsettled, waiting.claims),
        (0, 0, 2)
    );
    let third = stage.claim_one(ns, at(now)).await?;
    assert_eq!(third.tombstone.claims, 3);
    for old in [first, second] {
        assert!(
            !stage
                .settle_one(ns, old.ticket(), Outcome::Done, at(now))
                .await?
        );
    }
    assert!(
        stage
            .settle_one(ns, third.ticket(), Outcome::Done, at(now))
            .await?
    );
    Ok(())
}

/// A dead letter or a waiting tombstone is gone, and its id free.
pub async fn a_discarded_tombstone_is_gone(stage: &Stage) -> Verdict {
    let ns = stage.portal();
    let discard = Resolve::Discard;
    stage.put(ns, &record(1)).await?;
    stage
        .end(ns, id(1), None, EndReason::Logout, After::Queue, at(0))
        .await?;
    stage.bury(ns, at(0)).await?;
    stage.put(ns, &record(2)).await?;
    stage
        .end(ns, id(2), None, EndReason::Logout, After::Queue, at(0))
        .await?;
    for number in [1, 2] {
        assert!(stage.resolve(ns, id(number), discard, at(1)).await?);
        assert_eq!(stage.other().inspect(ns, id(number), at(1)).await?, None);
        assert!(!stage.resolve(ns, id(number), discard, at(1)).await?);
        stage.put(ns, &record(number)).await?;
    }
    assert_eq!(stage.claim_all(ns, at(1)).await?, []);
    Ok(())
}

/// A waiting one is due at once; one whose lease is over may be taken from its late
/// holder.
pub async fn an_operator_can_take_what_nobody_holds(stage: &Stage) -> Verdict {
    let ns = stage.portal();
    let ended = one_claimed(stage).await?;
    let retry = Outcome::Retry {
        at: at(HOUR),
        why: failure("x"),
    };
    assert!(stage.settle_one(ns, ended.ticket(), retry, at(1)).await?);
    assert!(stage.resolve(ns, id(1), Resolve::Requeue, at(2)).await?);
    let again = stage.claim_one(ns, at(2)).await?;
    assert_eq!(again.tombstone.failures, 0);
    let lapsed = at(2 + LEASE_MILLIS);
    assert!(stage.resolve(ns, id(1), Resolve::Requeue, lapsed).await?);
    assert!(
        !stage
            .settle_one(ns, again.ticket(), Outcome::Done, lapsed)
            .await?
    );
    assert_eq!(stage.claim_one(ns, lapsed).await?.tombstone.claims, 3);
    Ok(())
}

/// Nor is there anything to decide about live sessions, or those that merely ran out.
pub async fn an_operator_takes_nothing_that_is_held_or_not_ended(stage: &Stage) -> Verdict {
    let ns = stage.portal();
    one_claimed(stage).await?;
    stage.put(ns, &record(2)).await?;
    let before = stage.everything(ns, at(IDLE)).await?;
    for what in [Resolve::Requeue, Resolve::Discard] {
        assert!(
            !stage.resolve(ns, id(1), what, at(LEASE_MILLIS - 1)).await?,
            "held"
        );
        assert!(!stage.resolve(ns, id(2), what, at(1)).await?, "live");
        assert!(!stage.resolve(ns, id(2), what, at(IDLE)).await?, "over");
        assert!(!stage.resolve(ns, id(3), what, at(1)).await?, "unknown");
    }
    assert_eq!(stage.everything(ns, at(IDLE)).await?, before);
    Ok(())
}
