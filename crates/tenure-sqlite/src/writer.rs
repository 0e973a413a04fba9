//! The one thread that writes: all that waits is one transaction, and nobody is answered
//! before its commit.

use std::sync::Arc;
use std::sync::mpsc::Receiver;
use std::thread;
use std::time::Duration;

use tenure_store::{Error, Result};

use crate::batch::Batch;
use crate::checkpoint::Checkpoints;
use crate::db::Db;
use crate::error::was_busy;
use crate::identity::Files;
use crate::job::Job;
use crate::options::SqliteOptions;
use crate::shared::Shared;

/// How long to leave another process its transaction before it is asked again. SQLite's own
/// waits grow to 100 ms, and would sleep through every pause of a busy neighbour.
const PAUSE: Duration = Duration::from_millis(2);

pub(crate) struct Writer {
    options: SqliteOptions,
    files: Arc<Files>,
    shared: Arc<Shared>,
    checkpoints: Checkpoints,
}

/// What became of a batch.
enum Outcome {
    Done(Batch),
    Failed(Batch, Error),
    /// One of the operations failed, which concerns nobody else.
    Apart(Batch),
    /// Another process has a transaction.
    Busy(Batch),
}

impl Writer {
    pub(crate) fn new(
        options: &SqliteOptions,
        files: &Arc<Files>,
        shared: Arc<Shared>,
    ) -> Result<Self> {
        Ok(Self {
            options: options.clone(),
            files: Arc::clone(files),
            shared,
            checkpoints: Checkpoints::start(options, files)?,
        })
    }

    /// Serves the queue until it is closed and empty, then leaves the database in one file.
    pub(crate) fn serve(mut self, intake: &Receiver<Box<dyn Job>>) {
        while let Some(batch) = Batch::take(intake) {
            let operations = batch.len();
            self.carry_out(batch);
            self.checkpoints.note(operations);
        }
        self.checkpoints.finish();
        // Another process may be reading the log; then it stays until that one closes.
        let fold_in = |db: &mut Db| {
            self.files.verify().inspect_err(|_| db.forsake())?;
            db.script("PRAGMA wal_checkpoint(TRUNCATE)")
        };
        if let Some(Err(error)) = self.shared.write(fold_in) {
            tracing::debug!(%error, "the session database keeps its log");
        }
        self.shared.close();
    }

    #[allow(
        clippy::disallowed_methods,
        reason = "that another process is done can only be asked"
    )]
    fn carry_out(&self, mut batch: Batch) {
        let mut patience = self.options.deadline;
        loop {
            let attempt = self.shared.write(|db| self.attempt(batch, patience, db));
            match attempt {
                Some(Outcome::Busy(again)) => batch = again,
                Some(Outcome::Apart(batch)) => {
                    return batch.one_by_one().for_each(|one| self.carry_out(one));
                }
                Some(Outcome::Failed(batch, error)) => return batch.fail(error),
                Some(Outcome::Done(batch)) => return batch.answer(),
                None => return,
            }
            // Its callers may have run out of patience before the writer does.
            if !batch.is_wanted() {
                return;
            }
            thread::sleep(PAUSE);
            patience = patience.saturating_sub(PAUSE);
        }
    }

    fn attempt(&self, mut batch: Batch, patience: Duration, db: &mut Db) -> Outcome {
        match db.begin_writing() {
            Ok(()) => {}
            Err(error) if was_busy(&error) && !patience.is_zero() => return Outcome::Busy(batch),
            Err(error) => {
                self.undo(db);
                return Outcome::Failed(batch, error);
            }
        }
        // Who was told that it takes too long, while another process had its transaction, hears
        // no more of it: what was given up by now is not written.
        batch.is_wanted();
        let ran = batch.run(db);
        let operation_failed = ran.is_err();
        match ran.and_then(|()| db.execute("COMMIT", [])) {
            // What only this process can find is not acknowledged.
            Ok(_) => match self.files.verify() {
                Ok(()) => Outcome::Done(batch),
                Err(error) => {
                    db.forsake();
                    let lost = Error::unavailable(
                        "the database file or its log was removed or replaced, and this write may \
                         be lost with it",
                    );
                    Outcome::Failed(batch, lost.with_source(error))
                }
            },
            Err(error) => {
                self.undo(db);
                // Whose value it was shows when each is alone with its own. After
                // `Unavailable` a write may have happened, and must not be made twice.
                if operation_failed && !batch.is_single() && !error.is_unavailable() {
                    Outcome::Apart(batch)
                } else {
                    Outcome::Failed(batch, error)
                }
            }
        }
    }

    /// Sees to it that no transaction is left open.
    fn undo(&self, db: &mut Db) {
        if db.undo().is_ok() {
            return;
        }
        match Db::writing(&self.options) {
            Ok(anew) => *db = anew,
            Err(error) => tracing::warn!(%error, "a connection to the session database broke"),
        }
    }
}
