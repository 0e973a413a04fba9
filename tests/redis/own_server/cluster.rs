//! A Cluster of which a part is away, refuses, or is another one's by now.

use std::net::TcpListener;
use std::sync::Arc;
use std::time::Duration;

use deadpool_redis::redis::cmd;
use futures_util::FutureExt as _;
use tenure_conformance::props::{
    IDLE, LEASE, at, counted, endless, id, principal, record, version,
};
use tenure_conformance::story::Story as _;
use tenure_store::{Excess, Field, Hooks, Outcome, PrincipalLimit, Result, SessionStore, Updated};
use tokio::time::timeout;

use super::set;
use crate::base::{Base, polled, portal};
use crate::support::servers::cluster::Cluster;
use crate::support::servers::redis::Redis;

const SESSIONS: u64 = 60;
const ALL: usize = 60;

/// Which of the sessions lie on the node of this number: by what each of them answers.
fn on_node(cluster: &Cluster, base: &Base, node: usize) -> Vec<u64> {
    let (first, last) = crate::support::servers::settings::slots(node);
    let slot = |number: u64| {
        let mut ask = cmd("CLUSTER");
        ask.arg("KEYSLOT").arg(base.record(id(number)));
        match cluster.nodes[0].ask(&ask) {
            deadpool_redis::redis::Value::Int(slot) => u16::try_from(slot).expect("a slot"),
            other => panic!("a slot is a number, not {other:?}"),
        }
    };
    let all = 1..=SESSIONS;
    all.filter(|number| (first..=last).contains(&slot(*number)))
        .collect()
}

/// Each claim of the healthy nodes is handed out; what is left is no attempt of anybody's.
async fn the_others_are_reaped(
    cluster: &mut Cluster,
    break_it: fn(&mut Redis),
    mend: fn(&mut Redis),
) {
    let base = Base::on(cluster.url());
    let ns = portal();
    let whole = base.store().await;
    for number in 1..=SESSIONS {
        whole.put(&ns, &record(number)).await.expect("answers");
    }
    let theirs = on_node(cluster, &base, 1).len();
    assert!((1..ALL).contains(&theirs));
    let store = base.within(2_000).await;
    break_it(&mut cluster.nodes[1]);
    let mut reaped = 0;
    for _ in 0..4 {
        let claimed = match store.claim(&ns, LEASE, 20, at(IDLE)).await {
            Ok(claimed) => claimed,
            // When there is nothing but what cannot be reaped.
            Err(_) if reaped == ALL - theirs => break,
            Err(error) => panic!("{error:?} after {reaped}"),
        };
        reaped += claimed.ended.len();
        let ended = claimed.ended.iter();
        let done: Vec<_> = ended.map(|ended| (ended.ticket(), Outcome::Done)).collect();
        let settled = store.settle(&ns, &done, at(IDLE)).await;
        assert_eq!(settled.expect("answers"), done.len() as u64);
    }
    assert_eq!(reaped, ALL - theirs);
    mend(&mut cluster.nodes[1]);
    let rest = whole.claim_all(&ns, at(IDLE)).await.expect("answers");
    assert_eq!(rest.len(), theirs);
    for ended in rest {
        let tombstone = ended.tombstone;
        assert_eq!((tombstone.claims, tombstone.unsettled), (1, 1));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs Redis: run scripts/test"]
async fn hooks_run_while_a_node_takes_no_writes() {
    let mut cluster = Cluster::start();
    let refuse = |node: &mut Redis| set(node, "min-replicas-to-write", "1");
    let take = |node: &mut Redis| set(node, "min-replicas-to-write", "0");
    the_others_are_reaped(&mut cluster, refuse, take).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs Redis: run scripts/test"]
async fn hooks_run_while_a_node_is_away() {
    let mut cluster = Cluster::start();
    let kill = |node: &mut Redis| node.server.kill();
    let restart = |node: &mut Redis| node.server.restart();
    the_others_are_reaped(&mut cluster, kill, restart).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs Redis: run scripts/test"]
async fn hooks_run_on_a_node_that_is_full() {
    let cluster = Cluster::start();
    let base = Base::on(cluster.url());
    let (ns, store) = (portal(), base.store().await);
    for number in 1..=SESSIONS {
        store.put(&ns, &record(number)).await.expect("answers");
    }
    set(&cluster.nodes[1], "maxmemory", "1");
    let reaped = store.reap(&ns, at(IDLE)).await.expect("answers");
    assert_eq!(reaped.len() as u64, SESSIONS);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs Redis: run scripts/test"]
async fn a_claim_that_nobody_received_is_no_attempt() -> Result<()> {
    let redis = Redis::start();
    let base = Base::on(redis.url());
    let (ns, store) = (portal(), base.store().await);
    for number in 1..=SESSIONS {
        store.put(&ns, &record(number)).await?;
    }
    for polls in 1..8 {
        let mut claiming = store.claim(&ns, LEASE, 20, at(IDLE)).boxed();
        polled(&mut claiming, polls).await;
    }
    store.close().await?;
    let store = base.connect().await?;
    let claimed = store.claim_all(&ns, at(IDLE)).await?;
    assert_eq!(claimed.len() as u64, SESSIONS, "none is held by nobody");
    let unsettled = claimed.iter().map(|ended| ended.tombstone.unsettled).max();
    assert_eq!(unsettled, Some(1));
    Ok(())
}

/// A store that is told of these addresses first.
async fn besides(base: &Base, ports: &[u16]) -> Arc<dyn SessionStore> {
    let others = ports.iter().map(|port| format!("127.0.0.1:{port},"));
    let others = others.collect::<Vec<_>>().concat();
    let url = base.place.url().replace("//", &format!("//{others}"));
    let url = url.replace("deadline_ms=120000", "deadline_ms=2000");
    let store = tenure_connect::connect(&url).await.expect("connects");
    store.open(&portal(), Hooks::Expected).await.expect("opens");
    store
}

/// An address that is no part of it any more, and answers all the same.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs Redis: run scripts/test"]
async fn a_node_that_knows_of_nothing_ends_no_service() -> Result<()> {
    let cluster = Cluster::start();
    let left = Redis::start_with(&[
        ("cluster-enabled", "yes"),
        ("cluster-port", &{
            crate::support::servers::ports::free().to_string()
        }),
    ]);
    for turn in 0..4 {
        let base = Base::on(cluster.url());
        let store = besides(&base, &[left.port()]).await;
        let ns = portal();
        for number in 0..20 {
            store.put(&ns, &record(100 * turn + number)).await?;
            // Asks who is there.
            store.describe(at(1)).await?;
            assert!(store.touch(&ns, id(100 * turn + number), at(1)).await?);
        }
    }
    Ok(())
}

/// A zone that is away: its addresses take connections, and say nothing.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs Redis: run scripts/test"]
async fn silent_addresses_are_waited_for_by_nobody() -> Result<()> {
    let cluster = Cluster::start();
    let silent = [(); 2].map(|()| TcpListener::bind("127.0.0.1:0").expect("a free port"));
    let ports = silent
        .each_ref()
        .map(|socket| socket.local_addr().expect("bound").port());
    let base = Base::on(cluster.url());
    for _ in 0..3 {
        let store = besides(&base, &ports).await;
        store.count(&portal(), at(1)).await?;
    }
    Ok(())
}

/// Log-ins that a node's silence ended leave nothing that no other log-in clears away.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
#[ignore = "needs Redis: run scripts/test"]
async fn marks_of_log_ins_that_failed_are_cleared_away() -> Result<()> {
    let mut cluster = Cluster::start();
    let base = Base::on(cluster.url());
    let whole = base.store().await;
    let ns = portal();
    let store = base.within(400).await;
    let log_in = |number: u64, name: &str| {
        let mut change = counted(number + 10_000);
        change.principal = Field::Set(principal(name));
        change.principal_limit = Some(PrincipalLimit {
            sessions: 3,
            excess: Excess::Refuse,
        });
        change
    };
    for number in 0..120 {
        whole.put(&ns, &endless(number)).await?;
    }
    cluster.nodes[1].server.pause();
    let mut failed = 0;
    for number in 0..20 {
        let change = log_in(number, &format!("user {number}"));
        let updated = store.update(&ns, id(number), version(number), &change, at(1));
        let patient = timeout(Duration::from_mins(1), updated).await;
        failed += u64::from(patient.expect("it has a deadline").is_err());
    }
    assert_eq!(failed, 20);
    cluster.nodes[1].server.go_on();
    let later = at(2 * 3_600_000);
    for number in 20..120 {
        let change = log_in(number, &format!("user {number}"));
        let updated = whole.update(&ns, id(number), version(number), &change, later);
        assert_eq!(updated.await?, Updated::Done);
    }
    let mut left = 0;
    for number in 0..16u64 {
        let of_shard =
            (0..1_000).find(|candidate| u64::from(id(*candidate).as_bytes()[0] % 16) == number);
        let marks = base.key(id(of_shard.expect("few shards")), "m");
        for node in &cluster.nodes {
            let client = deadpool_redis::redis::Client::open(node.url()).expect("a good URL");
            let mut connection = client.get_connection().expect("it listens");
            // A node that does not have it says so.
            left += cmd("HLEN")
                .arg(&marks)
                .query::<u64>(&mut connection)
                .unwrap_or(0);
        }
    }
    assert_eq!(left, 0);
    Ok(())
}
