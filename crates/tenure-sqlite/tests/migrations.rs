//! The schema: made once, whoever comes first; old data lives on; what is not ours or not
//! whole is refused and left as it is.

mod support;

use std::env;
use std::fs;
use std::io::Read;
use std::path::Path;
use std::process::{Command, Stdio};

use support::{Place, at, id, portal, put, record};
use tenure_sqlite::SqliteStore;
use tenure_store::{
    Counts, EndReason, ErrorKind, Outcome, Payload, Phase, Principal, SessionStore, State, Version,
};

/// Set for the processes that a test starts: the database that they are to open.
const DATABASE: &str = "TENURE_TEST_DATABASE";

fn history(place: &Place) -> Vec<i64> {
    let outsider = place.outsider();
    let mut versions = outsider
        .prepare("SELECT version FROM tenure_schema_history ORDER BY version")
        .expect("there is a history");
    let rows = versions.query_map([], |row| row.get(0)).expect("readable");
    rows.collect::<Result<_, _>>().expect("numbers")
}

fn sabotage(place: &Place, sql: &str) {
    let outsider = place.outsider();
    outsider.execute_batch(sql).expect("SQLite does it");
    outsider.close().expect("closed");
}

/// That the database is refused, and that not a byte of it changes.
async fn assert_mismatch(place: &Place, advice: &str) {
    let before = fs::read(place.path()).expect("readable");
    let error = SqliteStore::connect(place.options())
        .await
        .expect_err("refused");
    assert_eq!(error.kind(), ErrorKind::SchemaMismatch, "{error:?}");
    assert!(error.to_string().contains(advice), "{error}");
    assert_eq!(fs::read(place.path()).expect("readable"), before);
}

/// A database with one session, closed.
async fn used() -> Place {
    let place = Place::new();
    let store = place.store().await;
    put(&store, &record(1)).await;
    store.close().await.expect("closed");
    place
}

#[tokio::test]
async fn an_empty_file_gets_the_schema_and_the_next_start_writes_nothing() {
    let place = used().await;
    assert_eq!(history(&place), [1]);
    let before = fs::read(place.path()).expect("readable");

    let store = SqliteStore::connect(place.options())
        .await
        .expect("connects");
    let log = fs::metadata(place.file("sessions.db-wal")).map_or(0, |log| log.len());
    assert_eq!(log, 0, "nothing was written to the log");
    let loaded = store.load(&portal(), id(1), at(1)).await.expect("answers");
    assert_eq!(loaded, Some(record(1)));
    store.close().await.expect("closed");
    assert_eq!(fs::read(place.path()).expect("readable"), before);
}

#[tokio::test]
async fn a_start_waits_for_no_lock_once_the_schema_is_there() {
    let place = used().await;
    let outsider = place.outsider();
    outsider.execute_batch("BEGIN IMMEDIATE").expect("locked");
    let store = SqliteStore::connect(place.options())
        .await
        .expect("connects");
    let loaded = store.load(&portal(), id(1), at(1)).await.expect("answers");
    assert_eq!(loaded, Some(record(1)));
}

#[tokio::test]
async fn eight_processes_start_at_once() {
    if let Ok(path) = env::var(DATABASE) {
        return start(Path::new(&path)).await;
    }
    for _ in 0..20 {
        let place = Place::new();
        let myself = env::current_exe().expect("this test's own file");
        let mut started = Vec::new();
        for _ in 0..8 {
            let child = Command::new(&myself)
                .args(["--exact", "eight_processes_start_at_once", "--nocapture"])
                .env(DATABASE, place.path())
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
        assert_eq!(history(&place), [1]);
        let store = place.store().await;
        assert_eq!(
            store.count(&portal(), at(1)).await.expect("counted").live,
            8
        );
    }
}

/// What each of the eight does.
async fn start(path: &Path) {
    let mut nothing = Vec::new();
    std::io::stdin()
        .read_to_end(&mut nothing)
        .expect("its standard input ends");
    let store = support::store(path.into()).await;
    put(&store, &record(u64::from(std::process::id()))).await;
    store.close().await.expect("closed");
}

#[tokio::test]
async fn a_newer_schema_is_refused() {
    let place = used().await;
    sabotage(
        &place,
        "INSERT INTO tenure_schema_history SELECT 2, 'later', applied_on, '1' \
         FROM tenure_schema_history",
    );
    assert_mismatch(&place, "newer version").await;
}

#[tokio::test]
async fn an_edited_migration_is_refused() {
    let place = used().await;
    sabotage(&place, "UPDATE tenure_schema_history SET checksum = '1'");
    assert_mismatch(&place, "another content").await;
}

#[tokio::test]
async fn an_unreadable_history_is_refused() {
    for damage in [
        "checksum = 'one'",
        "applied_on = 'yesterday'",
        "version = 2.5",
    ] {
        let place = used().await;
        sabotage(
            &place,
            &format!("UPDATE tenure_schema_history SET {damage}"),
        );
        assert_mismatch(&place, "history was edited").await;
    }
}

#[tokio::test]
async fn a_migration_applied_by_half_is_refused() {
    let place = used().await;
    sabotage(&place, "DELETE FROM tenure_schema_history");
    assert_mismatch(&place, "by half").await;

    let place = used().await;
    sabotage(&place, "DROP TABLE payload");
    assert_mismatch(&place, "tables are missing").await;
}

#[tokio::test]
async fn sessions_of_schema_1_live_on() {
    let place = Place::new();
    let fixture = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/v1.db");
    fs::copy(fixture, place.path()).expect("copied");
    let store = place.store().await;
    let ns = portal();
    let id = |number| tenure_store::SessionId::from_digest([number; 16]);
    let created = at(1_767_268_800_000);
    let later = at(1_767_268_860_000);

    let loaded = store
        .load(&ns, id(3), later)
        .await
        .expect("answers")
        .expect("live");
    assert_eq!((loaded.created, loaded.last_access), (created, later));
    assert_eq!((loaded.accesses, loaded.rotation.number()), (2, 3));
    assert_eq!(loaded.version, Version::new(u64::MAX - 3));
    assert_eq!(loaded.payload, Payload::new(vec![3; 100]));
    let alice = Principal::new("alice").expect("a good name");
    assert_eq!(loaded.principal, Some(alice.clone()));

    let dead = store
        .inspect(&ns, id(5), later)
        .await
        .expect("answers")
        .expect("there");
    let State::Ended(dead) = dead.state else {
        panic!("{dead:?} is a dead letter");
    };
    assert_eq!(
        (dead.phase, dead.claims, dead.failures),
        (Phase::Dead, 1, 1)
    );
    assert_eq!(
        dead.last_failure.expect("it failed").as_str(),
        "the mail server said no"
    );

    let hour_later = at(later.as_millis() + 3_600_000);
    let expected = Counts {
        live: 2,
        over: 2,
        waiting: 1,
        dead: 1,
        oldest_due: Some(later),
        ..Counts::default()
    };
    assert_eq!(
        store.count(&ns, hour_later).await.expect("counted"),
        expected
    );

    let lease = std::time::Duration::from_mins(1);
    let claimed = store
        .claim(&ns, lease, 10, hour_later)
        .await
        .expect("claimed");
    let mut ends: Vec<_> = claimed
        .ended
        .iter()
        .map(|ended| (ended.record.id, ended.tombstone.end.reason))
        .collect();
    ends.sort();
    assert_eq!(
        ends,
        [
            (id(1), EndReason::ApplicationReset),
            (id(4), EndReason::Logout),
            (id(6), EndReason::IdleTimeout),
        ]
    );
    let done: Vec<_> = claimed
        .ended
        .iter()
        .map(|ended| (ended.ticket(), Outcome::Done))
        .collect();
    assert_eq!(
        store.settle(&ns, &done, hour_later).await.expect("settled"),
        3
    );
    assert!(store.touch(&ns, id(2), hour_later).await.expect("touched"));
}
