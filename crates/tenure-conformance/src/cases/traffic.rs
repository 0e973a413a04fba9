//! O: everything at once, on two nodes and few rows: nothing fails, nothing is lost.

use std::collections::BTreeSet;

use tenure_store::{Hooks, Resolve};
use tokio::task::JoinSet;

use crate::props::{IDLE, LEASE_MILLIS, at, endless, id};
use crate::story::{Story, all};
use crate::traffic::{ROWS, everything_once};
use crate::{Stage, Verdict};

/// Every statement on many rows runs against every other one on the same rows, from two
/// nodes: no deadlock, no conflict, no other error reaches a caller.
pub async fn no_two_operations_deadlock(stage: &Stage) -> Verdict {
    let ns = stage.wiki();
    stage.open(ns, Hooks::Withdrawn).await?;
    let mut tasks = JoinSet::new();
    for task in 0..12 {
        let (node, ns) = (stage.nth(task), ns.clone());
        tasks.spawn(async move {
            for round in 0..12 {
                everything_once(&*node, &ns, task, round).await?;
            }
            Ok(())
        });
    }
    all(tasks).await?;

    // What is left adds up, and goes the ordinary ways.
    let now = at(IDLE + 100 * LEASE_MILLIS);
    let left = stage.everything(ns, now).await?;
    let ids: BTreeSet<_> = left.iter().map(|entry| entry.record.id).collect();
    assert_eq!(ids.len(), left.len(), "each id is there once");
    let dead = stage.count(ns, now).await?.dead;
    let reaped = stage.reap(ns, now).await?.len() as u64;
    assert_eq!(reaped + dead, left.len() as u64);
    assert_eq!(stage.everything(ns, now).await?.len() as u64, dead);
    for number in 0..ROWS {
        stage.resolve(ns, id(number), Resolve::Discard, now).await?;
        stage.put(ns, &endless(number)).await?;
    }
    assert_eq!(stage.count(ns, now).await?.live, ROWS);
    Ok(())
}
