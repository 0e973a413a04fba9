//! The connection on which callers read by themselves, on their own threads.
//!
//! One at a time has it, and reads for those who came meanwhile before it leaves (*flat
//! combining*, Hendler et al., SPAA 2010): connections that read at the same time would
//! queue for the one lock of SQLite's page cache, and sleep.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, TryLockError};
use std::time::Duration;

use tenure_store::{Error, Result};
use tokio::sync::oneshot;
use tokio::time::timeout;

use crate::db::Db;
use crate::job::{Call, Job, Operation};
use crate::options::SqliteOptions;
use crate::writes::{closed, too_late, too_many};

/// For so many others at most does a caller read before somebody else goes on.
const FAVOURS: usize = 64;

pub(crate) struct Desk {
    /// `None` once the store is closed.
    db: Mutex<Option<Db>>,
    line: Mutex<VecDeque<Box<dyn Job>>>,
    /// How many may be in the line, and how long.
    length: usize,
    deadline: Duration,
}

impl Desk {
    pub(crate) fn open(options: &SqliteOptions) -> Result<Arc<Self>> {
        let db = Db::reading(options)?;
        db.wait_for_locks(Duration::ZERO)?;
        Ok(Arc::new(Self {
            db: Mutex::new(Some(db)),
            line: Mutex::default(),
            length: options.queue_length,
            deadline: options.deadline,
        }))
    }

    pub(crate) async fn ask<O: Operation>(self: &Arc<Self>, operation: O) -> Result<O::Answer> {
        if let Some(db) = self.sit_down() {
            let answer = operation.run(db.as_ref().ok_or_else(closed)?);
            drop(db);
            self.do_favours();
            return answer;
        }
        let (caller, answer) = oneshot::channel();
        self.queue(Box::new(Call::new(operation, caller)))?;
        // Whoever was there may have left before it saw this.
        self.do_favours();
        match timeout(self.deadline, answer).await {
            Ok(Ok(answered)) => answered,
            Ok(Err(_)) => Err(Error::unavailable("the store stopped before its answer")),
            Err(_) => Err(too_late(self.deadline)),
        }
    }

    /// Lets nobody read any more. It waits for whoever does, which is not long.
    pub(crate) fn close(&self) {
        let mut db = self.db.lock().unwrap_or_else(PoisonError::into_inner);
        *db = None;
    }

    fn queue(&self, job: Box<dyn Job>) -> Result<()> {
        let mut line = self.line();
        if line.len() >= self.length {
            return Err(too_many());
        }
        line.push_back(job);
        Ok(())
    }

    /// Reads for those in the line, unless somebody else does.
    fn do_favours(self: &Arc<Self>) {
        let mut left = FAVOURS;
        while !self.line().is_empty() {
            let Some(db) = self.sit_down() else {
                return;
            };
            while let Some(mut job) = self.next() {
                if left == 0 {
                    self.line().push_front(job);
                    drop(db);
                    let desk = Arc::clone(self);
                    tokio::spawn(async move { desk.do_favours() });
                    return;
                }
                left -= 1;
                let read = db.as_ref().ok_or_else(closed).and_then(|db| job.run(db));
                match read {
                    Ok(()) => job.answer(),
                    Err(error) => job.fail(error),
                }
            }
        }
    }

    fn next(&self) -> Option<Box<dyn Job>> {
        self.line().pop_front()
    }

    fn sit_down(&self) -> Option<MutexGuard<'_, Option<Db>>> {
        match self.db.try_lock() {
            Ok(db) => Some(db),
            Err(TryLockError::Poisoned(poisoned)) => Some(poisoned.into_inner()),
            Err(TryLockError::WouldBlock) => None,
        }
    }

    fn line(&self) -> MutexGuard<'_, VecDeque<Box<dyn Job>>> {
        self.line.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
