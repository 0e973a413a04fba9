//! What an end gains by waiting for replicas, and what it costs when there are none.

use deadpool_redis::redis::{Value, cmd};
use tenure_conformance::props::{at, id, record};
use tenure_conformance::story::Story as _;
use tenure_store::{After, EndReason, Result};

use crate::base::{Base, portal};
use crate::support::place::with;
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
