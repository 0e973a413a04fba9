//! J: log-ins of one principal that come at once.

use std::collections::BTreeSet;

use tenure_store::{After, Change, EndReason, Excess, Result, Updated};
use tokio::task::JoinSet;

use super::log_ins::{END_OLDEST, log_in, logged_in};
use crate::props::{IDLE, at, principal, record};
use crate::story::{Story, all};
use crate::{Stage, Verdict};

/// From many tasks on two nodes: as many are live as may be, and each of the others was
/// displaced, once.
pub async fn log_ins_at_once_never_exceed_the_limit(stage: &Stage) -> Verdict {
    let ns = stage.portal();
    for round in 0..5 {
        let name = format!("user {round}");
        let answers = at_once(stage, round, &log_in(&name, 3, END_OLDEST)).await?;
        // One that was let in, or was on its way, may have been displaced by another.
        assert!(answers.iter().all(|updated| *updated == Updated::Done));
        let counts = stage.count(ns, at(5)).await?;
        assert_eq!((counts.live, counts.waiting), (3, 29), "in round {round}");
        let ended = stage.reap(ns, at(5)).await?;
        let ids: BTreeSet<_> = ended.iter().map(|ended| ended.record.id).collect();
        assert_eq!((ids.len(), ended.len()), (29, 29));
        for ended in ended {
            assert_eq!(ended.tombstone.end.reason, EndReason::Displaced);
        }
        stage
            .end_principal(ns, &principal(&name), None, After::Discard, at(5))
            .await?;
    }
    Ok(())
}

/// Exactly: none too many, and none too few.
pub async fn of_log_ins_at_once_as_many_as_may_are_let_in(stage: &Stage) -> Verdict {
    let ns = stage.portal();
    for round in 0..5 {
        let name = format!("user {round}");
        let answers = at_once(stage, round, &log_in(&name, 3, Excess::Refuse)).await?;
        let done = answers.iter().filter(|updated| **updated == Updated::Done);
        assert_eq!(done.count(), 3, "in round {round}");
        let full = answers.iter().filter(|updated| **updated == Updated::Full);
        assert_eq!(full.count(), 29, "in round {round}");
        let ended = stage
            .end_principal(ns, &principal(&name), None, After::Discard, at(5))
            .await?;
        assert_eq!(ended, 3);
    }
    stage.reset(ns, at(5)).await?;
    assert_eq!(stage.reap(ns, at(IDLE)).await?.len(), 5 * 29);
    Ok(())
}

/// 32 new sessions log in at once, from both nodes.
async fn at_once(stage: &Stage, round: u64, change: &Change) -> Result<Vec<Updated>> {
    let ns = stage.portal();
    let mut tasks = JoinSet::new();
    for number in round * 32..round * 32 + 32 {
        stage.put(ns, &record(number)).await?;
    }
    for number in round * 32..round * 32 + 32 {
        let (node, ns, change) = (stage.nth(number), ns.clone(), change.clone());
        tasks.spawn(async move { logged_in(&*node, &ns, number, &change).await });
    }
    all(tasks).await
}
