//! Rows and tables that somebody else keeps locked.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use sqlx::Executor as _;
use tenure_conformance::props::{at, id, record};
use tenure_conformance::story::Story as _;
use tenure_store::ErrorKind;
use tokio::task::JoinSet;
use tokio::time::timeout;

use crate::base::{Base, connect, portal};
use crate::calls::{KINDS, READING, call};

const SESSIONS: u64 = 60;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs PostgreSQL: run scripts/test"]
async fn a_locked_session_in_use_stops_no_other_session() {
    for writers in [1, 2] {
        let base = Base::new().await;
        let store = base.store().await;
        for number in 0..SESSIONS {
            store.put(&portal(), &record(number)).await.expect("stored");
        }
        store.close().await.expect("closes");
        let url = format!("{}&writers={writers}", base.hurried(2_000));
        let store = connect(&url).await;
        let mut outsider = base.outsider().await;
        outsider.execute("BEGIN").await.expect("begun");
        let lock =
            "SELECT 1 FROM tenure_session WHERE payload LIKE E'payload 1\\\\000%' FOR UPDATE";
        outsider.execute(lock).await.expect("locked");

        let over = Arc::new(AtomicBool::new(false));
        let mut users = JoinSet::new();
        for _ in 0..4 {
            let (store, over) = (Arc::clone(&store), Arc::clone(&over));
            users.spawn(async move {
                while !over.load(Ordering::SeqCst) {
                    let touched = store.touch(&portal(), id(1), at(1)).await;
                    if let Err(error) = touched {
                        assert_eq!(error.kind(), ErrorKind::Unavailable, "{error:?}");
                    }
                }
            });
        }
        base.until_somebody_waits().await;
        let mut others = JoinSet::new();
        for number in (0..SESSIONS).filter(|number| *number != 1) {
            let store = Arc::clone(&store);
            others.spawn(async move {
                for _ in 0..20 {
                    for kind in ["touch", "update"] {
                        let done = call(&store, kind, number).await;
                        done.unwrap_or_else(|error| panic!("{kind}, {writers} writers: {error:?}"));
                    }
                }
            });
        }
        others.join_all().await;
        let touched = store.touch(&portal(), id(1), at(1)).await;
        let error = touched.expect_err("it is locked still");
        // It says what is locked, unless a busy machine brings the deadline first.
        assert!(error.is_unavailable(), "{error}");
        over.store(true, Ordering::SeqCst);
        outsider.execute("ROLLBACK").await.expect("let go");
        users.join_all().await;
        assert!(store.touch(&portal(), id(1), at(1)).await.expect("answers"));
        store.close().await.expect("closes");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs PostgreSQL: run scripts/test"]
async fn locked_tables_hold_up_each_call_no_longer_than_its_deadline() {
    let base = Base::new().await;
    let store = base.store().await;
    for number in 0..3 {
        store.put(&portal(), &record(number)).await.expect("stored");
    }
    store.close().await.expect("closes");
    for mode in ["EXCLUSIVE", "ACCESS EXCLUSIVE"] {
        let store = connect(&base.hurried(400)).await;
        let mut outsider = base.outsider().await;
        outsider.execute("BEGIN").await.expect("begun");
        let lock = format!("LOCK TABLE tenure_session, tenure_namespace IN {mode} MODE");
        let lock = sqlx::AssertSqlSafe(lock);
        outsider.execute(lock).await.expect("locked");
        for kind in KINDS {
            // Ten times the deadline, for a machine that has much else to do.
            let answered = timeout(Duration::from_secs(4), call(&store, kind, 1)).await;
            match answered.unwrap_or_else(|_| panic!("{kind} is held up")) {
                Ok(()) => assert!(is_free(kind, mode), "{kind} under {mode}"),
                Err(error) => assert!(error.is_unavailable(), "{kind}: {error:?}"),
            }
        }
        outsider.execute("ROLLBACK").await.expect("let go");
        for kind in KINDS {
            let done = call(&store, kind, 2).await;
            done.unwrap_or_else(|error| panic!("{kind} after {mode}: {error:?}"));
        }
        store.close().await.expect("closes");
    }
}

/// What others may do; of a store alone it asks neither table.
fn is_free(kind: &str, mode: &str) -> bool {
    kind == "describe" || mode == "EXCLUSIVE" && READING.contains(&kind)
}
