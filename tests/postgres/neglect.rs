//! Calls that are begun and not gone on with, and clients that stand still.

use std::sync::Arc;
use std::time::Duration;

use sqlx::Executor as _;
use tenure_conformance::props::{at, id, record, record_of, version};
use tenure_conformance::story::Story as _;
use tenure_store::{SessionStore, Updated};
use tokio::task::JoinSet;
use tokio::time::timeout;

use crate::base::{Base, connect, portal};
use crate::calls::{KINDS, Neglected, READING, call, log_in};
use crate::support::proxy::{Line, Proxy};

/// Much longer than any of it takes.
const BOUND: Duration = Duration::from_secs(30);

/// A node whose calls have two seconds, and so many sessions.
async fn node(base: &Base, sessions: u64) -> Arc<dyn SessionStore> {
    base.store().await.close().await.expect("closes");
    let store = connect(&base.hurried(2_000)).await;
    for number in 0..sessions {
        store.put(&portal(), &record(number)).await.expect("stored");
    }
    store
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs PostgreSQL: run scripts/test"]
async fn calls_that_are_not_gone_on_with_stop_no_others() {
    for steps in [1, 2, 5] {
        let base = Base::new().await;
        let store = node(&base, 200).await;
        let mut kept = Vec::new();
        for (place, kind) in KINDS.into_iter().enumerate() {
            if kind == "reset" {
                continue;
            }
            for copy in 0..4 {
                let number = 100 + 4 * place as u64 + copy;
                kept.push(Neglected::new(&store, kind, number));
            }
        }
        for _ in 0..steps {
            for call in &mut kept {
                call.step();
            }
            // Somebody else's, so that the server gets on.
            call(&store, "load", 0).await.expect("answers");
        }
        let mut others = JoinSet::new();
        for number in 0..40 {
            for kind in [
                "load", "touch", "update", "end", "claim", "renew", "inspect",
            ] {
                let store = Arc::clone(&store);
                others.spawn(async move {
                    let done = call(&store, kind, number).await;
                    done.unwrap_or_else(|error| panic!("{kind} after {steps} steps: {error}"));
                });
            }
        }
        others.join_all().await;
        let closed = timeout(BOUND, store.close()).await;
        closed.expect("in time").expect("all was done");
        for call in kept {
            call.go_on().await.expect("was done for it");
        }
    }
}

#[tokio::test]
#[ignore = "needs PostgreSQL: run scripts/test"]
async fn closing_finishes_what_a_caller_does_not_go_on_with() {
    for kind in KINDS {
        let base = Base::new().await;
        let store = node(&base, 3).await;
        let mut kept = Neglected::new(&store, kind, 1);
        kept.step();
        let closed = timeout(BOUND, store.close()).await;
        closed.expect("in time").expect("all was done");
        kept.go_on().await.expect("was done for it");
    }
}

#[tokio::test]
#[ignore = "needs PostgreSQL: run scripts/test"]
async fn closing_ends_though_the_server_is_silent() {
    let base = Base::new().await;
    base.store().await.close().await.expect("closes");
    let (proxy, url) = Proxy::before(&base.hurried(500)).await;
    let store = connect(&url).await;
    proxy.set(Line::BlackHole);
    let mut kept: Vec<_> = READING
        .map(|kind| Neglected::new(&store, kind, 1))
        .into_iter()
        .collect();
    for call in &mut kept {
        call.step();
    }
    // Whether all was done, it says; it does not wait for it for ever.
    let closed = timeout(BOUND, store.close()).await;
    let _told = closed.expect("in time");
}

#[tokio::test]
#[ignore = "needs PostgreSQL: run scripts/test"]
async fn a_client_that_stands_still_in_a_log_in_keeps_its_locks_for_a_moment_only() {
    let base = Base::new().await;
    let store = base.store().await;
    let alice = record_of(1, "alice");
    store.put(&portal(), &alice).await.expect("stored");
    for number in 2..4 {
        store.put(&portal(), &record(number)).await.expect("stored");
    }
    let (proxy, url) = Proxy::before(&base.hurried(6_000)).await;
    let still = connect(&url).await;

    // It waits for a row in the middle of its transaction, and then no longer hears the server.
    let mut outsider = base.outsider().await;
    outsider.execute("BEGIN").await.expect("begun");
    let lock = "SELECT 1 FROM tenure_session WHERE payload LIKE 'payload 1%' FOR UPDATE";
    outsider.execute(lock).await.expect("locked");
    let stands_still = {
        let still = Arc::clone(&still);
        let log_in = async move {
            let change = log_in("alice", 12);
            still
                .update(&portal(), id(2), version(2), &change, at(1))
                .await
        };
        tokio::spawn(log_in)
    };
    base.until_somebody_waits().await;
    // The server does not even hear that the client gave up.
    proxy.hush_all();
    outsider.execute("COMMIT").await.expect("let go");

    let change = log_in("alice", 13);
    let ns = portal();
    let other = store.update(&ns, id(3), version(3), &change, at(1));
    let other = timeout(BOUND, other).await.expect("in time");
    assert_eq!(other.expect("answers"), Updated::Done);
    store.reset(&portal(), at(2)).await.expect("answers");
    let _told = stands_still.await.expect("no panic");
    store.close().await.expect("closes");
}
