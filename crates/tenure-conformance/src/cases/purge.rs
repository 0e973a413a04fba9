//! K: removing without hooks.

use tenure_store::{
    After, EndReason, ErrorKind, Hooks, Namespace, Outcome, Record, Result, SessionStore, Timestamp,
};

use crate::props::{
    HOUR, IDLE, LEASE, LEASE_MILLIS, at, endless, failure, id, record, rows, timeout,
};
use crate::story::{PATIENCE, Story, both};
use crate::{Stage, Verdict};

/// Purges until there is no more; says how many were removed.
async fn purge_all(
    node: &dyn SessionStore,
    ns: &Namespace,
    limit: u32,
    now: Timestamp,
) -> Result<u64> {
    let mut removed = 0;
    for _ in 0..PATIENCE {
        let purged = node.purge(ns, limit, now).await?;
        assert!(purged.removed <= u64::from(limit));
        removed += purged.removed;
        if !purged.more {
            return Ok(removed);
        }
    }
    panic!("there is always more to purge");
}

/// Over, reset, waiting, backing off, or with a lease that is over: those go. Live,
/// held, dead: those stay.
pub async fn a_purge_removes_what_nobody_holds_and_nothing_else(stage: &Stage) -> Verdict {
    let ns = stage.visitors();
    stage.put(ns, &record(1)).await?;
    stage
        .end(ns, id(1), None, EndReason::Logout, After::Queue, at(0))
        .await?;
    stage.bury(ns, at(0)).await?;
    stage.put(ns, &endless(2)).await?;
    stage.reset(ns, at(1)).await?;
    let (reason, hold) = (EndReason::Logout, After::Hold(LEASE));
    let idle_timeout = timeout(5);
    stage
        .put(
            ns,
            &Record {
                idle_timeout,
                ..record(3)
            },
        )
        .await?;
    for (number, after, now) in [
        (4, After::Queue, 2),
        (5, hold, 2),
        (6, hold, 2),
        (7, hold, 100),
    ] {
        stage.put(ns, &record(number)).await?;
        let ended = stage
            .end(ns, id(number), None, reason, after, at(now))
            .await?;
        if number == 5 {
            let ticket = ended.expect("it was live").ticket();
            let retry = Outcome::Retry {
                at: at(HOUR),
                why: failure("x"),
            };
            assert!(stage.settle_one(ns, ticket, retry, at(3)).await?);
        }
    }
    stage.put(ns, &record(8)).await?;
    stage.put(ns, &endless(9)).await?;

    let now = at(2 + LEASE_MILLIS);
    assert_eq!(purge_all(&**stage, ns, 2, now).await?, 5);

    for number in 1..=9 {
        let left = stage.other().inspect(ns, id(number), now).await?.is_some();
        assert_eq!(left, [1, 7, 8, 9].contains(&number), "session {number}");
    }
    assert_eq!(purge_all(&**stage, ns, 100, now).await?, 0);
    Ok(())
}

/// In batches, on both nodes at once; each removal is counted once.
pub async fn a_purge_of_many_is_counted_once(stage: &Stage) -> Verdict {
    let ns = stage.visitors();
    let many = rows(10_000);
    stage.put_many(ns, (0..many).map(record).collect()).await?;
    stage.put(ns, &endless(many)).await?;
    let removed = both(stage, |node| {
        let ns = ns.clone();
        async move { purge_all(&*node, &ns, 50, at(IDLE)).await }
    });
    let mut removed = removed.await?.iter().sum::<u64>();
    removed += purge_all(&**stage, ns, 50, at(IDLE)).await?;
    assert_eq!(removed, many);
    assert_eq!(stage.everything(ns, at(IDLE)).await?.len(), 1);
    Ok(())
}

/// What was used meanwhile is not what ran out, and runs out later at an instant of its own.
pub async fn a_purge_leaves_what_was_used_meanwhile(stage: &Stage) -> Verdict {
    let ns = stage.visitors();
    stage.put_many(ns, (0..100).map(record).collect()).await?;
    for (number, earlier) in (10..100).zip(10..) {
        assert!(stage.touch(ns, id(number), at(IDLE - earlier)).await?);
    }
    assert_eq!(purge_all(&*stage.other(), ns, 7, at(IDLE)).await?, 10);
    assert_eq!(stage.count(ns, at(IDLE)).await?.live, 90);
    for earlier in [55, 10] {
        let now = at(2 * IDLE - earlier);
        assert_eq!(purge_all(&**stage, ns, 7, now).await?, 45);
    }
    Ok(())
}

/// Purged ids are free, and purged sessions gone for everybody.
pub async fn a_purged_id_is_free(stage: &Stage) -> Verdict {
    let ns = stage.visitors();
    stage.put(ns, &record(1)).await?;
    assert_eq!(stage.purge(ns, 10, at(IDLE)).await?.removed, 1);
    assert_eq!(stage.inspect(ns, id(1), at(1)).await?, None);
    assert_eq!(stage.load(ns, id(1), at(1)).await?, None, "on no clock");
    stage.put(ns, &record(1)).await?;
    assert!(stage.touch(ns, id(1), at(1)).await?);
    Ok(())
}

/// It says when to come back, as a claim does.
pub async fn a_purger_can_sleep_until_the_next_is_due(stage: &Stage) -> Verdict {
    let ns = stage.visitors();
    assert_eq!(stage.purge(ns, 10, at(0)).await?.next_due, None);
    stage.put(ns, &endless(1)).await?;
    assert_eq!(stage.purge(ns, 10, at(0)).await?.next_due, None);
    stage.put(ns, &record(2)).await?;
    assert!(stage.touch(ns, id(2), at(10)).await?);
    let (mut now, mut removed) = (at(11), 0);
    for _ in 0..10 {
        let purged = stage.purge(ns, 10, now).await?;
        removed += purged.removed;
        if removed == 1 {
            break;
        }
        assert!(!purged.more || purged.next_due.is_some());
        let next = purged.next_due.expect("a session will run out");
        assert!(next <= at(IDLE + 10), "not too late");
        assert!(purged.more || next > now, "what is due by now was removed");
        now = now.max(next);
    }
    assert_eq!((now, removed), (at(IDLE + 10), 1));
    Ok(())
}

/// By whomever it is called; and what would have been removed is still there.
pub async fn a_purge_is_refused_while_hooks_are_expected(stage: &Stage) -> Verdict {
    let ns = stage.portal();
    stage.put(ns, &record(1)).await?;
    // Opening without a word about hooks takes nothing back.
    stage.other().open(ns, Hooks::Unstated).await?;
    for node in [stage.node(), stage.other(), stage.another().await] {
        let refused = node.purge(ns, 10, at(IDLE)).await;
        let refused = refused.map(|_| ()).map_err(|error| error.kind());
        assert_eq!(refused, Err(ErrorKind::Misconfigured));
    }
    assert_eq!(stage.everything(ns, at(IDLE)).await?.len(), 1);
    Ok(())
}

/// Only the operator's word lets a purge pass; and a service that says again that it
/// expects hooks is heard.
pub async fn withdrawn_hooks_allow_a_purge(stage: &Stage) -> Verdict {
    let ns = stage.portal();
    stage.put(ns, &record(1)).await?;
    stage.other().open(ns, Hooks::Withdrawn).await?;
    assert_eq!(stage.purge(ns, 10, at(IDLE)).await?.removed, 1);
    stage.put(ns, &record(2)).await?;
    stage.other().open(ns, Hooks::Expected).await?;
    let refused = stage.purge(ns, 10, at(IDLE)).await;
    let refused = refused.map(|_| ()).map_err(|error| error.kind());
    assert_eq!(refused, Err(ErrorKind::Misconfigured));
    // Nor is one namespace's word another's.
    stage.other().open(stage.wiki(), Hooks::Withdrawn).await?;
    assert!(stage.purge(ns, 10, at(IDLE)).await.is_err());
    assert_eq!(stage.purge(stage.wiki(), 10, at(IDLE)).await?.removed, 0);
    Ok(())
}

/// So a service with hooks whose word got lost, with the store's data or by an operator,
/// hears of it and can say it again.
pub async fn a_claim_tells_whether_hooks_are_expected(stage: &Stage) -> Verdict {
    let ns = Namespace::sessions("shop")?;
    for (word, expected) in [
        (Hooks::Unstated, false),
        (Hooks::Expected, true),
        (Hooks::Unstated, true),
        (Hooks::Withdrawn, false),
        (Hooks::Expected, true),
    ] {
        stage.other().open(&ns, word).await?;
        for node in [stage.node(), stage.other(), stage.another().await] {
            let claimed = node.claim(&ns, LEASE, 10, at(0)).await?;
            assert_eq!(claimed.hooks_expected, expected, "after {word:?}");
        }
    }
    Ok(())
}
