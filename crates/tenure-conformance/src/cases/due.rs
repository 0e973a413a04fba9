//! K: when a reaper has to come back.

use std::collections::BTreeSet;

use tenure_store::{After, EndReason, Ended, Field, Outcome, Record, Timestamp, Updated};

use crate::props::{
    HOUR, IDLE, LEASE, LEASE_MILLIS, MINUTE, at, endless, id, passive, record, timeout, version,
};
use crate::story::{PATIENCE, Story};
use crate::{Stage, Verdict};

fn ids(ended: &[Ended]) -> BTreeSet<tenure_store::SessionId> {
    ended.iter().map(|ended| ended.record.id).collect()
}

/// Among live sessions only, and among none: no row, no `more`, and nothing changes.
pub async fn a_claim_with_nothing_due_changes_nothing(stage: &Stage) -> Verdict {
    let ns = stage.portal();
    let claimed = stage.claim(ns, LEASE, 10, at(0)).await?;
    assert_eq!(
        (claimed.ended, claimed.more, claimed.next_due),
        (vec![], false, None)
    );
    stage.put_many(ns, (0..100).map(record).collect()).await?;
    let before = stage.everything(ns, at(1)).await?;
    for _ in 0..3 {
        let claimed = stage.claim(ns, LEASE, 10, at(1)).await?;
        assert_eq!((claimed.ended, claimed.more), (vec![], false));
        let next = claimed.next_due.expect("something will be due");
        assert!(next > at(1) && next <= at(IDLE));
    }
    assert_eq!(stage.everything(ns, at(1)).await?, before);
    Ok(())
}

/// A reaper that sleeps until the instant it was told, each time, finds each session in
/// the very millisecond in which it runs out, and wakes up a bounded number of times.
pub async fn a_reaper_can_sleep_until_the_next_is_due(stage: &Stage) -> Verdict {
    let ns = stage.portal();
    for (number, idle) in [(1, 5), (2, MINUTE), (3, MINUTE), (4, HOUR)] {
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
    stage.put(ns, &endless(5)).await?;
    let mut now = at(0);
    let mut ended = Vec::new();
    for wake in 0..50 {
        let claimed = stage.nth(wake).claim(ns, LEASE, 10, now).await?;
        for one in claimed.ended {
            assert_eq!(one.tombstone.end.at, now, "neither late nor early");
            let ticket = one.ticket();
            ended.push(one);
            assert!(stage.settle_one(ns, ticket, Outcome::Done, now).await?);
        }
        // In use for a while, so that what the reaper was told comes too early.
        if wake < 6 {
            for used in [3, 4] {
                let _ = stage.touch(ns, id(used), now).await?;
            }
        }
        if claimed.more {
            continue;
        }
        let Some(next) = claimed.next_due else {
            break;
        };
        assert!(next > now, "what is due by now was claimed by now");
        now = next;
    }
    assert_eq!(ids(&ended), [id(1), id(2), id(3), id(4)].into());
    Ok(())
}

/// The instants at which a reaper has to wake: a lease's end, a back-off's end; a dead
/// letter and a session without time-outs never wake it.
pub async fn next_due_covers_tombstones(stage: &Stage) -> Verdict {
    let ns = stage.portal();
    stage.put(ns, &endless(1)).await?;
    stage
        .end(ns, id(1), None, EndReason::Logout, After::Queue, at(10))
        .await?;
    let next = next_due(stage, at(5)).await?;
    assert!(next.is_some_and(|next| next <= at(10)));
    let ended = stage.claim_one(ns, at(10)).await?;
    let next = next_due(stage, at(10)).await?;
    assert!(next.is_some_and(|next| next > at(10) && next <= at(10 + LEASE_MILLIS)));
    let retry = Outcome::Retry {
        at: at(HOUR),
        why: crate::props::failure("later"),
    };
    assert!(stage.settle_one(ns, ended.ticket(), retry, at(11)).await?);
    let next = next_due(stage, at(11)).await?;
    assert!(next.is_some_and(|next| next > at(11) && next <= at(HOUR)));
    stage.bury(ns, at(HOUR)).await?;
    assert_eq!(next_due(stage, at(HOUR)).await?, None);
    Ok(())
}

/// A session whose time-outs were taken off no longer wakes the reaper for ever.
pub async fn next_due_forgets_what_never_will_be(stage: &Stage) -> Verdict {
    let ns = stage.portal();
    stage.put(ns, &record(1)).await?;
    let mut change = passive(2);
    change.idle_timeout = Field::Clear;
    change.lifetime = Field::Clear;
    let updated = stage.update(ns, id(1), version(1), &change, at(1)).await?;
    assert_eq!(updated, Updated::Done);
    let mut now = at(2);
    for _ in 0..5 {
        match next_due(stage, now).await? {
            Some(next) => now = next,
            None => return Ok(()),
        }
    }
    panic!("a session that never runs out is due for ever");
}

/// Claims what is due, all of which must be used or alive, and says when to come back.
async fn next_due(stage: &Stage, now: Timestamp) -> Result<Option<Timestamp>, crate::Broken> {
    for _ in 0..PATIENCE {
        let claimed = stage.claim(stage.portal(), LEASE, 10, now).await?;
        assert_eq!(claimed.ended, []);
        if !claimed.more {
            return Ok(claimed.next_due);
        }
    }
    panic!("there is always more to claim");
}
