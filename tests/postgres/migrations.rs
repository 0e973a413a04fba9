//! The schema: made once, whoever comes first; old data lives on; what is not ours or not
//! whole is refused and left as it is.

use std::io::Read as _;
use std::process::{Command, Stdio};
use std::time::Duration;

use tenure_conformance::props::{at, id, record};
use tenure_conformance::story::Story as _;
use tenure_store::{
    Counts, EndReason, ErrorKind, Outcome, Phase, SessionId, State, Timestamp, Version,
};

use crate::base::{Base, connect, portal};
use crate::support::place::postgres;

/// Set for the processes that a test starts: the URL that they are to open.
const STORE: &str = "TENURE_TEST_STORE";

async fn history(base: &Base) -> Vec<i32> {
    let (versions,) = base
        .row::<(Vec<i32>,)>("SELECT array_agg(version) FROM tenure_schema_history")
        .await;
    versions
}

/// A schema with one session, and nobody connected.
async fn used() -> Base {
    let base = Base::new().await;
    let store = base.store().await;
    store.put(&portal(), &record(1)).await.expect("stored");
    store.close().await.expect("closes");
    base
}

/// That the schema is refused.
async fn assert_mismatch(base: &Base, advice: &str) {
    let refused = tenure_connect::connect(base.place.url()).await;
    let error = refused.expect_err("refused");
    assert_eq!(error.kind(), ErrorKind::SchemaMismatch, "{error:?}");
    assert!(error.to_string().contains(advice), "{error}");
}

#[tokio::test]
#[ignore = "needs PostgreSQL: run scripts/test"]
async fn an_empty_schema_gets_its_tables_and_the_next_start_writes_nothing() {
    let base = used().await;
    assert_eq!(history(&base).await, [1]);
    let (role,) = base
        .row::<(String,)>("SELECT 'r' || current_schema()")
        .await;
    let (path,) = base.row::<(String,)>("SELECT current_schema()::text").await;
    // One that may not write a schema, and would fail if it tried.
    base.run(&format!(
        "CREATE ROLE {role} LOGIN; GRANT USAGE ON SCHEMA {path} TO {role}; \
         GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA {path} TO {role}"
    ))
    .await;
    let store = connect(&base.place.url_with(&format!("user={role}"))).await;
    let loaded = store.load(&portal(), id(1), at(1)).await;
    assert_eq!(loaded.expect("answers"), Some(record(1)));
    assert!(store.touch(&portal(), id(1), at(1)).await.expect("answers"));
    store.put(&portal(), &record(2)).await.expect("stored");
    store.close().await.expect("closes");
    base.run(&format!("DROP OWNED BY {role}; DROP ROLE {role}"))
        .await;
}

#[tokio::test]
#[ignore = "needs PostgreSQL: run scripts/test"]
async fn eight_processes_start_at_once() {
    if let Ok(url) = std::env::var(STORE) {
        return start(&url).await;
    }
    for _ in 0..20 {
        let base = Base::new().await;
        let myself = std::env::current_exe().expect("this test's own file");
        let mut started = Vec::new();
        for _ in 0..8 {
            let child = Command::new(&myself)
                .args(["--exact", "migrations::eight_processes_start_at_once"])
                .args(["--include-ignored", "--nocapture"])
                .env(STORE, base.place.url())
                .stdin(Stdio::piped())
                .stdout(Stdio::piped())
                .stderr(Stdio::piped())
                .spawn();
            started.push(child.expect("it starts"));
        }
        // Each begins when its standard input ends.
        let pipes: Vec<_> = started.iter_mut().map(|child| child.stdin.take()).collect();
        drop(pipes);
        for child in started {
            let output = child.wait_with_output().expect("it ends");
            let said = String::from_utf8_lossy(&output.stderr);
            assert!(output.status.success(), "{said}");
        }
        assert_eq!(history(&base).await, [1]);
        let store = base.store().await;
        let counts = store.count(&portal(), at(1)).await.expect("counted");
        assert_eq!(counts.live, 8);
        store.close().await.expect("closes");
    }
}

/// What each of the eight does.
async fn start(url: &str) {
    let mut nothing = Vec::new();
    let read = std::io::stdin().read_to_end(&mut nothing);
    read.expect("its standard input ends");
    let store = connect(url).await;
    let opened = store.open(&portal(), tenure_store::Hooks::Expected).await;
    opened.expect("opens");
    let record = record(u64::from(std::process::id()));
    store.put(&portal(), &record).await.expect("stored");
    store.close().await.expect("closes");
}

#[tokio::test]
#[ignore = "needs PostgreSQL: run scripts/test"]
async fn a_newer_schema_is_refused() {
    let base = used().await;
    base.run(
        "INSERT INTO tenure_schema_history SELECT 2, 'later', applied_on, '1' \
         FROM tenure_schema_history",
    )
    .await;
    assert_mismatch(&base, "newer version").await;
    assert_eq!(history(&base).await, [1, 2]);
}

#[tokio::test]
#[ignore = "needs PostgreSQL: run scripts/test"]
async fn an_edited_migration_is_refused() {
    let base = used().await;
    base.run("UPDATE tenure_schema_history SET checksum = '1'")
        .await;
    assert_mismatch(&base, "another content").await;
}

#[tokio::test]
#[ignore = "needs PostgreSQL: run scripts/test"]
async fn an_unreadable_history_is_refused() {
    for damage in ["checksum = 'one'", "applied_on = 'yesterday'"] {
        let base = used().await;
        base.run(&format!("UPDATE tenure_schema_history SET {damage}"))
            .await;
        assert_mismatch(&base, "history was edited").await;
    }
}

#[tokio::test]
#[ignore = "needs PostgreSQL: run scripts/test"]
async fn a_migration_applied_by_half_is_refused() {
    let base = used().await;
    base.run("DELETE FROM tenure_schema_history").await;
    assert_mismatch(&base, "by half").await;

    let base = used().await;
    base.run("DROP TABLE tenure_schema_history").await;
    assert_mismatch(&base, "without their history").await;

    let base = used().await;
    base.run("DROP TABLE tenure_reset").await;
    assert_mismatch(&base, "tables are missing").await;
}

#[tokio::test]
#[ignore = "needs PostgreSQL: run scripts/test"]
async fn sessions_of_schema_1_live_on() {
    let base = Base::new().await;
    base.run(include_str!("fixtures/v1.sql")).await;
    let store = connect(base.place.url()).await;
    let ns = portal();
    let id = |number| SessionId::from_digest([number; 16]);
    let time = Timestamp::from_millis_clamped;
    let (created, later) = (time(1_767_268_800_000), time(1_767_268_860_000));

    let loaded = store.load(&ns, id(3), later).await.expect("answers");
    let loaded = loaded.expect("live");
    assert_eq!((loaded.created, loaded.last_access), (created, later));
    assert_eq!((loaded.accesses, loaded.rotation.number()), (2, 3));
    assert_eq!(loaded.version, Version::new(u64::MAX - 3));
    assert_eq!(loaded.payload.as_bytes(), [3; 100]);

    let dead = store.inspect(&ns, id(5), later).await.expect("answers");
    let State::Ended(dead) = dead.expect("there").state else {
        panic!("it is a dead letter");
    };
    assert_eq!(
        (dead.phase, dead.claims, dead.failures),
        (Phase::Dead, 1, 1)
    );

    let hour_later = later.plus(Duration::from_hours(1));
    let expected = Counts {
        live: 2,
        over: 2,
        waiting: 1,
        dead: 1,
        oldest_due: Some(later),
        ..Counts::default()
    };
    let counts = store.count(&ns, hour_later).await.expect("counted");
    assert_eq!(counts, expected);

    let claimed = store.claim_all(&ns, hour_later).await.expect("claimed");
    let mut ends: Vec<_> = claimed
        .iter()
        .map(|ended| (ended.record.id, ended.tombstone.end.reason))
        .collect();
    ends.sort();
    let expected = [
        (id(1), EndReason::ApplicationReset),
        (id(4), EndReason::Logout),
        (id(6), EndReason::IdleTimeout),
    ];
    assert_eq!(ends, expected);
    let done: Vec<_> = claimed
        .iter()
        .map(|ended| (ended.ticket(), Outcome::Done))
        .collect();
    let settled = store.settle(&ns, &done, hour_later).await;
    assert_eq!(settled.expect("settled"), 3);
    assert!(store.touch(&ns, id(2), hour_later).await.expect("touched"));
    store.close().await.expect("closes");
}

#[tokio::test]
#[ignore = "needs PostgreSQL: run scripts/test"]
async fn a_database_that_is_not_fit_is_refused_with_advice() {
    let base = Base::new().await;
    let (name,) = base
        .row::<(String,)>("SELECT 'd' || current_schema()")
        .await;
    base.run(&format!(
        "CREATE DATABASE {name} ENCODING 'LATIN1' LOCALE 'C' TEMPLATE template0"
    ))
    .await;
    let server = crate::support::place::server::Kind::Postgres.url();
    for (url, advice) in [
        (format!("{server}?dbname={name}"), "encoding"),
        (format!("{server}?dbname=no{name}"), "no such database"),
        (
            format!("{server}?options=-c%20search_path%3Dnowhere"),
            "search_path",
        ),
    ] {
        let error = tenure_connect::connect(&url).await.expect_err("refused");
        assert_eq!(error.kind(), ErrorKind::Misconfigured, "{error:?}");
        assert!(error.to_string().contains(advice), "{error}");
    }
    postgres::run(&server, &format!("DROP DATABASE {name}")).await;
}
