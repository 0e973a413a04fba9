//! K: what a claim finds, in which order, and when to come back.

use std::collections::BTreeSet;

use tenure_store::{After, EndReason, Ended, Outcome, Updated};
use tokio::task::JoinSet;

use crate::props::{IDLE, LEASE, MINUTE, at, id, record, record_at, rows, version};
use crate::story::{PATIENCE, Story, all};
use crate::{Stage, Verdict};

fn millis(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

fn ids(ended: &[Ended]) -> BTreeSet<tenure_store::SessionId> {
    ended.iter().map(|ended| ended.record.id).collect()
}

async fn so_many_reapers(stage: &Stage, reapers: u64) -> Verdict {
    let ns = stage.portal();
    let many = rows(10_000);
    stage.put_many(ns, (0..many).map(record).collect()).await?;
    stage.reset(ns, at(1)).await?;
    let mut reaping = JoinSet::new();
    for reaper in 0..reapers {
        let (node, ns) = (stage.nth(reaper), ns.clone());
        reaping.spawn(async move {
            let mut mine = Vec::new();
            for _ in 0..PATIENCE {
                let claimed = node.claim(&ns, LEASE, 50, at(2)).await?;
                let done = claimed
                    .ended
                    .iter()
                    .map(|ended| (ended.ticket(), Outcome::Done));
                let done: Vec<_> = done.collect();
                let settled = node.settle(&ns, &done, at(2)).await?;
                assert_eq!(settled, done.len() as u64, "nobody else had them");
                mine.extend(claimed.ended);
                if !claimed.more {
                    return Ok(mine);
                }
            }
            panic!("there is always more to claim");
        });
    }
    let mut ended = all(reaping).await?.concat();
    ended.extend(stage.reap(ns, at(2)).await?);
    assert_eq!((ids(&ended).len() as u64, ended.len() as u64), (many, many));
    assert!(ended.iter().all(|ended| ended.tombstone.claims == 1));
    assert_eq!(stage.everything(ns, at(2)).await?, []);
    Ok(())
}

pub async fn two_reapers_get_each_session_once(stage: &Stage) -> Verdict {
    so_many_reapers(stage, 2).await
}

pub async fn eight_reapers_get_each_session_once(stage: &Stage) -> Verdict {
    so_many_reapers(stage, 8).await
}

/// By a touch or an update, a millisecond before it would have run out; and not after
/// the claim.
pub async fn a_session_used_just_before_the_claim_lives_on(stage: &Stage) -> Verdict {
    let ns = stage.portal();
    for number in 1..=3 {
        stage.put(ns, &record(number)).await?;
    }
    assert!(stage.touch(ns, id(1), at(IDLE - 1)).await?);
    let change = crate::props::counted(9);
    let updated = stage
        .update(ns, id(2), version(2), &change, at(IDLE - 1))
        .await?;
    assert_eq!(updated, Updated::Done);
    assert_eq!(
        stage.other().claim_one(ns, at(IDLE)).await?.record.id,
        id(3)
    );
    for number in 1..=3 {
        let touched = stage.touch(ns, id(number), at(IDLE)).await?;
        assert_eq!(touched, number < 3, "session {number}");
    }
    assert_eq!(
        stage.claim_all(ns, at(2 * IDLE - 1)).await?.len(),
        1,
        "the lease of 3 is over"
    );
    assert_eq!(
        ids(&stage.claim_all(ns, at(2 * IDLE)).await?),
        [id(1), id(2)].into()
    );
    Ok(())
}

/// Touched and claimed at once, again and again: it lives on or it is gone, never both.
pub async fn a_touch_racing_a_claim_has_one_winner(stage: &Stage) -> Verdict {
    let ns = stage.portal();
    for number in 0..40 {
        stage.put(ns, &record(number)).await?;
        let (node, touching) = (stage.nth(number), ns.clone());
        // Its clock is a little behind, so that either may win.
        let touch =
            tokio::spawn(async move { node.touch(&touching, id(number), at(IDLE - 1)).await });
        let (node, claiming) = (stage.nth(number + 1), ns.clone());
        let claim = tokio::spawn(async move { node.reap(&claiming, at(IDLE)).await });
        let touched = touch.await.expect("the task did not panic")?;
        let ended = claim.await.expect("the task did not panic")?;
        assert_eq!(touched, ended.is_empty(), "{ended:?}");
        assert_eq!(
            stage.load(ns, id(number), at(IDLE)).await?.is_some(),
            touched
        );
        let queue = After::Discard;
        stage
            .end(ns, id(number), None, EndReason::Logout, queue, at(IDLE))
            .await?;
    }
    Ok(())
}

/// No claim returns more than it was asked for, and following `more` gets all, once.
pub async fn a_backlog_drains_in_batches(stage: &Stage) -> Verdict {
    let ns = stage.portal();
    stage.put_many(ns, (0..200).map(record).collect()).await?;
    let ended = stage.claim_by(ns, 20, at(IDLE)).await?;
    assert_eq!((ids(&ended).len(), ended.len()), (200, 200));
    Ok(())
}

/// Those due first come first, or nearly so: a store that keeps them in several places
/// may be ahead in one of them, but what is oldest is never kept for last.
pub async fn the_oldest_come_first(stage: &Stage) -> Verdict {
    let ns = stage.portal();
    let records = (0..300).map(|number| record_at(number, at(millis(number) * MINUTE)));
    stage.put_many(ns, records.collect()).await?;
    let ended = stage.claim_by(ns, 10, at(300 * MINUTE + IDLE)).await?;
    let order: Vec<_> = ended.iter().map(|ended| ended.tombstone.end.at).collect();
    assert_eq!(order.len(), 300);
    let pairs = (0..300).flat_map(|late| (0..late).map(move |early| (early, late)));
    let wrong = pairs
        .filter(|(early, late)| order[*early] > order[*late])
        .count();
    // In any number of places, each in order, at most half of all pairs are wrong.
    assert!(
        wrong * 5 < 300 * 299 / 2 * 3,
        "{wrong} pairs came in the wrong order"
    );
    Ok(())
}

/// Though as many new ones fall due as are claimed, the old ones come out.
pub async fn nothing_starves(stage: &Stage) -> Verdict {
    let ns = stage.portal();
    let old: BTreeSet<_> = (0..100).map(id).collect();
    stage.put_many(ns, (0..100).map(record).collect()).await?;
    let mut left = old;
    for round in 0..300 {
        for number in 0..10 {
            let fresh = record_at(1_000 + round * 10 + number, at(millis(round)));
            stage.put(ns, &fresh).await?;
        }
        let now = at(millis(round) + IDLE);
        let claimed = stage.claim(ns, LEASE, 10, now).await?;
        let done = claimed
            .ended
            .iter()
            .map(|ended| (ended.ticket(), Outcome::Done));
        stage.settle(ns, &done.collect::<Vec<_>>(), now).await?;
        for ended in claimed.ended {
            left.remove(&ended.record.id);
        }
        if left.is_empty() {
            return Ok(());
        }
    }
    panic!("{} of the oldest 100 never came", left.len());
}

/// Most of a large backlog was used meanwhile: the few that ended come out all the
/// same, by following `more`, and the others live on and come when they are due.
pub async fn the_few_that_ended_come_out_from_among_the_used(stage: &Stage) -> Verdict {
    let ns = stage.portal();
    let many = rows(20_000);
    stage.put_many(ns, (0..many).map(record).collect()).await?;
    let mut touching = JoinSet::new();
    for task in 0..16 {
        let (node, ns) = (stage.nth(task), ns.clone());
        touching.spawn(async move {
            for number in (task..many).step_by(16).filter(|number| *number >= 10) {
                assert!(node.touch(&ns, id(number), at(IDLE - 1)).await?);
            }
            Ok(())
        });
    }
    all(touching).await?;
    let ended = stage.reap(ns, at(IDLE)).await?;
    assert_eq!(ids(&ended), (0..10).map(id).collect());
    assert_eq!(stage.count(ns, at(IDLE)).await?.live, many - 10);
    assert_eq!(stage.reap(ns, at(2 * IDLE - 2)).await?, []);
    let ended = stage.reap(ns, at(2 * IDLE - 1)).await?;
    assert_eq!(ids(&ended).len() as u64, many - 10);
    Ok(())
}
