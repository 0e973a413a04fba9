//! Statements that begin before something else and are done after it.

use std::sync::Arc;

use futures_util::future::join_all;
use sqlx::Executor as _;
use tenure_conformance::props::{at, id, record};
use tenure_conformance::story::Story as _;
use tenure_store::{After, EndReason, State};

use crate::base::{Base, portal};

/// How many of the base's connections wait for somebody's lock.
async fn waiting(base: &Base) -> i64 {
    const WAITING: &str = "SELECT count(*), pg_sleep(0.01)::text FROM pg_stat_activity \
         WHERE application_name = current_schema() AND wait_event_type = 'Lock'";
    base.row::<(i64, String)>(WAITING).await.0
}

#[tokio::test]
#[ignore = "needs PostgreSQL: run scripts/test"]
async fn what_a_reset_has_ended_is_ended_by_nobody_else() {
    let base = Base::new().await;
    let store = base.store().await;
    store.put(&portal(), &record(1)).await.expect("stored");
    let mut outsider = base.outsider().await;
    outsider.execute("BEGIN").await.expect("begun");
    let lock = "SELECT 1 FROM tenure_session FOR UPDATE";
    outsider.execute(lock).await.expect("locked");
    let ends = {
        let store = Arc::clone(&store);
        let end = async move {
            let (logout, hold) = (EndReason::Logout, After::Queue);
            store.end(&portal(), id(1), logout, hold, at(1)).await
        };
        tokio::spawn(end)
    };
    while waiting(&base).await == 0 {}

    // It began later. Either it waits, or the other finds nothing to end.
    let resets = {
        let store = Arc::clone(&store);
        tokio::spawn(async move { store.reset(&portal(), at(2)).await })
    };
    while waiting(&base).await < 2 && !resets.is_finished() {}
    let entry = store.inspect(&portal(), id(1), at(3)).await;
    let over = matches!(
        entry.expect("answers").map(|entry| entry.state),
        Some(State::Over(_))
    );
    outsider.execute("COMMIT").await.expect("let go");

    let ended = ends.await.expect("no panic").expect("answers");
    resets.await.expect("no panic").expect("answers");
    assert!(!over || ended.is_none(), "it ended twice");
    store.close().await.expect("closes");
}

#[tokio::test]
#[ignore = "needs PostgreSQL: run scripts/test"]
async fn a_write_that_is_held_up_holds_up_no_other_and_those_go_together() {
    const OTHERS: std::ops::Range<u64> = 2..10;
    // Who has written a row shows who has written others with it.
    const WRITERS: &str = "SELECT count(DISTINCT xmin::text) FROM tenure_session \
         WHERE payload NOT LIKE 'payload 1%'";
    let base = Base::new().await;
    let store = base.store().await;
    for number in std::iter::once(1).chain(OTHERS) {
        store.put(&portal(), &record(number)).await.expect("stored");
    }
    let mut outsider = base.outsider().await;
    outsider.execute("BEGIN").await.expect("begun");
    let lock = "SELECT 1 FROM tenure_session WHERE payload LIKE 'payload 1%' FOR UPDATE";
    outsider.execute(lock).await.expect("locked");
    let held_up = {
        let store = Arc::clone(&store);
        tokio::spawn(async move { store.touch(&portal(), id(1), at(1)).await })
    };
    while waiting(&base).await == 0 {}

    let ns = portal();
    let touches = OTHERS.map(|number| store.touch(&ns, id(number), at(1)));
    for touched in join_all(touches).await {
        assert!(touched.expect("answers"));
    }
    assert!(!held_up.is_finished());
    assert_eq!(base.row::<(i64,)>(WRITERS).await.0, 1);

    outsider.execute("COMMIT").await.expect("let go");
    assert!(held_up.await.expect("no panic").expect("answers"));
    store.close().await.expect("closes");
}
