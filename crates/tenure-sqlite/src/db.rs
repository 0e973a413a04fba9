//! A connection, and how statements run on it.

use std::cell::RefCell;
use std::collections::HashMap;
use std::time::Duration;

use rusqlite::config::DbConfig;
use rusqlite::{Connection, OpenFlags, Params, Rows, params};
use tenure_store::{Namespace, Result};

use crate::error::from_driver;
use crate::options::SqliteOptions;
use crate::row::Columns;

/// So many statements stay prepared: more than there are.
const PREPARED: usize = 64;

/// How much of the file a connection that reads keeps in memory, in KiB: the upper pages of
/// the indexes of millions of sessions.
const READING_CACHE: u32 = 16_384;
/// The same for one that writes, with which callers load: the sessions that are in use too.
const WRITING_CACHE: u32 = 131_072;

/// A commit that leaves so many pages of 4 KiB in the log carries them over by itself: more
/// than wait for [a checkpoint](crate::checkpoint), should that not keep up.
const LOG: u32 = 24_576;

pub(crate) struct Db {
    connection: Connection,
    /// The numbers of namespaces, as this transaction sees them: somebody may restore a backup in
    /// which they are others.
    numbers: RefCell<HashMap<Namespace, i64>>,
}

/// A transaction that reads; `None` inside another one, which is not its own to end.
pub(crate) struct Snapshot<'a>(Option<&'a Db>);

impl Drop for Snapshot<'_> {
    fn drop(&mut self) {
        let Some(db) = self.0 else {
            return;
        };
        if let Err(error) = db.execute("COMMIT", []).or_else(|_| db.undo().map(|()| 0)) {
            tracing::warn!(%error, "a connection to the session database does not let go");
        }
    }
}

impl Db {
    /// For a connection that writes, and does not wait for another's lock. The journal mode
    /// is not set here: it belongs to the file, and changing it takes care.
    pub(crate) fn writing(options: &SqliteOptions) -> Result<Self> {
        let db = Self::open(options, OpenFlags::SQLITE_OPEN_READ_WRITE, WRITING_CACHE)?;
        db.set("wal_autocheckpoint", LOG)?;
        db.set("foreign_keys", 1)?;
        db.set("synchronous", options.synchronous.code())?;
        if let Some(pages) = options.max_page_count {
            db.set("max_page_count", pages)?;
        }
        db.wait_for_locks(Duration::ZERO)?;
        Ok(db)
    }

    /// For a connection that reads.
    pub(crate) fn reading(options: &SqliteOptions) -> Result<Self> {
        Self::open(options, OpenFlags::SQLITE_OPEN_READ_ONLY, READING_CACHE)
    }

    /// With a cache of so many KiB.
    fn open(options: &SqliteOptions, flags: OpenFlags, cache: u32) -> Result<Self> {
        let flags = flags | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let connection = Connection::open_with_flags(&options.path, flags).map_err(from_driver)?;
        connection.set_prepared_statement_cache_capacity(PREPARED);
        let db = Self {
            connection,
            numbers: RefCell::default(),
        };
        // SQLite takes a negative number for KiB.
        db.set("cache_size", -i64::from(cache))?;
        Ok(db)
    }

    fn set(&self, pragma: &str, value: impl Into<i64>) -> Result<()> {
        self.connection
            .pragma_update(None, pragma, value.into())
            .map_err(from_driver)
    }

    /// Has what is in the log not carried over to the database when this is closed: they may
    /// belong together no more.
    pub(crate) fn forsake(&self) {
        let config = DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE;
        if let Err(error) = self.connection.set_db_config(config, true) {
            tracing::warn!(%error, "a lost log may be carried over to the session database");
        }
    }

    /// How long SQLite waits for a lock that another connection has.
    pub(crate) fn wait_for_locks(&self, patience: Duration) -> Result<()> {
        self.connection.busy_timeout(patience).map_err(from_driver)
    }

    /// Until this is dropped all that is read is of one instant, and SQLite's locks are taken
    /// and left once: for each read apart that would be a third of what it costs.
    pub(crate) fn snapshot(&self) -> Result<Snapshot<'_>> {
        if !self.connection.is_autocommit() {
            return Ok(Snapshot(None));
        }
        self.begin("BEGIN")?;
        Ok(Snapshot(Some(self)))
    }

    /// Begins a transaction that writes.
    pub(crate) fn begin_writing(&self) -> Result<()> {
        self.begin("BEGIN IMMEDIATE")
    }

    fn begin(&self, sql: &str) -> Result<()> {
        self.numbers.borrow_mut().clear();
        self.execute(sql, []).map(drop)
    }

    /// Undoes the transaction, if one is still open.
    pub(crate) fn undo(&self) -> Result<()> {
        // It may have made some of them.
        self.numbers.borrow_mut().clear();
        if !self.connection.is_autocommit() {
            self.execute("ROLLBACK", [])?;
        }
        Ok(())
    }

    /// A namespace's number, for statements of the same transaction; `None` if nobody has opened
    /// it.
    pub(crate) fn number(&self, ns: &Namespace) -> Result<Option<i64>> {
        debug_assert!(
            !self.connection.is_autocommit(),
            "a number outlives nothing"
        );
        if let Some(number) = self.numbers.borrow().get(ns) {
            return Ok(Some(*number));
        }
        let found: Option<i64> = self.first(
            "SELECT ns FROM namespace WHERE kind = ?1 AND application = ?2",
            params![ns.kind().code(), ns.application()],
            |row| row.get(),
        )?;
        if let Some(number) = found {
            self.numbers.borrow_mut().insert(ns.clone(), number);
        }
        Ok(found)
    }

    /// How many rows a statement changed.
    pub(crate) fn execute(&self, sql: &str, values: impl Params) -> Result<u64> {
        note(sql);
        self.connection
            .prepare_cached(sql)
            .and_then(|mut statement| statement.execute(values))
            .map(|rows| rows as u64)
            .map_err(from_driver)
    }

    /// The first row.
    pub(crate) fn first<T>(
        &self,
        sql: &str,
        values: impl Params,
        read: impl FnOnce(&mut Columns<'_>) -> Result<T>,
    ) -> Result<Option<T>> {
        self.rows(sql, values, |rows| {
            let row = rows.next().map_err(from_driver)?;
            row.map(|row| read(&mut Columns::of(row))).transpose()
        })
    }

    /// Every row.
    pub(crate) fn all<T>(
        &self,
        sql: &str,
        values: impl Params,
        mut read: impl FnMut(&mut Columns<'_>) -> Result<T>,
    ) -> Result<Vec<T>> {
        self.rows(sql, values, |rows| {
            let mut all = Vec::new();
            while let Some(row) = rows.next().map_err(from_driver)? {
                all.push(read(&mut Columns::of(row))?);
            }
            Ok(all)
        })
    }

    /// The rows, to be read as far as they are wanted.
    pub(crate) fn rows<T>(
        &self,
        sql: &str,
        values: impl Params,
        read: impl FnOnce(&mut Rows<'_>) -> Result<T>,
    ) -> Result<T> {
        note(sql);
        let mut statement = self.connection.prepare_cached(sql).map_err(from_driver)?;
        read(&mut statement.query(values).map_err(from_driver)?)
    }

    /// Several statements without values, of which none is kept prepared.
    pub(crate) fn script(&self, sql: &str) -> Result<()> {
        note(sql);
        self.connection.execute_batch(sql).map_err(from_driver)
    }

    /// The number of the row that was inserted last.
    pub(crate) fn last_number(&self) -> i64 {
        self.connection.last_insert_rowid()
    }
}

/// Lets those who listen know what SQLite is asked; no value is in it.
fn note(sql: &str) {
    tracing::trace!(target: "tenure_sqlite::statement", sql);
}
