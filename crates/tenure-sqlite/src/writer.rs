//! The one thread that writes: all that waits is one transaction, and nobody is answered
//! before its commit.

use std::sync::mpsc::Receiver;
use std::time::Duration;

use tenure_store::{Error, Result};

use crate::batch::Batch;
use crate::db::Db;
use crate::error::was_busy;
use crate::job::Job;
use crate::options::SqliteOptions;

/// How long SQLite itself waits for a lock before it says so. Its waits grow to 100 ms,
/// and would sleep through every pause of a busy neighbour; so it is asked again instead,
/// until the deadline.
const BUSY_TIMEOUT: Duration = Duration::from_millis(8);

pub(crate) struct Writer {
    options: SqliteOptions,
    db: Db,
}

/// What failed.
enum Failed {
    /// One of the operations.
    Operation(Error),
    /// What they share.
    Transaction(Error),
}

impl Writer {
    pub(crate) fn open(options: &SqliteOptions) -> Result<Self> {
        Ok(Self {
            db: connect(options)?,
            options: options.clone(),
        })
    }

    /// Serves the queue until it is closed and empty, then leaves the database in one file.
    pub(crate) fn serve(mut self, intake: &Receiver<Box<dyn Job>>) {
        while let Some(batch) = Batch::take(intake) {
            self.carry_out(batch);
        }
        // Another process may be reading the log; then it stays until that one closes.
        if let Err(error) = self.db.script("PRAGMA wal_checkpoint(TRUNCATE)") {
            tracing::debug!(%error, "the session database keeps its log");
        }
    }

    fn carry_out(&mut self, mut batch: Batch) {
        match self.transact(&mut batch) {
            Ok(()) => batch.answer(),
            // Whose value it was shows when each is alone with its own. After
            // `Unavailable` a write may have happened, and must not be made twice.
            Err(Failed::Operation(error)) if !batch.is_single() && !error.is_unavailable() => {
                for mut one in batch.one_by_one() {
                    match self.transact(&mut one) {
                        Ok(()) => one.answer(),
                        Err(failed) => one.fail(failed.into_error()),
                    }
                }
            }
            Err(failed) => batch.fail(failed.into_error()),
        }
    }

    fn transact(&mut self, batch: &mut Batch) -> Result<(), Failed> {
        let outcome = self.begin().map_err(Failed::Transaction).and_then(|()| {
            batch.run(&self.db).map_err(Failed::Operation)?;
            self.db
                .execute("COMMIT", [])
                .map(drop)
                .map_err(Failed::Transaction)
        });
        if outcome.is_err() {
            self.undo();
        }
        outcome
    }

    /// Begins a transaction, as soon as no other process has one.
    fn begin(&self) -> Result<()> {
        let mut patience = self.options.deadline;
        loop {
            match self.db.execute("BEGIN IMMEDIATE", []) {
                Err(error) if was_busy(&error) && !patience.is_zero() => {
                    patience = patience.saturating_sub(BUSY_TIMEOUT);
                }
                begun => return begun.map(drop),
            }
        }
    }

    /// Sees to it that no transaction is left open.
    fn undo(&mut self) {
        if self.db.undo().is_ok() {
            return;
        }
        match connect(&self.options) {
            Ok(db) => self.db = db,
            Err(error) => tracing::warn!(%error, "a connection to the session database broke"),
        }
    }
}

fn connect(options: &SqliteOptions) -> Result<Db> {
    let db = Db::writing(options)?;
    db.wait_for_locks(BUSY_TIMEOUT)?;
    Ok(db)
}

impl Failed {
    fn into_error(self) -> Error {
        match self {
            Failed::Operation(error) | Failed::Transaction(error) => error,
        }
    }
}
