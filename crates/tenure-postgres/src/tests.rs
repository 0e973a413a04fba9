//! A schema to come: what is stored today lives on under it.

use std::collections::hash_map::RandomState;
use std::hash::{BuildHasher as _, Hasher as _};
use std::time::Duration;

use refinery::Migration;
use sqlx::{AssertSqlSafe, Connection as _, Executor as _, PgConnection};
use tenure_store::{
    Access, Change, Created, ErrorKind, Hooks, Namespace, Payload, Record, Result, Rotation,
    SessionId, SessionStore, Timestamp, Updated, Version,
};

use crate::migrate::{PATIENCE, known};
use crate::{PostgresOptions, PostgresStore};

/// A schema of a test's own in the server that the environment names.
struct Schema {
    server: String,
    name: String,
}

impl Schema {
    async fn new() -> Self {
        let server = std::env::var("TENURE_POSTGRES_URL");
        let server = server.expect("TENURE_POSTGRES_URL is not set: run scripts/test");
        // The standard library's own randomness.
        let name = format!("u{:016x}", RandomState::new().build_hasher().finish());
        let schema = Self { server, name };
        schema.run("CREATE SCHEMA", "").await;
        schema
    }

    async fn remove(self) {
        self.run("DROP SCHEMA", "CASCADE").await;
    }

    async fn run(&self, before: &str, after: &str) {
        let mut connection = PgConnection::connect(&self.server).await.expect("connects");
        let statement = format!("{before} {} {after}", self.name);
        let done = connection.execute(AssertSqlSafe(statement)).await;
        done.expect("the statement is good");
        connection.close().await.expect("it says goodbye");
    }

    fn options(&self) -> PostgresOptions {
        let sign = if self.server.contains('?') { '&' } else { '?' };
        let path = format!("options=-c%20search_path%3D{}", self.name);
        PostgresOptions::new(format!("{}{sign}{path}", self.server))
    }
}

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
#[ignore = "needs PostgreSQL: run scripts/test"]
async fn live_sessions_survive_a_migration_and_a_node_of_before_it() -> Result<()> {
    let schema = Schema::new().await;
    let ns = Namespace::sessions("portal")?;
    let (session, now) = (session(), Timestamp::from_millis_clamped(1));
    let before = PostgresStore::connect(schema.options()).await?;
    before.open(&ns, Hooks::Expected).await?;
    assert_eq!(before.create(&ns, &session, now).await?, Created::Done);

    let later = with_one_more(
        "ALTER TABLE tenure_session ADD COLUMN label text; \
         CREATE INDEX tenure_session_label ON tenure_session (label)",
    );
    let after = PostgresStore::connect_with(schema.options(), &later, PATIENCE).await?;
    assert_eq!(
        after.load(&ns, session.id, now).await?,
        Some(session.clone())
    );
    let change = Change::new(Version::new(2), Access::Counts);
    let updated = after.update(&ns, session.id, session.version, &change, now);
    assert_eq!(updated.await?, Updated::Done);
    let description = after.describe(now).await?;
    assert_eq!(description.schema_applied, Some(2));
    assert_eq!(description.schema_expected, Some(2));
    after.close().await?;

    // It was running all the while, with statements prepared for the schema before.
    assert!(before.touch(&ns, session.id, now).await?);
    let found = before.load(&ns, session.id, now).await?;
    assert_eq!(found.map(|found| found.accesses), Some(3));
    before.close().await?;

    let error = PostgresStore::connect(schema.options()).await;
    let error = error.expect_err("a newer schema");
    assert_eq!(error.kind(), ErrorKind::SchemaMismatch, "{error}");
    schema.remove().await;
    Ok(())
}

#[tokio::test]
#[ignore = "needs PostgreSQL: run scripts/test"]
async fn a_migration_that_fails_leaves_the_schema_before_it() -> Result<()> {
    let schema = Schema::new().await;
    let ns = Namespace::sessions("portal")?;
    let now = Timestamp::from_millis_clamped(1);
    let store = PostgresStore::connect(schema.options()).await?;
    store.open(&ns, Hooks::Expected).await?;
    assert_eq!(store.create(&ns, &session(), now).await?, Created::Done);
    store.close().await?;

    let broken = with_one_more("DROP TABLE tenure_reset; DROP TABLE nothing");
    PostgresStore::connect_with(schema.options(), &broken, PATIENCE)
        .await
        .expect_err("it fails");

    let store = PostgresStore::connect(schema.options()).await?;
    assert_eq!(store.load(&ns, session().id, now).await?, Some(session()));
    store.reset(&ns, now).await?;
    store.close().await?;
    schema.remove().await;
    Ok(())
}

#[tokio::test]
#[ignore = "needs PostgreSQL: run scripts/test"]
async fn a_migration_may_work_for_longer_than_a_start_waits_for_others() -> Result<()> {
    let schema = Schema::new().await;
    PostgresStore::connect(schema.options())
        .await?
        .close()
        .await?;
    let long = with_one_more("SELECT pg_sleep(1); ALTER TABLE tenure_session ADD label text");
    let patience = Duration::from_millis(200);
    // Who waits for the other is told so, and finds it done later.
    let starts = async || loop {
        match PostgresStore::connect_with(schema.options(), &long, patience).await {
            Ok(store) => return store.close().await,
            Err(error) => assert!(error.is_unavailable(), "{error:?}"),
        }
    };
    let (one, other) = tokio::join!(starts(), starts());
    one?;
    other?;
    schema.remove().await;
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs PostgreSQL: run scripts/test"]
async fn a_migration_behind_a_backup_lets_running_nodes_pass() -> Result<()> {
    let schema = Schema::new().await;
    let ns = Namespace::sessions("portal")?;
    let now = Timestamp::from_millis_clamped(1);
    let node = PostgresStore::connect(schema.options()).await?;
    node.open(&ns, Hooks::Expected).await?;
    assert_eq!(node.create(&ns, &session(), now).await?, Created::Done);

    let mut backup = PgConnection::connect(&schema.server)
        .await
        .expect("connects");
    let reads = format!("BEGIN; SELECT 1 FROM {}.tenure_session", schema.name);
    backup.execute(AssertSqlSafe(reads)).await.expect("read");
    let options = schema.options();
    let migrates = tokio::spawn(async move {
        let later = with_one_more("ALTER TABLE tenure_session ADD label text");
        PostgresStore::connect_with(options, &later, PATIENCE).await
    });
    for _ in 0..100 {
        assert!(node.load(&ns, session().id, now).await?.is_some());
        assert!(node.touch(&ns, session().id, now).await?);
        let waits = "SELECT pg_sleep(0.01)";
        backup.execute(waits).await.expect("it goes on");
    }
    assert!(!migrates.is_finished(), "it waits for the backup");
    backup.execute("COMMIT").await.expect("it is through");
    migrates.await.expect("no panic")?.close().await?;
    node.close().await?;
    schema.remove().await;
    Ok(())
}

#[tokio::test]
#[ignore = "needs PostgreSQL: run scripts/test"]
async fn a_column_whose_type_changed_is_read_by_a_running_node() -> Result<()> {
    let schema = Schema::new().await;
    let ns = Namespace::sessions("portal")?;
    let now = Timestamp::from_millis_clamped(1);
    let node = PostgresStore::connect(schema.options()).await?;
    node.open(&ns, Hooks::Expected).await?;
    assert_eq!(node.create(&ns, &session(), now).await?, Created::Done);
    assert!(node.load(&ns, session().id, now).await?.is_some());
    let change = format!(
        "ALTER TABLE {}.tenure_session ALTER last_failure TYPE varchar, \
         ALTER principal TYPE varchar COLLATE \"C\"",
        schema.name
    );
    let mut outsider = PgConnection::connect(&schema.server)
        .await
        .expect("connects");
    outsider
        .execute(AssertSqlSafe(change))
        .await
        .expect("altered");
    assert!(node.load(&ns, session().id, now).await?.is_some());
    assert!(node.touch(&ns, session().id, now).await?);
    node.close().await?;
    schema.remove().await;
    Ok(())
}
