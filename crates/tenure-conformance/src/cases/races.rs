//! J: ends of many, racing with traffic and with each other.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, AtomicU64, Ordering};

use tenure_store::{After, EndReason, Updated};
use tokio::task::{JoinSet, yield_now};

use crate::props::{at, counted, endless, id, passive, record, rows, version};
use crate::story::{Story, all};
use crate::{Stage, Verdict};

/// What 64 writers on two nodes saw of a reset in their midst.
#[derive(Default)]
struct Traffic {
    /// 0 before the call, 1 while it runs, 2 when it has returned.
    phase: AtomicU8,
    created: AtomicU64,
}

/// Sessions whose creation had returned before the call are gone for good, whatever
/// was going on with them; those begun after it live; of those that overlap it each is
/// on one side, for everybody and for good.
pub async fn a_reset_under_traffic_leaves_no_old_session(stage: &Stage) -> Verdict {
    let ns = stage.portal();
    let (old, writers) = (rows(10_000) / 2, 64);
    stage.put_many(ns, (0..old).map(endless).collect()).await?;
    let traffic = Arc::new(Traffic::default());
    let mut writing = JoinSet::new();
    for writer in 0..writers {
        let (node, ns, traffic) = (stage.nth(writer), ns.clone(), Arc::clone(&traffic));
        writing.spawn(async move {
            let (mut made, mut step, mut after) = (Vec::new(), 0, 0);
            while after < 3 {
                let number = old + step * writers + writer;
                let begun = traffic.phase.load(Ordering::SeqCst);
                node.put(&ns, &endless(number)).await?;
                let done = traffic.phase.load(Ordering::SeqCst);
                traffic.created.fetch_add(1, Ordering::SeqCst);
                made.push((number, begun, done));
                let victim = (number * 7) % old;
                let _ = node.touch(&ns, id(victim), at(1)).await?;
                let change = counted(number);
                let _ = node
                    .update(&ns, id(victim), version(victim), &change, at(1))
                    .await?;
                step += 1;
                after += u64::from(begun == 2);
            }
            Ok(made)
        });
    }
    while traffic.created.load(Ordering::SeqCst) < 2 * writers {
        // No writer is through before the reset; one that is has failed.
        if let Some(failed) = writing.try_join_next() {
            failed.expect("no writer panics")?;
        }
        yield_now().await;
    }
    traffic.phase.store(1, Ordering::SeqCst);
    stage.reset(ns, at(1)).await?;
    traffic.phase.store(2, Ordering::SeqCst);
    let made = all(writing).await?.concat();

    for number in 0..old {
        assert_eq!(stage.nth(number).load(ns, id(number), at(2)).await?, None);
    }
    let mut live = 0;
    for (number, begun, done) in &made {
        let here = stage.load(ns, id(*number), at(2)).await?.is_some();
        let there = stage.other().touch(ns, id(*number), at(2)).await?;
        assert_eq!(here, there, "on one side for everybody");
        assert!(*done > 0 || !here, "created before the reset");
        assert!(*begun < 2 || here, "created after the reset");
        live += u64::from(here);
    }
    let all = old + made.len() as u64;
    let ended = stage.reap(ns, at(3)).await?;
    let ids: BTreeSet<_> = ended.iter().map(|ended| ended.record.id).collect();
    assert_eq!(
        (ids.len() as u64, ended.len() as u64),
        (all - live, all - live)
    );
    assert_eq!(stage.count(ns, at(4)).await?.live, live);
    Ok(())
}

/// A reset, another one, explicit ends and reapers, all at once on two nodes: each
/// session ends once, for one reason, the one that was acknowledged.
pub async fn ends_that_race_make_one_end(stage: &Stage) -> Verdict {
    let ns = stage.portal();
    let many = rows(400);
    stage.put_many(ns, (0..many).map(record).collect()).await?;
    let mut resetting = JoinSet::new();
    let mut ending = JoinSet::new();
    let mut reaping = JoinSet::new();
    for task in 0..4 {
        let (node, ending_ns) = (stage.nth(task), ns.clone());
        ending.spawn(async move {
            let mut mine = Vec::new();
            for number in (task..many).step_by(8) {
                let (reason, queue) = (EndReason::Logout, After::Queue);
                let ended = node
                    .end(&ending_ns, id(number), None, reason, queue, at(1))
                    .await?;
                mine.extend(ended.map(|ended| ended.record.id));
            }
            Ok(mine)
        });
        let (node, reaping_ns) = (stage.nth(task), ns.clone());
        reaping.spawn(async move {
            let mut reaped = Vec::new();
            for _ in 0..10 {
                reaped.extend(node.reap(&reaping_ns, at(2)).await?);
                yield_now().await;
            }
            Ok(reaped)
        });
        if task < 2 {
            let (node, ns) = (stage.nth(task), ns.clone());
            resetting.spawn(async move { node.reset(&ns, at(1)).await });
        }
    }
    all(resetting).await?;
    let logged_out: BTreeSet<_> = all(ending).await?.concat().into_iter().collect();
    let mut ended = all(reaping).await?.concat();
    ended.extend(stage.reap(ns, at(3)).await?);

    let ids: BTreeSet<_> = ended.iter().map(|ended| ended.record.id).collect();
    assert_eq!(
        (ids.len() as u64, ended.len() as u64),
        (many, many),
        "one end each"
    );
    for ended in ended {
        let reason = ended.tombstone.end.reason;
        let expected = if logged_out.contains(&ended.record.id) {
            EndReason::Logout
        } else {
            EndReason::ApplicationReset
        };
        assert_eq!((reason, ended.tombstone.end.at), (expected, at(1)));
    }
    Ok(())
}

/// An update under way when the reset comes is done before it or not at all.
pub async fn an_update_racing_a_reset_revives_nothing(stage: &Stage) -> Verdict {
    let ns = stage.portal();
    for round in 0..20 {
        let mut updating = JoinSet::new();
        for number in round * 8..round * 8 + 8 {
            stage.put(ns, &endless(number)).await?;
            let (node, ns) = (stage.nth(number), ns.clone());
            updating.spawn(async move {
                let mut current = number;
                for next in (1..2_000).map(|step| 10_000 + number * 100 + step) {
                    let change = passive(next);
                    match node
                        .update(&ns, id(number), version(current), &change, at(1))
                        .await?
                    {
                        Updated::Done => current = next,
                        Updated::Gone => break,
                        refused => panic!("nobody changed it, but it was {refused:?}"),
                    }
                }
                Ok((number, current))
            });
        }
        stage.other().reset(ns, at(1)).await?;
        let last: BTreeMap<_, _> = all(updating).await?.into_iter().collect();
        let ended = stage.reap(ns, at(2)).await?;
        assert_eq!(ended.len(), last.len());
        for (number, last) in last {
            assert_eq!(stage.load(ns, id(number), at(1)).await?, None);
            let ended = ended.iter().find(|ended| ended.record.id == id(number));
            let record = &ended.expect("it was reset").record;
            assert_eq!(
                record.version,
                version(last),
                "with its last acknowledged update"
            );
        }
    }
    Ok(())
}
