//! The schema: refinery's runner under a lock of our own, so that any number of processes
//! may start at once.

use std::error::Error as StdError;
use std::time::Duration;

use refinery::error::Kind;
use refinery::{Migration, Runner};
use refinery_core::traits::sync::{Migrate, Query, Transaction};
use tenure_store::{Error, ErrorKind, Result};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use crate::db::Db;
use crate::error::{corrupt, is_refused_statement, was_busy};
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
pub(crate) fn applied(db: &Db) -> Result<u32> {
    let version = db.first(
        "SELECT max(version) FROM tenure_schema_history",
        [],
        |row| row.get(),
    )?;
    version.ok_or_else(|| corrupt("the schema's history is empty"))
}

/// Brings the database up to these migrations, or refuses it unchanged. Where there is
/// nothing to do, nothing is written.
///
/// Gives the connection that did it. As long as it is open nobody takes away the
/// write-ahead log under those that come next.
pub(crate) fn migrate(options: &SqliteOptions, migrations: &[Migration]) -> Result<Db> {
    let db = Db::writing(options)?;
    db.wait_for_locks(PATIENCE)?;
    let started = apply(&db, migrations)
        .and_then(|()| write_ahead(&db))
        // The first to read makes the log.
        .and_then(|()| applied(&db).map(drop));
    match started {
        Ok(()) => Ok(db),
        Err(error) if was_busy(&error) => Err(Error::unavailable(
            "others kept the database busy all through the start: try again",
        )),
        Err(error) => Err(error),
    }
}

fn apply(db: &Db, migrations: &[Migration]) -> Result<()> {
    let mut runner = Runner::new(migrations);
    runner.set_migration_table_name(HISTORY);
    if is_up_to_date(&runner, db)? {
        return Ok(());
    }
    let tables = "SELECT count(*) FROM sqlite_schema";
    if db.first(tables, [], |row| row.get::<i64>())? == Some(0) {
        // What is freed can be given back in steps. It is the first table that decides it.
        db.script("PRAGMA auto_vacuum = INCREMENTAL")?;
    }
    // A migration that makes a table anew drops the old one, and its rows would take along what
    // refers to them. No transaction may be open for this.
    db.script("PRAGMA foreign_keys = OFF")?;
    let applied = run(&runner, latest(migrations), db);
    db.script("PRAGMA foreign_keys = ON")?;
    applied
}

fn run(runner: &Runner, latest: u32, db: &Db) -> Result<()> {
    // Refinery has no lock of its own. Whoever waits here finds all of it done.
    db.execute("BEGIN IMMEDIATE", [])?;
    let applied = runner
        .run(&mut History(db))
        .map_err(|error| refused(error, latest))
        .and_then(|_| lacks_nothing(db));
    let end = if applied.is_ok() {
        "COMMIT"
    } else {
        "ROLLBACK"
    };
    let ended = db.execute(end, []);
    applied?;
    ended.map(drop)
}

/// Checks that each row has what it refers to, as nobody has looked meanwhile.
fn lacks_nothing(db: &Db) -> Result<()> {
    let first = db.first("PRAGMA foreign_key_check", [], |row| row.get::<String>())?;
    first.map_or(Ok(()), |table| {
        Err(mismatch(&format!(
            "a migration would leave rows of {table} without what they belong to, and was undone"
        )))
    })
}

/// Looks, without a write, whether exactly these migrations were applied.
fn is_up_to_date(runner: &Runner, db: &Db) -> Result<bool> {
    let tables: Vec<String> = db.all(
        "SELECT name FROM sqlite_schema WHERE type = 'table'",
        [],
        |row| row.get(),
    )?;
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
        .get_applied_migrations(&mut History(db))
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
fn write_ahead(db: &Db) -> Result<()> {
    loop {
        let mode = db.first("PRAGMA journal_mode = WAL", [], |row| row.get::<String>());
        match mode {
            Ok(Some(mode)) if mode == "wal" => return Ok(()),
            Ok(_) => {
                return Err(Error::new(
                    ErrorKind::Misconfigured,
                    "SQLite's write-ahead log does not work here: put the file on a local disk",
                ));
            }
            Err(error) if was_busy(&error) => {
                db.script("BEGIN EXCLUSIVE; COMMIT")?;
            }
            Err(error) => return Err(error),
        }
    }
}

/// Refinery's verdict in the contract's words.
fn refused(error: refinery::Error, latest: u32) -> Error {
    let first: &(dyn StdError + 'static) = &error;
    let causes = || std::iter::successors(Some(first), |&error| error.source());
    let is_refused = causes()
        .filter_map(|error| error.downcast_ref())
        .any(is_refused_statement);
    let is_unreadable = causes()
        .filter_map(|error| error.downcast_ref::<Error>())
        .any(|error| error.kind() == ErrorKind::Corrupt);
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
        Kind::Connection(..) if is_refused => {
            mismatch("a migration was applied by half: restore a backup, or start an empty file")
        }
        Kind::Connection(..) if is_unreadable => {
            mismatch("the schema's history was edited: restore a backup")
        }
        _ => Error::new(
            ErrorKind::Unavailable,
            "the migration did not come to its end",
        ),
    }
    .with_source(error)
}

fn mismatch(message: &str) -> Error {
    Error::new(ErrorKind::SchemaMismatch, message)
}

/// Refinery's view of a connection, which is in a transaction already if it is to write.
struct History<'a>(&'a Db);

impl Transaction for History<'_> {
    type Error = Error;

    fn execute<'a, T: Iterator<Item = &'a str>>(&mut self, queries: T) -> Result<usize> {
        let mut count = 0;
        for query in queries {
            self.0.script(query)?;
            count += 1;
        }
        Ok(count)
    }
}

impl Query<Vec<Migration>> for History<'_> {
    fn query(&mut self, query: &str) -> Result<Vec<Migration>> {
        self.0.all(query, [], |row| {
            let (version, name) = (row.get()?, row.get()?);
            let (applied_on, checksum) = (row.get::<String>()?, row.get::<String>()?);
            let unreadable = || corrupt("the schema's history cannot be read");
            Ok(Migration::applied(
                version,
                name,
                OffsetDateTime::parse(&applied_on, &Rfc3339).map_err(|_| unreadable())?,
                checksum.parse().map_err(|_| unreadable())?,
            ))
        })
    }
}

impl Migrate for History<'_> {}
