//! Connections that nobody has used for a while, and what became of them meanwhile.

use std::sync::Arc;
use std::time::Duration;

use tenure_conformance::props::record;
use tenure_conformance::story::Story as _;
use tenure_store::SessionStore;
use tokio::time::timeout;

use crate::base::{Base, connect, portal};
use crate::calls::{KINDS, call};
use crate::support::proxy::Proxy;

/// A node with this setting, and a session for each kind of call.
async fn node(base: &Base, setting: &str) -> Arc<dyn SessionStore> {
    let store = base.store().await;
    for number in 0..KINDS.len() as u64 {
        store.put(&portal(), &record(number)).await.expect("stored");
    }
    store.close().await.expect("closes");
    connect(&base.place.url_with(setting)).await
}

#[tokio::test]
#[ignore = "needs PostgreSQL: run scripts/test"]
async fn the_first_call_after_the_server_ended_idle_connections_is_done() {
    let base = Base::new().await;
    let store = node(&base, "options=-c%20idle_session_timeout%3D100").await;
    for (number, kind) in KINDS.into_iter().enumerate() {
        base.until_nobody_is_connected().await;
        let done = call(&store, kind, number as u64).await;
        done.unwrap_or_else(|error| panic!("{kind}: {error:?}"));
    }
    store.close().await.expect("closes");
}

#[tokio::test]
#[ignore = "needs PostgreSQL: run scripts/test"]
async fn the_first_call_after_a_quiet_time_finds_its_connection_gone_before_it_uses_it() {
    let base = Base::new().await;
    let store = node(&base, "readers=1&writers=1").await;
    for (number, kind) in KINDS.into_iter().enumerate() {
        base.until_all_are_quiet().await;
        base.terminate_all().await;
        let done = call(&store, kind, number as u64).await;
        done.unwrap_or_else(|error| panic!("{kind}: {error:?}"));
    }
    store.close().await.expect("closes");
}

#[tokio::test]
#[ignore = "needs PostgreSQL: run scripts/test"]
async fn connections_that_a_firewall_forgot_are_replaced_within_the_first_calls_deadline() {
    let base = Base::new().await;
    node(&base, "readers=1")
        .await
        .close()
        .await
        .expect("closes");
    let (proxy, url) = Proxy::before(&base.hurried(4_000)).await;
    let store = connect(&url).await;
    for kind in ["load", "touch", "claim"] {
        base.until_all_are_quiet().await;
        proxy.hush_all();
        let done = timeout(Duration::from_secs(30), call(&store, kind, 1)).await;
        let done = done.expect("in time");
        done.unwrap_or_else(|error| panic!("{kind}: {error:?}"));
    }
    store.close().await.expect("closes");
}
