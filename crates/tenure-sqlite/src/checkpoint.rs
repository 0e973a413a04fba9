//! Carries what was written from the log over to the database, beside the writer, which need
//! not wait for the disk then.

use std::sync::Arc;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread::JoinHandle;

use tenure_store::Result;

use crate::db::Db;
use crate::identity::Files;
use crate::options::SqliteOptions;
use crate::thread::spawn;

/// After so many operations, each of which changes one page of 4 KiB or a few. More at once
/// are fewer pages to write, as some are changed more than once, and lie closer together.
const OPERATIONS: usize = 8192;

pub(crate) struct Checkpoints {
    /// How many operations wait for one.
    since: usize,
    due: SyncSender<()>,
    thread: JoinHandle<()>,
}

impl Checkpoints {
    pub(crate) fn start(options: &SqliteOptions, files: &Arc<Files>) -> Result<Self> {
        let (db, files) = (Db::writing(options)?, Arc::clone(files));
        let (due, intake) = sync_channel(1);
        let thread = spawn("tenure-checkpoint", move || serve(&db, &files, &intake))?;
        Ok(Self {
            since: 0,
            due,
            thread,
        })
    }

    /// So many operations are in the log.
    pub(crate) fn note(&mut self, operations: usize) {
        self.since += operations;
        if self.since >= OPERATIONS {
            self.since = 0;
            // One that waits already will see to these too.
            let _ = self.due.try_send(());
        }
    }

    /// Ends, after the one that is under way.
    pub(crate) fn finish(self) {
        drop(self.due);
        // It panics at nothing; and if it did, the log would only be longer.
        let _ = self.thread.join();
    }
}

fn serve(db: &Db, files: &Files, due: &Receiver<()>) {
    while due.recv().is_ok() {
        // Without waiting for those who read: what they need stays in the log.
        let passive = || db.script("PRAGMA wal_checkpoint(PASSIVE)");
        if let Err(error) = files.verify().and_then(|()| passive()) {
            tracing::debug!(%error, "the log of the session database grows");
        }
    }
    if files.verify().is_err() {
        db.forsake();
    }
}
