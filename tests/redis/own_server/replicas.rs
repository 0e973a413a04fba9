//! What an end gains by waiting for replicas, and what it costs when they are slow or away: an
//! answer, and never the work.

use std::sync::Arc;
use std::time::Duration;

use deadpool_redis::redis::{Value, cmd};
use tenure_conformance::props::{at, id, principal, record, record_of};
use tenure_conformance::story::Story as _;
use tenure_store::{After, EndReason, Result, SessionStore};
use tokio::task::JoinSet;

use crate::base::{Base, portal};
use crate::support::place::with;
use crate::support::proxy::{Line, Proxy};
use crate::support::servers::redis::Redis;
use crate::support::servers::sentinel::Sentinel;

#[tokio::test]
#[ignore = "needs Redis: run scripts/test"]
async fn an_end_is_acknowledged_once_replicas_have_it() -> Result<()> {
    let servers = Sentinel::start();
    let base = Base::on(with(&servers.url(), "wait_for_replicas=1"));
    let (ns, store) = (portal(), base.store().await);
    for number in 1..=20 {
        store.put(&ns, &record(number)).await?;
        let ended = store.end(
            &ns,
            id(number),
            None,
            EndReason::Logout,
            After::Queue,
            at(1),
        );
        assert!(ended.await?.is_some());
        // The header's second byte: not 0 once it has ended.
        let mut phase = cmd("GETRANGE");
        phase.arg(base.record(id(number))).arg(1).arg(1);
        let there = servers.replica.ask(&phase);
        assert_eq!(there, Value::BulkString(vec![1]), "session {number}");
    }
    store.reset(&ns, at(2)).await?;
    for number in 1..=20 {
        let epoch = servers
            .replica
            .ask(cmd("GET").arg(base.key(id(number), "e")));
        assert_eq!(epoch, Value::BulkString(b"1".to_vec()));
    }
    Ok(())
}

/// It may be lost with the primary, so it must not pass for acknowledged; on the primary it
/// is done.
#[tokio::test]
#[ignore = "needs Redis: run scripts/test"]
async fn an_end_that_no_replica_has_is_unavailable() -> Result<()> {
    let servers = Sentinel::start();
    let base = Base::on(servers.url());
    let (ns, patient) = (portal(), base.store().await);
    patient.put(&ns, &record(1)).await?;
    let hurried = base
        .place
        .url()
        .replace("deadline_ms=120000", "deadline_ms=400");
    let hurried = tenure_connect::connect(&with(&hurried, "wait_for_replicas=2")).await?;
    let ended = hurried
        .end(&ns, id(1), None, EndReason::Logout, After::Queue, at(1))
        .await;
    assert!(ended.is_err_and(|error| error.is_unavailable()));
    assert_eq!(patient.load(&ns, id(1), at(1)).await?, None);
    // What is no end waits for nobody.
    hurried.put(&ns, &record(2)).await?;
    assert!(hurried.touch(&ns, id(2), at(1)).await?);
    Ok(())
}

/// Sessions on a primary, and a store on it that waits for so many replicas.
async fn with_sessions(primary: &Redis, many: u64, replicas: u32) -> (Base, Arc<dyn SessionStore>) {
    let base = Base::on(primary.url());
    let store = base.store().await;
    super::put_all(&*store, (0..many).map(|number| record_of(number, "alice")))
        .await
        .expect("answers");
    let url = base
        .place
        .url()
        .replace("deadline_ms=120000", "deadline_ms=2000");
    let waiting = with(&url, &format!("wait_for_replicas={replicas}"));
    let waiting = tenure_connect::connect(&waiting).await.expect("connects");
    (base, waiting)
}

async fn live(store: &dyn SessionStore) -> u64 {
    store.count(&portal(), at(2)).await.expect("answers").live
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs Redis: run scripts/test"]
async fn ends_of_many_wait_for_slow_replicas_once() -> Result<()> {
    let primary = Redis::start_with(&[("repl-diskless-sync-delay", "0")]);
    let (proxy, url) = Proxy::before(&primary.url()).await;
    let (_, port) = url.rsplit_once(':').expect("a port");
    let replica = Redis::start_with(&[("replicaof", &format!("127.0.0.1 {port}"))]);
    replica.server.wait_for("sync: Finished with success");
    let ns = portal();
    let (_base, store) = with_sessions(&primary, 320, 1).await;
    proxy.set(Line::Slow(Duration::from_millis(150)));

    let mut ends = JoinSet::new();
    for number in 0..20 {
        let (store, ns) = (Arc::clone(&store), ns.clone());
        ends.spawn(async move {
            let ended = store.end(
                &ns,
                id(number),
                None,
                EndReason::Logout,
                After::Queue,
                at(1),
            );
            ended.await.map(|ended| ended.is_some())
        });
    }
    while let Some(ended) = ends.join_next().await {
        assert!(ended.expect("no panic")?, "each is done, and acknowledged");
    }
    let alice = principal("alice");
    let ended = store.end_principal(&ns, &alice, Some(id(30)), After::Queue, at(1));
    assert_eq!(ended.await?, 299);
    store.reset(&ns, at(2)).await?;
    assert_eq!(live(&*store).await, 0);
    Ok(())
}

/// Nothing can be acknowledged; and everything is done.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs Redis: run scripts/test"]
async fn ends_of_many_are_carried_out_without_any_replica() -> Result<()> {
    let primary = Redis::start();
    let ns = portal();
    let (_base, store) = with_sessions(&primary, 320, 1).await;
    let mut ends = JoinSet::new();
    for number in 0..20 {
        let (store, ns) = (Arc::clone(&store), ns.clone());
        ends.spawn(async move {
            let ended = store.end(
                &ns,
                id(number),
                None,
                EndReason::Logout,
                After::Queue,
                at(1),
            );
            ended.await
        });
    }
    while let Some(ended) = ends.join_next().await {
        let ended = ended.expect("no panic");
        assert!(ended.is_err_and(|error| error.is_unavailable()));
    }
    assert_eq!(live(&*store).await, 300, "of twenty ends, all are done");
    let alice = principal("alice");
    let ended = store.end_principal(&ns, &alice, Some(id(30)), After::Queue, at(1));
    assert!(ended.await.is_err_and(|error| error.is_unavailable()));
    assert_eq!(live(&*store).await, 1);
    let reset = store.reset(&ns, at(2)).await;
    assert!(reset.is_err_and(|error| error.is_unavailable()));
    assert_eq!(live(&*store).await, 0);
    Ok(())
}
