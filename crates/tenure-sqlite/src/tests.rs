//! What only the crate itself can see: a schema to come, under which what is stored today
//! lives on; and what a connection remembers.

use refinery::Migration;
use tempfile::tempdir;
use tenure_store::{
    Access, Change, Created, ErrorKind, Hooks, Namespace, Payload, Record, Result, Rotation,
    SessionId, SessionStore, Timestamp, Updated, Version,
};

use crate::db::Db;
use crate::migrate::known;
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
    db.execute("BEGIN IMMEDIATE", [])?;
    let insert = "INSERT INTO namespace (kind, application, hooks_expected) VALUES (?1, ?2, 0)";
    db.execute(insert, (ns.kind().code(), ns.application()))?;
    assert!(db.number(&ns)?.is_some());
    db.undo()?;
    assert_eq!(db.number(&ns)?, None);
    store.close().await
}
