//! What only the crate itself can see: a schema to come, under which what is stored today
//! lives on; what a connection remembers; and writes that take long, or break.

use std::fs;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, Waker};
use std::thread::JoinHandle;
use std::time::Duration;

use refinery::Migration;
use tempfile::tempdir;
use tenure_store::{
    Access, After, Change, Created, EndReason, ErrorKind, Hooks, Namespace, Payload, Record,
    Result, Rotation, SessionId, SessionStore, Timestamp, Updated, Version,
};

use crate::checkpoint::Checkpoints;
use crate::db::Db;
use crate::job::Operation;
use crate::migrate::known;
use crate::shared::Shared;
use crate::{SqliteOptions, SqliteStore};

/// Today's migrations and one more.
fn with_one_more(sql: &str) -> Vec<Migration> {
    let mut migrations = known();
    let next = format!("V{}__one_more", migrations.len() + 1);
    migrations.push(Migration::unapplied(&next, sql).expect("a good name"));
    migrations
}

fn session() -> Record {
    let start = Timestamp::from_millis_clamped(0);
    Record {
        id: SessionId::from_digest([1; 16]),
        created: start,
        last_access: start,
        accesses: 1,
        idle_timeout: None,
        lifetime: None,
        leaves_at: None,
        principal: None,
        rotation: Rotation::default(),
        version: Version::new(1),
        payload: Payload::new("kept"),
    }
}

#[tokio::test]
async fn live_sessions_survive_a_migration() -> Result<()> {
    let folder = tempdir().expect("a temporary folder");
    let options = || SqliteOptions::new(folder.path().join("sessions.db"));
    let ns = Namespace::sessions("portal")?;
    let (session, now) = (session(), Timestamp::from_millis_clamped(1));
    let store = SqliteStore::connect(options()).await?;
    store.open(&ns, Hooks::Expected).await?;
    assert_eq!(store.create(&ns, &session, now).await?, Created::Done);
    store.close().await?;

    let later = with_one_more(
        "ALTER TABLE session ADD COLUMN label TEXT; CREATE INDEX session_label ON session (label)",
    );
    let store = SqliteStore::connect_with(options(), later).await?;
    assert_eq!(
        store.load(&ns, session.id, now).await?,
        Some(session.clone())
    );
    let change = Change::new(Version::new(2), Access::Counts);
    let updated = store
        .update(&ns, session.id, session.version, &change, now)
        .await?;
    assert_eq!(updated, Updated::Done);
    let description = store.describe(now).await?;
    assert_eq!(description.schema_applied, Some(2));
    assert_eq!(description.schema_expected, Some(2));
    store.close().await?;

    let error = SqliteStore::connect(options()).await.expect_err("newer");
    assert_eq!(error.kind(), ErrorKind::SchemaMismatch, "{error}");
    Ok(())
}

/// A migration that makes the table of sessions anew, as SQLite asks for changes of columns.
fn made_anew() -> String {
    let schema = include_str!("../migrations/V1__sessions.sql");
    let start = schema.find("CREATE TABLE session (").expect("the table");
    let end = schema
        .find("-- Large payloads")
        .expect("what comes behind it");
    let (table, indexes) = schema[start..end]
        .split_once(") STRICT;")
        .expect("and its indexes");
    let table = table.replacen("session", "session_anew", 1);
    let columns = "number, ns, id, queue, due_at, created, last_access, accesses, idle_timeout, \
                   lifetime, leaves_at, principal, rotation, previous_until, version, end_reason, \
                   end_at, claims, failures, unsettled, last_failure, bytes";
    format!(
        "{table}) STRICT; INSERT INTO session_anew ({columns}) SELECT {columns} FROM session; \
         DROP TABLE session; ALTER TABLE session_anew RENAME TO session; {indexes}"
    )
}

#[tokio::test]
async fn a_migration_that_makes_a_table_anew_keeps_large_payloads() -> Result<()> {
    let folder = tempdir().expect("a temporary folder");
    let options = || SqliteOptions::new(folder.path().join("sessions.db"));
    let ns = Namespace::sessions("portal")?;
    let now = Timestamp::from_millis_clamped(1);
    let store = SqliteStore::connect(options()).await?;
    store.open(&ns, Hooks::Expected).await?;
    let large = Record {
        payload: Payload::new(vec![7; 50_000]),
        ..session()
    };
    assert_eq!(store.create(&ns, &large, now).await?, Created::Done);
    store.close().await?;

    let store = SqliteStore::connect_with(options(), with_one_more(&made_anew())).await?;
    assert_eq!(store.load(&ns, large.id, now).await?, Some(large.clone()));
    // What refers to a session goes with it, as before.
    let ended = store.end(&ns, large.id, None, EndReason::Logout, After::Discard, now);
    assert!(ended.await?.is_some());
    let db = Db::reading(&options())?;
    let left: Option<i64> = db.first("SELECT count(*) FROM payload", [], |row| row.get())?;
    assert_eq!(left, Some(0));
    store.close().await
}

#[tokio::test]
async fn a_migration_that_would_lose_what_others_refer_to_is_undone() -> Result<()> {
    let folder = tempdir().expect("a temporary folder");
    let options = || SqliteOptions::new(folder.path().join("sessions.db"));
    let ns = Namespace::sessions("portal")?;
    let now = Timestamp::from_millis_clamped(1);
    let store = SqliteStore::connect(options()).await?;
    store.open(&ns, Hooks::Expected).await?;
    assert_eq!(store.create(&ns, &session(), now).await?, Created::Done);
    store.close().await?;
    let losing = with_one_more("DELETE FROM namespace");
    let refused = SqliteStore::connect_with(options(), losing).await;
    assert_eq!(
        refused.expect_err("undone").kind(),
        ErrorKind::SchemaMismatch
    );
    let store = SqliteStore::connect(options()).await?;
    assert_eq!(store.load(&ns, session().id, now).await?, Some(session()));
    Ok(())
}

#[tokio::test]
async fn a_migration_that_fails_leaves_the_schema_before_it() -> Result<()> {
    let folder = tempdir().expect("a temporary folder");
    let options = || SqliteOptions::new(folder.path().join("sessions.db"));
    let ns = Namespace::sessions("portal")?;
    let now = Timestamp::from_millis_clamped(1);
    let store = SqliteStore::connect(options()).await?;
    store.open(&ns, Hooks::Expected).await?;
    assert_eq!(store.create(&ns, &session(), now).await?, Created::Done);
    store.close().await?;

    let broken = with_one_more("DROP TABLE payload; DROP TABLE nothing");
    SqliteStore::connect_with(options(), broken)
        .await
        .expect_err("it fails");

    let store = SqliteStore::connect(options()).await?;
    assert_eq!(store.load(&ns, session().id, now).await?, Some(session()));
    Ok(())
}

#[tokio::test]
async fn a_namespace_that_was_undone_has_no_number() -> Result<()> {
    let folder = tempdir().expect("a temporary folder");
    let options = SqliteOptions::new(folder.path().join("sessions.db"));
    let store = SqliteStore::connect(options.clone()).await?;
    let db = Db::writing(&options)?;
    let ns = Namespace::sessions("portal")?;
    db.begin_writing()?;
    let insert = "INSERT INTO namespace (kind, application, hooks_expected) VALUES (?1, ?2, 0)";
    db.execute(insert, (ns.kind().code(), ns.application()))?;
    assert!(db.number(&ns)?.is_some());
    db.undo()?;
    db.begin_writing()?;
    assert_eq!(db.number(&ns)?, None);
    db.undo()?;
    store.close().await
}

/// A touch by hand, and then whatever the test wants of the writer.
struct Touched<F>(F);

impl<F: Fn() + Send + 'static> Operation for Touched<F> {
    type Answer = ();

    fn run(&self, db: &Db) -> Result<()> {
        db.execute("UPDATE session SET accesses = accesses + 1", [])?;
        self.0();
        Ok(())
    }
}

/// A store with [`session`] in it.
async fn with_session(options: SqliteOptions, ns: &Namespace) -> Result<SqliteStore> {
    let store = SqliteStore::connect(options).await?;
    store.open(ns, Hooks::Unstated).await?;
    let created = store.create(ns, &session(), session().created).await?;
    assert_eq!(created, Created::Done);
    Ok(store)
}

#[tokio::test]
async fn a_load_does_not_wait_for_a_write_that_takes_long_nor_see_any_of_it() -> Result<()> {
    let folder = tempdir().expect("a temporary folder");
    let options = SqliteOptions::new(folder.path().join("sessions.db"));
    let options = options.deadline(Duration::from_mins(2)).queue_length(1);
    let (ns, now) = (Namespace::sessions("portal")?, session().created);
    let store = with_session(options, &ns).await?;
    let (begun, begins): (Sender<()>, Receiver<()>) = channel();
    let (end, ends): (Sender<()>, Receiver<()>) = channel();
    let ends = Mutex::new(ends);
    let writing = store.writes.submit(Touched(move || {
        begun.send(()).expect("the test listens");
        let ends = ends.lock().unwrap_or_else(PoisonError::into_inner);
        ends.recv().expect("the test says so");
    }));
    let loading = async {
        begins.recv().expect("it begins");
        // Those that went elsewhere take no place in the queue.
        let first = store.load(&ns, session().id, now).await;
        let second = store.load(&ns, session().id, now).await;
        end.send(()).expect("the write waits");
        [first, second]
    };
    let (written, loaded) = tokio::join!(writing, loading);
    written?;
    for loaded in loaded {
        assert_eq!(loaded?, Some(session()));
    }
    let loaded = store.load(&ns, session().id, now).await?;
    assert_eq!(loaded.map(|session| session.accesses), Some(2));
    store.close().await
}

/// Counts the accesses, and then does whatever the test wants.
struct Counted<F>(F);

impl<F: Fn() + Send + 'static> Operation for Counted<F> {
    type Answer = i64;

    fn run(&self, db: &Db) -> Result<i64> {
        let counted = db.first("SELECT accesses FROM session", [], |row| row.get())?;
        self.0();
        Ok(counted.expect("it is there"))
    }
}

/// Somebody who reads until told to end.
fn held_up(shared: &Arc<Shared>) -> (JoinHandle<Result<Option<i64>>>, Sender<()>) {
    let (begun, begins): (Sender<()>, Receiver<()>) = channel();
    let (end, ends): (Sender<()>, Receiver<()>) = channel();
    let ends = Mutex::new(ends);
    let (shared, runtime) = (Arc::clone(shared), tokio::runtime::Handle::current());
    let stays = Counted(move || {
        begun.send(()).expect("the test listens");
        let ends = ends.lock().unwrap_or_else(PoisonError::into_inner);
        ends.recv().expect("the test says so");
    });
    let reads = std::thread::spawn(move || runtime.block_on(shared.read(stays)));
    begins.recv().expect("it begins");
    (reads, end)
}

#[tokio::test]
async fn those_who_waited_together_read_what_was_there_when_the_last_of_them_asked() -> Result<()> {
    let folder = tempdir().expect("a temporary folder");
    let options = SqliteOptions::new(folder.path().join("sessions.db"));
    let store = with_session(options.clone(), &Namespace::sessions("portal")?).await?;
    let shared = Shared::start(Db::writing(&options)?, &options)?;
    let (first, end) = held_up(&shared);
    // Each of the others has the session touched by somebody else behind it.
    let elsewhere = Arc::new(Mutex::new(Db::writing(&options)?));
    let touch = |db: &Mutex<Db>| {
        let db = db.lock().unwrap_or_else(PoisonError::into_inner);
        let touched = db.execute("UPDATE session SET accesses = accesses + 1", []);
        assert_eq!(touched.expect("touched"), 1);
    };
    let reads = [(); 3].map(|()| {
        let elsewhere = Arc::clone(&elsewhere);
        let mut read = Box::pin(shared.read(Counted(move || touch(&elsewhere))));
        let asked = read.as_mut().poll(&mut Context::from_waker(Waker::noop()));
        assert!(asked.is_pending());
        read
    });
    touch(&elsewhere);
    end.send(()).expect("the first waits");
    assert_eq!(first.join().expect("no panic")?, Some(1));
    for read in reads {
        assert_eq!(read.await?, Some(2));
    }
    assert_eq!(shared.read(Counted(|| {})).await?, Some(5));
    store.close().await
}

#[tokio::test]
async fn who_waits_behind_many_that_gave_up_is_read_for() -> Result<()> {
    let folder = tempdir().expect("a temporary folder");
    let options = SqliteOptions::new(folder.path().join("sessions.db"));
    let store = with_session(options.clone(), &Namespace::sessions("portal")?).await?;
    let shared = Shared::start(Db::writing(&options)?, &options)?;
    let (first, end) = held_up(&shared);
    let mut waits = Context::from_waker(Waker::noop());
    for _ in 0..64 {
        let mut gives_up = Box::pin(shared.read(Counted(|| {})));
        assert!(gives_up.as_mut().poll(&mut waits).is_pending());
    }
    let mut last = Box::pin(shared.read(Counted(|| {})));
    assert!(last.as_mut().poll(&mut waits).is_pending());
    end.send(()).expect("the first waits");
    assert_eq!(first.join().expect("no panic")?, Some(1));
    let answered = last.as_mut().poll(&mut waits);
    assert!(matches!(answered, Poll::Ready(Ok(Some(1)))), "{answered:?}");
    store.close().await
}

#[tokio::test]
async fn nobody_sees_what_a_write_left_that_broke_down() -> Result<()> {
    let folder = tempdir().expect("a temporary folder");
    let options = SqliteOptions::new(folder.path().join("sessions.db"));
    let (ns, now) = (Namespace::sessions("portal")?, session().created);
    let store = with_session(options, &ns).await?;
    let broken = store.writes.submit(Touched(|| panic!("on purpose"))).await;
    assert!(broken.expect_err("broken").is_unavailable());
    let loaded = store.load(&ns, session().id, now).await?;
    assert_eq!(loaded, Some(session()));
    let refused = store.touch(&ns, session().id, now).await;
    assert!(refused.expect_err("nobody writes").is_unavailable());
    store.close().await
}

#[tokio::test]
async fn what_is_written_leaves_the_log_without_the_writer() -> Result<()> {
    let folder = tempdir().expect("a temporary folder");
    let path = folder.path().join("sessions.db");
    let options = SqliteOptions::new(&path);
    let store = with_session(options.clone(), &Namespace::sessions("portal")?).await?;
    let file = || fs::read(&path).expect("it is there");
    let carry_over = |more: usize| -> Result<()> {
        let mut checkpoints = Checkpoints::start(&options, &store.files)?;
        checkpoints.note(4096);
        checkpoints.note(more);
        checkpoints.finish();
        Ok(())
    };
    let before = file();
    carry_over(4095)?;
    assert!(file() == before, "so little is not worth it");
    carry_over(4096)?;
    assert!(file() != before, "it is in the database");
    store.close().await
}
