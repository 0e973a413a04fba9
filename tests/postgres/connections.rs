//! Connections that are refused, broken, held up or taken from a pool.

use std::time::Duration;

use sqlx::postgres::{PgConnectOptions, PgPoolOptions};
use sqlx::{Connection as _, Executor as _, PgPool};
use tenure_conformance::props::{at, id, record};
use tenure_conformance::story::Story as _;
use tenure_postgres::{PostgresOptions, PostgresStore};
use tenure_store::{ErrorKind, Hooks, SessionStore};

use crate::base::{Base, connect, portal};
use crate::support::proxy::{Cut, Proxy};

const SHORT: Duration = Duration::from_millis(300);

async fn pool(base: &Base, connections: u32) -> PgPool {
    let options: PgConnectOptions = base.driver_url().parse().expect("a good URL");
    let pool = PgPoolOptions::new().max_connections(connections);
    pool.connect_with(options).await.expect("connects")
}

#[tokio::test]
#[ignore = "needs PostgreSQL: run scripts/test"]
async fn a_store_on_a_pool_changes_no_schema() {
    let base = Base::new().await;
    let pool = pool(&base, 8).await;
    let error = PostgresStore::new(pool.clone())
        .await
        .expect_err("no tables");
    assert_eq!(error.kind(), ErrorKind::SchemaMismatch, "{error}");

    base.store().await.close().await.expect("closes");
    let store = PostgresStore::new(pool.clone()).await.expect("connects");
    store.put(&portal(), &record(1)).await.expect("stored");
    let loaded = store.load(&portal(), id(1), at(1)).await;
    assert_eq!(loaded.expect("answers"), Some(record(1)));
    assert!(pool.acquire().await.is_ok(), "some are left to the service");
    store.close().await.expect("closes");
    pool.close().await;
}

#[tokio::test]
#[ignore = "needs PostgreSQL: run scripts/test"]
async fn a_pool_that_is_too_small_is_refused() {
    let base = Base::new().await;
    base.store().await.close().await.expect("closes");
    let pool = pool(&base, 6).await;
    let error = PostgresStore::new(pool.clone())
        .await
        .expect_err("too small");
    assert_eq!(error.kind(), ErrorKind::Misconfigured, "{error}");
    pool.close().await;
}

#[tokio::test]
#[ignore = "needs PostgreSQL: run scripts/test"]
async fn an_exhausted_pool_is_unavailable_until_it_is_not() {
    let base = Base::new().await;
    base.store().await.close().await.expect("closes");
    let pool = pool(&base, 7).await;
    let options = || PostgresOptions::with_pool(pool.clone()).deadline(SHORT);
    let mut taken = Vec::new();
    for _ in 0..7 {
        taken.push(pool.acquire().await.expect("there is one"));
    }
    let error = PostgresStore::connect(options())
        .await
        .expect_err("none left");
    assert!(error.is_unavailable(), "{error}");
    drop(taken);
    let store = PostgresStore::connect(options()).await.expect("connects");
    store.put(&portal(), &record(1)).await.expect("stored");
    store.close().await.expect("closes");
    pool.close().await;
}

#[tokio::test]
#[ignore = "needs PostgreSQL: run scripts/test"]
async fn a_read_survives_the_end_of_its_connection_and_a_write_says_so() {
    let base = Base::new().await;
    base.store().await.close().await.expect("closes");
    let (proxy, url) = Proxy::before(&base.place.url_with("writers=1")).await;
    let store = connect(&url).await;
    store.put(&portal(), &record(1)).await.expect("stored");

    base.terminate_all().await;
    for _ in 0..4 {
        let loaded = store.load(&portal(), id(1), at(1)).await;
        assert_eq!(loaded.expect("answers").map(|r| r.id), Some(id(1)));
    }
    // Whether it was done before the connection ended, nobody can know.
    let _connects_anew = store.touch(&portal(), id(1), at(1)).await;
    proxy.cut_next(Cut::After);
    let error = store
        .touch(&portal(), id(1), at(1))
        .await
        .expect_err("broken");
    assert!(error.is_unavailable(), "{error}");
    assert!(store.touch(&portal(), id(1), at(1)).await.expect("answers"));
    store.close().await.expect("closes");
}

#[tokio::test]
#[ignore = "needs PostgreSQL: run scripts/test"]
async fn a_row_that_somebody_keeps_locked_is_unavailable_and_harms_nobody_else() {
    let base = Base::new().await;
    let store = base.store().await;
    store.put(&portal(), &record(1)).await.expect("stored");
    store.put(&portal(), &record(2)).await.expect("stored");
    store.close().await.expect("closes");
    let url = base
        .place
        .url()
        .replace("deadline_ms=120000", "deadline_ms=300");
    let store = connect(&url).await;
    let mut outsider = base.outsider().await;
    outsider.execute("BEGIN").await.expect("begun");
    let lock = "SELECT 1 FROM tenure_session WHERE payload LIKE 'payload 1%' FOR UPDATE";
    outsider.execute(lock).await.expect("locked");

    let error = store
        .touch(&portal(), id(1), at(1))
        .await
        .expect_err("locked");
    assert!(error.is_unavailable(), "{error}");
    assert!(
        store
            .load(&portal(), id(1), at(1))
            .await
            .expect("answers")
            .is_some()
    );
    assert!(store.touch(&portal(), id(2), at(1)).await.expect("answers"));

    outsider.execute("ROLLBACK").await.expect("let go");
    assert!(store.touch(&portal(), id(1), at(1)).await.expect("answers"));
    outsider.close().await.expect("it says goodbye");
    store.close().await.expect("closes");
}

#[tokio::test]
#[ignore = "needs PostgreSQL: run scripts/test"]
async fn a_server_that_became_read_only_is_unavailable_and_still_read() {
    let base = Base::new().await;
    let store = base.store().await;
    store.put(&portal(), &record(1)).await.expect("stored");
    store.close().await.expect("closes");
    let read_only = "options=-c%20default_transaction_read_only%3Don";
    let store = connect(&base.place.url_with(read_only)).await;
    assert!(
        store
            .load(&portal(), id(1), at(1))
            .await
            .expect("answers")
            .is_some()
    );
    let error = store
        .touch(&portal(), id(1), at(1))
        .await
        .expect_err("refused");
    assert!(error.is_unavailable(), "{error}");
    assert!(error.to_string().contains("read-only"), "{error}");
    store.close().await.expect("closes");
}

#[tokio::test]
#[ignore = "needs PostgreSQL: run scripts/test"]
async fn too_many_connections_are_told_as_such() {
    let base = Base::new().await;
    base.store().await.close().await.expect("closes");
    let (role,) = base
        .row::<(String,)>("SELECT 'c' || current_schema()")
        .await;
    base.run(&format!(
        "CREATE ROLE {role} LOGIN CONNECTION LIMIT 2; \
         GRANT {role} TO CURRENT_USER; ALTER SCHEMA {schema} OWNER TO {role}; \
         GRANT SELECT ON ALL TABLES IN SCHEMA {schema} TO {role}",
        schema = &role[1..]
    ))
    .await;
    let refused = tenure_connect::connect(&base.place.url_with(&format!("user={role}"))).await;
    let error = refused.expect_err("refused");
    assert!(error.is_unavailable(), "{error}");
    assert!(error.to_string().contains("max_connections"), "{error}");
    base.run(&format!(
        "REASSIGN OWNED BY {role} TO CURRENT_USER; DROP OWNED BY {role}; DROP ROLE {role}"
    ))
    .await;
}

#[tokio::test]
#[ignore = "needs PostgreSQL: run scripts/test"]
async fn nobody_there_is_unavailable_and_a_stranger_is_misconfigured() {
    // Port 1 is nobody's.
    let error = PostgresStore::connect("postgres://tenure:hush@127.0.0.1:1/tenure").await;
    let error = error.expect_err("nobody there");
    assert!(error.is_unavailable(), "{error}");
    assert!(!format!("{error:?}").contains("hush"), "{error:?}");
    let base = Base::new().await;
    let url = base.place.url_with("user=nobody_of_this_name");
    let error = tenure_connect::connect(&url).await.expect_err("a stranger");
    assert_eq!(error.kind(), ErrorKind::Misconfigured, "{error}");
}

#[tokio::test]
#[ignore = "needs PostgreSQL: run scripts/test"]
async fn mistakes_in_a_url_are_misconfigured() {
    let base = Base::new().await;
    let url = base.place.url();
    let host = url.split(['@', '/', '?']).nth(3).expect("a host");
    // It takes what it is sent and answers with something else, as another kind of server.
    let stranger = std::net::TcpListener::bind("127.0.0.1:0").expect("a free port");
    let stranger_host = stranger.local_addr().expect("bound").to_string();
    std::thread::spawn(move || {
        for peer in stranger.incoming().flatten() {
            let mut peer = peer;
            let _ = std::io::Write::write_all(&mut peer, b"-ERR unknown command\r\n");
            let _ = std::io::Read::read(&mut peer, &mut [0; 64]);
        }
    });
    for (mistake, url) in [
        ("a setting", base.place.url_with("pool=transaction")),
        ("a value", base.place.url_with("pooling=sometimes")),
        ("a driver's value", base.place.url_with("sslmode=always")),
        ("a file", base.place.url_with("sslrootcert=/no/such/file")),
        ("a host", url.replace(host, "no-such-host.invalid:5432")),
        ("another server", url.replace(host, &stranger_host)),
        ("encryption", base.place.url_with("sslmode=require")),
        ("a database", base.place.url_with("dbname=no_such_database")),
        ("a user", base.place.url_with("user=no_such_user")),
        (
            "a schema",
            base.place
                .url_with("options=-c%20search_path%3Dno_such_schema"),
        ),
    ] {
        let error = tenure_connect::connect(&url).await.expect_err(mistake);
        assert_eq!(
            error.kind(),
            ErrorKind::Misconfigured,
            "{mistake}: {error:?}"
        );
    }
}

#[tokio::test]
#[ignore = "needs PostgreSQL: run scripts/test"]
async fn a_refused_value_shows_nobodys_data() {
    let base = Base::new().await;
    let store = base.store().await;
    // What an operator may have added to the table.
    base.run("ALTER TABLE tenure_session ADD CHECK (payload NOT LIKE 'payload 2%')")
        .await;
    let put = store.create(&portal(), &record(2), at(0)).await;
    let error = put.expect_err("refused");
    assert_eq!(error.kind(), ErrorKind::Invalid, "{error:?}");
    let shown = format!("{error:?} {error}");
    assert!(!shown.contains("7061796c6f6164"), "{shown}");
    store
        .open(&portal(), Hooks::Unstated)
        .await
        .expect("goes on");
    store.put(&portal(), &record(1)).await.expect("stored");
    store.close().await.expect("closes");
}
