//! Which schema the store is in, whatever `search_path` says meanwhile.

use std::sync::Arc;

use sqlx::postgres::{PgConnectOptions, PgPoolOptions};
use tenure_conformance::props::{at, id, record};
use tenure_conformance::story::Story as _;
use tenure_postgres::PostgresStore;
use tenure_store::{After, EndReason, ErrorKind, Hooks, SessionStore};

use crate::base::{Base, connect, portal};

/// A base, and the name of a second schema beside its own, which is not there yet.
async fn base() -> (Base, String) {
    let base = Base::new().await;
    let (own,) = base.row::<(String,)>("SELECT current_schema()::text").await;
    (base, format!("{own}_second"))
}

/// The base's URL with the second schema before its own.
async fn both(base: &Base, second: &str) -> String {
    let (own,) = base.row::<(String,)>("SELECT current_schema()::text").await;
    let path = format!("options=-c%20search_path%3D{second},{own}");
    base.place.url_with(&path)
}

/// A node, with the namespace opened.
async fn opened(url: &str) -> Arc<dyn SessionStore> {
    let store = connect(url).await;
    let opened = store.open(&portal(), Hooks::Expected).await;
    opened.expect("opens");
    store
}

async fn has_session(store: &Arc<dyn SessionStore>, number: u64) -> bool {
    let loaded = store.load(&portal(), id(number), at(1)).await;
    loaded.expect("answers").is_some()
}

async fn remove(base: &Base, second: &str) {
    base.run(&format!("DROP SCHEMA {second} CASCADE")).await;
}

#[tokio::test]
#[ignore = "needs PostgreSQL: run scripts/test"]
async fn a_schema_that_comes_before_the_stores_own_changes_nothing() {
    let (base, second) = base().await;
    let url = both(&base, &second).await;
    let running = opened(&url).await;
    running.put(&portal(), &record(1)).await.expect("stored");

    base.run(&format!("CREATE SCHEMA {second}")).await;
    base.terminate_all().await;
    let next = connect(&url).await;
    for node in [&running, &next] {
        assert!(has_session(node, 1).await);
    }
    let (logout, queue) = (EndReason::Logout, After::Queue);
    let ended = next.end(&portal(), id(1), None, logout, queue, at(1)).await;
    assert!(ended.expect("answers").is_some());
    for node in [running, next] {
        assert!(!has_session(&node, 1).await);
        node.close().await.expect("closes");
    }
    let (made,) = base
        .row::<(i64,)>(
            "SELECT count(*) FROM pg_class WHERE relnamespace = \
             to_regnamespace(current_schema() || '_second')",
        )
        .await;
    assert_eq!(made, 0, "nothing was made there");
    remove(&base, &second).await;
}

#[tokio::test]
#[ignore = "needs PostgreSQL: run scripts/test"]
async fn a_store_is_found_behind_an_empty_schema_and_by_a_pool_too() {
    let (base, second) = base().await;
    let store = base.store().await;
    store.put(&portal(), &record(1)).await.expect("stored");
    store.close().await.expect("closes");
    base.run(&format!("CREATE SCHEMA {second}")).await;
    let url = both(&base, &second).await;
    let options: PgConnectOptions = base.driver_url_of(&url).parse().expect("a good URL");
    let pool = PgPoolOptions::new().max_connections(8);
    let pool = pool.connect_with(options).await.expect("connects");
    let pooled = PostgresStore::new(pool.clone()).await.expect("connects");
    let pooled: Arc<dyn SessionStore> = Arc::new(pooled);
    for node in [pooled, connect(&url).await] {
        assert!(has_session(&node, 1).await);
        node.close().await.expect("closes");
    }
    pool.close().await;
    remove(&base, &second).await;
}

#[tokio::test]
#[ignore = "needs PostgreSQL: run scripts/test"]
async fn two_stores_in_one_path_are_refused_by_name() {
    let (base, second) = base().await;
    base.store().await.close().await.expect("closes");
    base.run(&format!("CREATE SCHEMA {second}")).await;
    let path = format!("options=-c%20search_path%3D{second}");
    let other = connect(&base.place.url_with(&path)).await;
    other.close().await.expect("closes");
    let refused = tenure_connect::connect(&both(&base, &second).await).await;
    let error = refused.expect_err("refused");
    assert_eq!(error.kind(), ErrorKind::Misconfigured, "{error:?}");
    assert!(error.to_string().contains(&second), "{error}");
    remove(&base, &second).await;
}

#[tokio::test]
#[ignore = "needs PostgreSQL: run scripts/test"]
async fn a_schema_may_have_any_name() {
    let (base, second) = base().await;
    base.run(&format!("CREATE SCHEMA \"{second} \"\"A\"\"\""))
        .await;
    let path = format!("options=-c%20search_path%3D%22{second}%5C%20%22%22A%22%22%22");
    let store = opened(&base.place.url_with(&path)).await;
    store.put(&portal(), &record(1)).await.expect("stored");
    assert!(has_session(&store, 1).await);
    store.close().await.expect("closes");
    base.run(&format!("DROP SCHEMA \"{second} \"\"A\"\"\" CASCADE"))
        .await;
}
