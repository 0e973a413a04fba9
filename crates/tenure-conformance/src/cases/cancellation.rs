//! E: callers that go away in the middle of a call.

use std::future::poll_fn;
use std::pin::pin;
use std::task::Poll;

use tenure_store::{EndReason, Updated, Version};
use tokio::task::yield_now;

use crate::props::{at, id, passive, payload, record, version};
use crate::story::{PATIENCE, Story};
use crate::{Stage, Verdict};

/// Dropped after any number of polls, each operation leaves the old state or the new,
/// and a store whose next acknowledged write is there for everybody.
pub async fn a_dropped_call_leaves_the_old_state_or_the_new(stage: &Stage) -> Verdict {
    let ns = stage.portal();
    for polls in 0..12 {
        let number = polls + 1;
        let fresh = number + 1_000;
        stage.put(ns, &record(number)).await?;
        let dropped_change = Version::new(number);
        let mut change = passive(0);
        change.version = dropped_change;
        change.payload = Some(payload(0));
        abandon(
            polls,
            stage.update(ns, id(number), version(number), &change, at(1)),
        )
        .await;
        abandon(polls, stage.create(ns, &record(fresh), at(1))).await;
        abandon(polls, stage.touch(ns, id(number), at(1))).await;

        // The dropped write may still be under way, but it is one write.
        let mut attempts = 0..PATIENCE;
        let last = loop {
            assert!(attempts.next().is_some(), "no update succeeds any more");
            let loaded = stage
                .load(ns, id(number), at(2))
                .await?
                .expect("it is live");
            let expected = if loaded.version == dropped_change {
                payload(0)
            } else {
                payload(number)
            };
            assert_eq!(loaded.payload, expected, "half a change");
            let mut change = passive(2_000 + number);
            change.payload = Some(payload(2));
            let updated = stage
                .update(ns, id(number), loaded.version, &change, at(2))
                .await?;
            if updated == Updated::Done {
                break change;
            }
        };
        let reconnected = stage.another().await;
        let seen = reconnected.load(ns, id(number), at(2)).await?;
        let seen = seen.map(|record| (record.version, Some(record.payload)));
        assert_eq!(seen, Some((last.version, last.payload)));
        let created = stage.create(ns, &record(fresh), at(1)).await?;
        let stored = reconnected.load(ns, id(fresh), at(2)).await?;
        assert_eq!(stored, Some(record(fresh)), "after {created:?}");

        abandon(polls, stage.reset(stage.wiki(), at(2))).await;
        let queue = tenure_store::After::Queue;
        abandon(
            polls,
            stage.end(ns, id(number), None, EndReason::Logout, queue, at(2)),
        )
        .await;
        let again = stage
            .end(ns, id(number), None, EndReason::Logout, queue, at(2))
            .await?;
        let entry = stage.entry(ns, id(number), at(2)).await?;
        let status = entry.status(at(2));
        assert_eq!(status, tenure_store::Status::Waiting, "after {again:?}");
    }
    Ok(())
}

/// Polls a future so many times, unless it is done before, and drops it.
async fn abandon<T>(polls: u64, future: impl Future<Output = T>) {
    let mut future = pin!(future);
    for _ in 0..polls {
        if poll_fn(|context| Poll::Ready(future.as_mut().poll(context).is_ready())).await {
            break;
        }
        yield_now().await;
    }
}
