//! The schema: refinery's runner over the one SQLite driver that is there, under a lock
//! of our own, so that any number of processes may start at once.

use std::error::Error as StdError;
use std::time::Duration;

use refinery::error::Kind;
use refinery::{Migration, Runner};
use refinery_core::AsyncMigrate;
use refinery_core::traits::r#async::{AsyncQuery, AsyncTransaction};
use sqlx::{AssertSqlSafe, ConnectOptions, Executor, Row, SqliteConnection};
use tenure_store::{Error, ErrorKind, Result};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;
use tokio::time::timeout;

use crate::error::{from_driver, is_busy, is_refused_statement};
use crate::options::SqliteOptions;

mod embedded {
    refinery::embed_migrations!("migrations");
}

/// The table that says what was applied.
const HISTORY: &str = "tenure_schema_history";

/// The tables without which no version of this code can work.
const TABLES: [&str; 4] = ["namespace", "reset", "session", "payload"];

/// How long a start waits for others that start.
const PATIENCE: Duration = Duration::from_secs(30);

/// The migrations that this code comes with.
pub(crate) fn known() -> Vec<Migration> {
    embedded::migrations::runner().get_migrations().clone()
}

/// The version of the schema after these.
pub(crate) fn latest(migrations: &[Migration]) -> u32 {
    let versions = migrations.iter().map(Migration::version);
    versions
        .max()
        .and_then(|version| version.try_into().ok())
        .unwrap_or(0)
}

/// The version of the schema that a database has.
pub(crate) async fn applied(db: &mut SqliteConnection) -> Result<u32> {
    sqlx::query_scalar("SELECT max(version) FROM tenure_schema_history")
        .fetch_one(db)
        .await
        .map_err(from_driver)
}

/// Brings the database up to these migrations, or refuses it unchanged. Where there is
/// nothing to do, nothing is written.
///
/// Gives the connection that did it. As long as it is open nobody takes away the
/// write-ahead log under those that come next.
pub(crate) async fn migrate(
    options: &SqliteOptions,
    migrations: &[Migration],
) -> Result<SqliteConnection> {
    let options = options.writing().busy_timeout(PATIENCE);
    let start = async {
        let mut db = options.connect().await.map_err(from_driver)?;
        apply(&mut db, migrations).await?;
        write_ahead(&mut db).await?;
        Ok(db)
    };
    timeout(PATIENCE, start).await.unwrap_or_else(|_| {
        Err(Error::unavailable(
            "others kept the database busy all through the start: try again",
        ))
    })
}

async fn apply(db: &mut SqliteConnection, migrations: &[Migration]) -> Result<()> {
    let mut runner = Runner::new(migrations);
    runner.set_migration_table_name(HISTORY);
    if is_up_to_date(&runner, db).await? {
        return Ok(());
    }
    // Refinery has no lock of its own. Whoever waits here finds all of it done.
    db.execute("BEGIN IMMEDIATE").await.map_err(from_driver)?;
    let applied = runner.run_async(&mut History(db)).await;
    let end = if applied.is_ok() {
        "COMMIT"
    } else {
        "ROLLBACK"
    };
    let ended = db.execute(end).await.map_err(from_driver);
    applied.map_err(|error| refused(error, latest(migrations)))?;
    ended.map(drop)
}

/// Looks, without a write, whether exactly these migrations were applied.
async fn is_up_to_date(runner: &Runner, db: &mut SqliteConnection) -> Result<bool> {
    let tables: Vec<String> =
        sqlx::query_scalar("SELECT name FROM sqlite_schema WHERE type = 'table'")
            .fetch_all(&mut *db)
            .await
            .map_err(from_driver)?;
    let has = |name: &str| tables.iter().any(|table| table == name);
    if tables.is_empty() {
        return Ok(false);
    }
    if !has(HISTORY) {
        return Err(Error::new(
            ErrorKind::Misconfigured,
            "this database holds something else's tables: give Tenure a file of its own",
        ));
    }
    let applied = runner
        .get_applied_migrations_async(&mut History(db))
        .await
        .map_err(|error| refused(error, 0))?;
    if !applied.is_empty() && !TABLES.into_iter().all(has) {
        return Err(mismatch(
            "tables are missing though their migration is in the history: restore a backup",
        ));
    }
    Ok(applied == *runner.get_migrations())
}

/// Switches to the write-ahead log, which stays with the file.
///
/// Only this switch needs the database to itself, and it does not wait. So whoever finds
/// it busy waits with an exclusive transaction, which does, and tries again; for all but
/// the first there is then nothing left to switch.
async fn write_ahead(db: &mut SqliteConnection) -> Result<()> {
    loop {
        let switched = sqlx::query_scalar::<_, String>("PRAGMA journal_mode = WAL")
            .fetch_one(&mut *db)
            .await;
        match switched {
            Ok(mode) if mode == "wal" => return Ok(()),
            Ok(_) => {
                return Err(Error::new(
                    ErrorKind::Misconfigured,
                    "SQLite's write-ahead log does not work here: put the file on a local disk",
                ));
            }
            Err(error) if is_busy(&error) => {
                db.execute("BEGIN EXCLUSIVE; COMMIT")
                    .await
                    .map_err(from_driver)?;
            }
            Err(error) => return Err(from_driver(error)),
        }
    }
}

/// Refinery's verdict in the contract's words.
fn refused(error: refinery::Error, latest: u32) -> Error {
    let first: &(dyn StdError + 'static) = &error;
    let driver = std::iter::successors(Some(first), |&error| error.source())
        .find_map(|error| error.downcast_ref::<sqlx::Error>());
    match error.kind() {
        Kind::MissingVersion(migration) if i64::from(migration.version()) > i64::from(latest) => {
            mismatch("a newer version has migrated this database: run that version")
        }
        Kind::MissingVersion(_) => {
            mismatch("this database was migrated by a version that this one does not follow")
        }
        Kind::DivergentVersion(..) => {
            mismatch("a migration was applied with another content than this version's")
        }
        Kind::Connection(..) if driver.is_some_and(is_refused_statement) => {
            mismatch("a migration was applied by half: restore a backup, or start an empty file")
        }
        Kind::Connection(..) if driver.is_some_and(is_unreadable) => {
            mismatch("the schema's history was edited: restore a backup")
        }
        _ => Error::new(
            ErrorKind::Unavailable,
            "the migration did not come to its end",
        ),
    }
    .with_source(error)
}

fn is_unreadable(error: &sqlx::Error) -> bool {
    matches!(
        error,
        sqlx::Error::ColumnDecode { .. } | sqlx::Error::Decode(_)
    )
}

fn mismatch(message: &str) -> Error {
    Error::new(ErrorKind::SchemaMismatch, message)
}

/// Refinery's view of a connection that is in a transaction already.
struct History<'a>(&'a mut SqliteConnection);

impl AsyncTransaction for History<'_> {
    type Error = sqlx::Error;

    async fn execute<'a, T: Iterator<Item = &'a str> + Send + 'a>(
        &'a mut self,
        queries: T,
    ) -> Result<usize, sqlx::Error> {
        let mut count = 0;
        for query in queries {
            self.0.execute(AssertSqlSafe(query)).await?;
            count += 1;
        }
        Ok(count)
    }
}

impl AsyncQuery<Vec<Migration>> for History<'_> {
    async fn query<'a>(&'a mut self, query: &'a str) -> Result<Vec<Migration>, sqlx::Error> {
        let rows = self.0.fetch_all(AssertSqlSafe(query)).await?;
        let decoded = rows.iter().map(|row| {
            let applied_on = OffsetDateTime::parse(row.try_get("applied_on")?, &Rfc3339)
                .map_err(|error| sqlx::Error::Decode(error.into()))?;
            let checksum = row
                .try_get::<&str, _>("checksum")?
                .parse()
                .map_err(|error: std::num::ParseIntError| sqlx::Error::Decode(error.into()))?;
            Ok(Migration::applied(
                row.try_get("version")?,
                row.try_get("name")?,
                applied_on,
                checksum,
            ))
        });
        decoded.collect()
    }
}

impl AsyncMigrate for History<'_> {}
