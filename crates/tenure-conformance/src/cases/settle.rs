//! K: tickets, leases, attempts that fail, dead letters.

use std::collections::BTreeSet;

use tenure_store::{After, EndReason, Ended, Outcome, Phase, Resolve, State, Tombstone};

use crate::props::{LEASE, LEASE_MILLIS, at, failure, id, record};
use crate::story::{Story, both};
use crate::{Stage, Verdict};

/// A session that was logged out at `at(0)`, and claimed.
pub(super) async fn one_claimed(stage: &Stage) -> Result<Ended, crate::Broken> {
    let ns = stage.portal();
    stage.put(ns, &record(1)).await?;
    stage
        .end(ns, id(1), None, EndReason::Logout, After::Queue, at(0))
        .await?;
    Ok(stage.claim_one(ns, at(0)).await?)
}

pub(super) async fn tombstone(stage: &Stage, now: i64) -> Result<Tombstone, crate::Broken> {
    match stage
        .other()
        .entry(stage.portal(), id(1), at(now))
        .await?
        .state
    {
        State::Ended(tombstone) => Ok(tombstone),
        other => panic!("it has a tombstone, not {other:?}"),
    }
}

/// What a claim returns is what is kept: a held tombstone, its attempts counted.
pub async fn a_claim_holds_what_it_returns(stage: &Stage) -> Verdict {
    let ended = one_claimed(stage).await?;
    let mut expected = Tombstone::new(ended.tombstone.end);
    expected.claim(LEASE, at(0));
    assert_eq!(ended.tombstone, expected);
    assert_eq!(tombstone(stage, 1).await?, expected);
    assert_eq!(ended.record, record(1));
    Ok(())
}

/// A reaper that dies loses nothing: after the lease, and no earlier, it comes again
/// with the next attempt's number, as often as it takes.
pub async fn a_claim_nobody_settles_comes_again(stage: &Stage) -> Verdict {
    let ns = stage.portal();
    let first = one_claimed(stage).await?;
    assert_eq!(first.tombstone.claims, 1);
    for attempt in 2..=5 {
        let now = i64::from(attempt - 1) * LEASE_MILLIS;
        assert_eq!(stage.claim_all(ns, at(now - 1)).await?, []);
        let again = stage.nth(u64::from(attempt)).claim_one(ns, at(now)).await?;
        assert_eq!(again.record, first.record);
        assert_eq!(again.tombstone.end, first.tombstone.end);
        assert_eq!(
            (again.tombstone.claims, again.tombstone.unsettled),
            (attempt, attempt)
        );
        assert_eq!(again.tombstone.failures, 0);
    }
    Ok(())
}

/// Late is not too late, as long as nobody else has claimed it.
pub async fn a_late_ticket_is_good_until_somebody_else_claims(stage: &Stage) -> Verdict {
    let ns = stage.portal();
    let ended = one_claimed(stage).await?;
    let late = at(10 * LEASE_MILLIS);
    assert!(
        stage
            .other()
            .settle_one(ns, ended.ticket(), Outcome::Done, late)
            .await?
    );
    assert_eq!(stage.inspect(ns, id(1), late).await?, None);
    Ok(())
}

/// Whatever the overtaken reaper says about its attempt changes nothing.
pub async fn an_overtaken_ticket_settles_nothing(stage: &Stage) -> Verdict {
    let ns = stage.portal();
    let first = one_claimed(stage).await?;
    let second = stage.other().claim_one(ns, at(LEASE_MILLIS)).await?;
    let before = stage.everything(ns, at(LEASE_MILLIS)).await?;
    let why = failure("late");
    let outcomes = [
        Outcome::Done,
        Outcome::Release,
        Outcome::Retry {
            at: at(0),
            why: why.clone(),
        },
        Outcome::Dead { why },
    ];
    for outcome in outcomes {
        let settled = stage
            .settle_one(ns, first.ticket(), outcome, at(LEASE_MILLIS))
            .await?;
        assert!(!settled);
    }
    let renewed = stage
        .renew(ns, &[first.ticket()], LEASE, at(LEASE_MILLIS))
        .await?;
    assert_eq!(renewed, 0);
    assert_eq!(stage.everything(ns, at(LEASE_MILLIS)).await?, before);
    let now = at(LEASE_MILLIS + 1);
    assert!(
        stage
            .settle_one(ns, second.ticket(), Outcome::Done, now)
            .await?
    );
    Ok(())
}

/// For every outcome: a second settlement finds the ticket used.
pub async fn a_ticket_is_used_up_by_settling(stage: &Stage) -> Verdict {
    let ns = stage.portal();
    let why = failure("again");
    let outcomes = [
        Outcome::Release,
        Outcome::Retry {
            at: at(5),
            why: why.clone(),
        },
        Outcome::Dead { why },
        Outcome::Done,
    ];
    let mut ticket = one_claimed(stage).await?.ticket();
    for outcome in outcomes {
        assert!(stage.settle_one(ns, ticket, outcome.clone(), at(5)).await?);
        for second in [&outcome, &Outcome::Done, &Outcome::Release] {
            assert!(!stage.settle_one(ns, ticket, second.clone(), at(5)).await?);
        }
        assert_eq!(stage.renew(ns, &[ticket], LEASE, at(5)).await?, 0);
        if let Outcome::Dead { .. } = outcome {
            assert!(stage.resolve(ns, id(1), Resolve::Requeue, at(5)).await?);
        }
        if outcome != Outcome::Done {
            ticket = stage.claim_one(ns, at(5)).await?.ticket();
        }
    }
    Ok(())
}

/// Two nodes settle one ticket at once, or one batch names it twice: the first counts,
/// once.
pub async fn of_several_outcomes_the_first_counts(stage: &Stage) -> Verdict {
    let ns = stage.portal();
    let why = failure("first");
    let ticket = one_claimed(stage).await?.ticket();
    let batch = [
        (ticket, Outcome::Dead { why: why.clone() }),
        (ticket, Outcome::Done),
    ];
    assert_eq!(stage.settle(ns, &batch, at(1)).await?, 1);
    let dead = tombstone(stage, 1).await?;
    assert_eq!(
        (dead.phase, dead.failures, dead.last_failure),
        (Phase::Dead, 1, Some(why))
    );

    assert!(stage.resolve(ns, id(1), Resolve::Requeue, at(2)).await?);
    let ticket = stage.claim_one(ns, at(2)).await?.ticket();
    let settled = both(stage, |node| {
        let ns = ns.clone();
        async move { node.settle(&ns, &[(ticket, Outcome::Done)], at(3)).await }
    });
    assert_eq!(settled.await?.iter().sum::<u64>(), 1);
    Ok(())
}

/// Good tickets are settled beside bad ones, each as it says, and the good are counted.
pub async fn a_batch_settles_each_of_its_tickets(stage: &Stage) -> Verdict {
    let ns = stage.portal();
    for number in 0..10 {
        stage.put(ns, &record(number)).await?;
    }
    stage.reset(ns, at(0)).await?;
    let ended = stage.claim_all(ns, at(0)).await?;
    let mut batch = Vec::new();
    for (index, ended) in ended.iter().enumerate() {
        let why = failure("said");
        let mut ticket = ended.ticket();
        let outcome = match index {
            0..3 => Outcome::Done,
            3..5 => Outcome::Retry { at: at(50), why },
            5 => Outcome::Dead { why },
            6 => Outcome::Release,
            7 => {
                ticket.claim += 1;
                Outcome::Done
            }
            8 => {
                ticket.id = id(99);
                Outcome::Done
            }
            _ => break,
        };
        batch.push((ticket, outcome));
    }
    assert_eq!(stage.settle(ns, &batch, at(1)).await?, 7);
    let counts = stage.count(ns, at(1)).await?;
    assert_eq!((counts.waiting, counts.held, counts.dead), (3, 3, 1));
    assert_eq!(stage.settle(ns, &[], at(1)).await?, 0);
    assert_eq!(stage.renew(ns, &[], LEASE, at(1)).await?, 0);
    Ok(())
}

/// A hook that takes longer than its lease keeps it by renewing, also a little late.
pub async fn a_renewed_lease_holds(stage: &Stage) -> Verdict {
    let ns = stage.portal();
    let ticket = one_claimed(stage).await?.ticket();
    for step in 1..=5 {
        let now = step * (LEASE_MILLIS - 1);
        assert_eq!(stage.other().claim_all(ns, at(now)).await?, []);
        assert_eq!(stage.renew(ns, &[ticket], LEASE, at(now)).await?, 1);
        let until = at(now).plus(LEASE);
        assert_eq!(tombstone(stage, now).await?.phase, Phase::Held { until });
    }
    let late = 10 * LEASE_MILLIS;
    assert_eq!(
        stage.renew(ns, &[ticket], LEASE, at(late)).await?,
        1,
        "nobody else claimed"
    );
    assert_eq!(stage.claim_all(ns, at(late)).await?, []);
    let held = tombstone(stage, late).await?;
    assert_eq!(
        (held.claims, held.unsettled),
        (1, 1),
        "renewing is no attempt"
    );
    assert!(
        stage
            .settle_one(ns, ticket, Outcome::Done, at(late))
            .await?
    );
    Ok(())
}

/// Only those that are still good, and it says how many.
pub async fn renewing_renews_what_is_still_ones_own(stage: &Stage) -> Verdict {
    let ns = stage.portal();
    for number in 0..6 {
        stage.put(ns, &record(number)).await?;
    }
    stage.reset(ns, at(0)).await?;
    let tickets: Vec<_> = stage
        .claim_all(ns, at(0))
        .await?
        .iter()
        .map(Ended::ticket)
        .collect();
    assert!(
        stage
            .settle_one(ns, tickets[0], Outcome::Done, at(1))
            .await?
    );
    assert!(
        stage
            .settle_one(ns, tickets[1], Outcome::Release, at(1))
            .await?
    );
    let taken = stage.other().claim_one(ns, at(1)).await?;
    assert_eq!(taken.record.id, tickets[1].id);
    let renewed = stage.renew(ns, &tickets, 10 * LEASE, at(2)).await?;
    assert_eq!(renewed, 4);
    let lapsed = stage.claim_all(ns, at(1 + LEASE_MILLIS)).await?;
    let lapsed: BTreeSet<_> = lapsed.iter().map(|ended| ended.record.id).collect();
    assert_eq!(lapsed, [tickets[1].id].into());
    Ok(())
}
