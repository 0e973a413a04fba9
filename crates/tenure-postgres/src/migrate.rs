//! The schema: refinery's runner over the one PostgreSQL driver that is there, under a lock of
//! our own, so that any number of nodes may start at once.

use std::error::Error as StdError;
use std::time::Duration;

use refinery::error::Kind;
use refinery::{Migration, Runner};
use refinery_core::AsyncMigrate;
use refinery_core::traits::r#async::{AsyncQuery, AsyncTransaction};
use sqlx::{AssertSqlSafe, Executor, PgConnection, Row};
use tenure_store::{Error, ErrorKind, Result};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use crate::db::Db;
use crate::error::{code, from_driver, met_a_lock};
use crate::row::get;
use crate::settings::quoted;

mod embedded {
    refinery::embed_migrations!("migrations");
}

/// The table that says what was applied.
const HISTORY: &str = "tenure_schema_history";

/// How long a start waits for others that start.
pub(crate) const PATIENCE: Duration = Duration::from_secs(30);

/// How long the work waits for a table that others use, and how often it is begun: while it
/// waits, all who come after it wait too, so that it lets them pass and comes again.
const LOCK: &str = "100ms";
const ATTEMPTS: u32 = 40;

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

/// Brings the database up to these migrations, or refuses it unchanged. Where there is nothing
/// to do, nothing is written, and no right to write is needed. Waits for other starts as long
/// as `patience`; the work itself takes as long as it takes.
pub(crate) async fn migrate(
    db: &mut Db,
    schema: &str,
    migrations: &[Migration],
    patience: Duration,
) -> Result<()> {
    let runner = runner(migrations);
    for attempt in 1..=ATTEMPTS {
        if is_up_to_date(&runner, schema, db).await? {
            return Ok(());
        }
        lock(db, schema, patience).await?;
        let Err(error) = work(&runner, db).await else {
            return db.simply("COMMIT").await;
        };
        db.simply("ROLLBACK").await?;
        let refused = refused(error, latest(migrations));
        if !refused.is_unavailable() || attempt == ATTEMPTS {
            return Err(refused);
        }
        tracing::info!("others use the tables: the migration lets them pass and comes again");
        // Longer each time, up to a second.
        pause(Duration::from_millis(25) * attempt).await;
    }
    Ok(())
}

#[allow(
    clippy::disallowed_methods,
    reason = "others get the tables for so long, and nobody tells when they are through"
)]
async fn pause(duration: Duration) {
    tokio::time::sleep(duration).await;
}

/// Refuses a database that is not at exactly these migrations.
pub(crate) async fn check(db: &mut Db, schema: &str, migrations: &[Migration]) -> Result<()> {
    if is_up_to_date(&runner(migrations), schema, db).await? {
        Ok(())
    } else {
        Err(mismatch(
            "the schema is older than this version: connect once with a URL, which migrates it",
        ))
    }
}

fn runner(migrations: &[Migration]) -> Runner {
    let mut runner = Runner::new(migrations);
    runner.set_migration_table_name(HISTORY);
    runner
}

/// Begins a transaction that nobody else begins meanwhile. Refinery has no lock of its own.
/// Whoever waits here finds all of it done. The lock goes with the transaction: behind a pooler
/// nothing else is sure to.
async fn lock(db: &mut Db, schema: &str, patience: Duration) -> Result<()> {
    let millis = patience.as_millis();
    let locked = db
        .simply(AssertSqlSafe(format!(
            "{} SET LOCAL lock_timeout = {millis}; SELECT pg_advisory_xact_lock(hashtextextended(\
             concat_ws(' ', 'tenure', current_schema()), 0)); SET LOCAL lock_timeout = '{LOCK}'",
            begin(schema)
        )))
        .await;
    let Err(error) = locked else {
        return Ok(());
    };
    if !met_a_lock(&error) {
        return Err(error);
    }
    db.simply("ROLLBACK").await?;
    let message = format!(
        "another start has been migrating the schema for {millis} ms and is not through: try again"
    );
    Err(Error::unavailable(message).with_source(error))
}

/// Begins a transaction in this schema in which statements may take their time.
fn begin(schema: &str) -> String {
    format!(
        "BEGIN ISOLATION LEVEL READ COMMITTED; SET LOCAL search_path = {}, pg_temp; \
         SET LOCAL statement_timeout = 0; SET LOCAL idle_in_transaction_session_timeout = 0;",
        quoted(schema)
    )
}

async fn work(runner: &Runner, db: &mut Db) -> std::result::Result<(), refinery::Error> {
    // Another start may have done it while this one waited.
    runner.run_async(&mut History(db.driver())).await?;
    Ok(())
}

/// Looks, without a write, whether the server is fit for us and exactly these migrations were
/// applied.
async fn is_up_to_date(runner: &Runner, schema: &str, db: &mut Db) -> Result<bool> {
    db.simply(AssertSqlSafe(begin(schema))).await?;
    let looked = look(runner, db).await;
    db.simply("ROLLBACK").await?;
    looked
}

async fn look(runner: &Runner, db: &mut Db) -> Result<bool> {
    let row = db
        .row(sqlx::query(
            "SELECT pg_is_in_recovery() AS standby, \
             current_setting('server_version_num')::int AS version, \
             getdatabaseencoding()::text AS encoding, \
             (SELECT array_agg(relname::text) FROM pg_class \
             WHERE relnamespace = to_regnamespace(quote_ident(current_schema())) \
             AND relname IN ('tenure_schema_history', 'tenure_namespace', 'tenure_reset', \
             'tenure_session')) AS tables",
        ))
        .await?;
    let fault = if get::<i32>(&row, "version")? < 150_000 {
        "PostgreSQL has to be of version 15 or later"
    } else if get::<String>(&row, "encoding")? != "UTF8" {
        "the database's encoding has to be UTF8: create it with ENCODING 'UTF8'"
    } else if get(&row, "standby")? {
        "this server is a standby: give the URL of the primary"
    } else {
        ""
    };
    if !fault.is_empty() {
        return Err(Error::new(ErrorKind::Misconfigured, fault));
    }
    let tables = get::<Option<Vec<String>>>(&row, "tables")?.unwrap_or_default();
    if tables.is_empty() {
        return Ok(false);
    }
    if !tables.iter().any(|table| table == HISTORY) {
        return Err(mismatch(
            "the store's tables are there without their history: restore a backup",
        ));
    }
    let applied = runner
        .get_applied_migrations_async(&mut History(db.driver()))
        .await
        .map_err(|error| refused(error, 0))?;
    if !applied.is_empty() && tables.len() < 4 {
        return Err(mismatch(
            "tables are missing though their migration is in the history: restore a backup",
        ));
    }
    Ok(applied == *runner.get_migrations())
}

/// Refinery's verdict in the contract's words.
fn refused(error: refinery::Error, latest: u32) -> Error {
    let first: &(dyn StdError + 'static) = &error;
    let driver = std::iter::successors(Some(first), |&error| error.source())
        .find_map(|error| error.downcast_ref::<Refused>());
    match (error.kind(), driver) {
        (Kind::MissingVersion(migration), _)
            if i64::from(migration.version()) > i64::from(latest) =>
        {
            mismatch("a newer version has migrated this database: run that version")
        }
        (Kind::MissingVersion(_), _) => {
            mismatch("this database was migrated by a version that this one does not follow")
        }
        (Kind::DivergentVersion(..), _) => {
            mismatch("a migration was applied with another content than this version's")
        }
        (_, Some(Refused(driver))) => match code(driver) {
            // Something is there already, or is not there.
            Some("42P07" | "42723" | "42P01" | "42703" | "42701") => mismatch(
                "a migration was applied by half: restore a backup, or start an empty schema",
            ),
            _ if met_a_lock(driver) => Error::unavailable(
                "others keep using the tables that the migration changes, a backup perhaps: start \
                 again when it is through",
            ),
            _ if driver.kind() == ErrorKind::Corrupt => {
                mismatch("the schema's history was edited: restore a backup")
            }
            _ => Error::new(driver.kind(), "the migration did not come to its end"),
        },
        _ => Error::unavailable("the migration did not come to its end"),
    }
    .with_source(error)
}

fn mismatch(message: &str) -> Error {
    Error::new(ErrorKind::SchemaMismatch, message)
}

/// Refinery's view of a connection that is in a transaction already.
struct History<'a>(&'a mut PgConnection);

/// What the driver said, already in the contract's words.
#[derive(Debug)]
struct Refused(Error);

impl std::fmt::Display for Refused {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.fmt(f)
    }
}

impl StdError for Refused {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        self.0.source()
    }
}

impl From<sqlx::Error> for Refused {
    fn from(error: sqlx::Error) -> Self {
        Self(from_driver(error))
    }
}

impl AsyncTransaction for History<'_> {
    type Error = Refused;

    async fn execute<'a, T: Iterator<Item = &'a str> + Send + 'a>(
        &'a mut self,
        queries: T,
    ) -> Result<usize, Refused> {
        let mut count = 0;
        for query in queries {
            self.0.execute(AssertSqlSafe(query)).await?;
            count += 1;
        }
        Ok(count)
    }
}

impl AsyncQuery<Vec<Migration>> for History<'_> {
    async fn query<'a>(&'a mut self, query: &'a str) -> Result<Vec<Migration>, Refused> {
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
        decoded
            .collect::<Result<_, sqlx::Error>>()
            .map_err(Refused::from)
    }
}

impl AsyncMigrate for History<'_> {}
