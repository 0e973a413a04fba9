//! The connection on which callers read by themselves, on their own threads.
//!
//! One at a time has it, and reads for those who came meanwhile before it lets go (*flat
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

/// For so many others at most does a caller read before a task goes on.
const MAX_COMBINED: usize = 64;

pub(crate) struct Combiner {
    /// `None` once the store is closed.
    db: Mutex<Option<Db>>,
    waiting: Mutex<VecDeque<Box<dyn Job>>>,
    /// How many may wait, and how long.
    length: usize,
    deadline: Duration,
}

impl Combiner {
    pub(crate) fn open(options: &SqliteOptions) -> Result<Arc<Self>> {
        Ok(Arc::new(Self {
            db: Mutex::new(Some(Db::loading(options)?)),
            waiting: Mutex::default(),
            length: options.queue_length,
            deadline: options.deadline,
        }))
    }

    pub(crate) async fn read<O: Operation>(self: &Arc<Self>, operation: O) -> Result<O::Answer> {
        if let Some(db) = self.try_lock() {
            let answer = operation.run(db.as_ref().ok_or_else(closed)?);
            drop(db);
            self.combine();
            return answer;
        }
        let (caller, answer) = oneshot::channel();
        self.queue(Box::new(Call::new(operation, caller)))?;
        // Whoever was there may have left before it saw this.
        self.combine();
        match timeout(self.deadline, answer).await {
            Ok(Ok(answered)) => answered,
            Ok(Err(_)) => Err(Error::unavailable("the store stopped before its answer")),
            Err(_) => Err(too_late(self.deadline)),
        }
    }

    /// Lets nobody read any more. It waits for whoever does, which is not long.
    pub(crate) fn close(self: &Arc<Self>) {
        *self.db.lock().unwrap_or_else(PoisonError::into_inner) = None;
        // Those who wait are told.
        self.combine();
    }

    fn queue(&self, job: Box<dyn Job>) -> Result<()> {
        let mut waiting = self.waiting();
        if waiting.len() >= self.length {
            return Err(too_many());
        }
        waiting.push_back(job);
        Ok(())
    }

    /// Reads for those who wait, unless somebody else does.
    fn combine(self: &Arc<Self>) {
        let mut left = MAX_COMBINED;
        while !self.waiting().is_empty() {
            let Some(db) = self.try_lock() else {
                return;
            };
            while let Some(mut job) = self.next() {
                if left == 0 {
                    self.waiting().push_front(job);
                    drop(db);
                    let combiner = Arc::clone(self);
                    tokio::spawn(async move { combiner.combine() });
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

    /// Who waited longest and still does.
    fn next(&self) -> Option<Box<dyn Job>> {
        let mut waiting = self.waiting();
        std::iter::from_fn(|| waiting.pop_front()).find(|job| !job.is_abandoned())
    }

    fn try_lock(&self) -> Option<MutexGuard<'_, Option<Db>>> {
        match self.db.try_lock() {
            Ok(db) => Some(db),
            Err(TryLockError::Poisoned(poisoned)) => Some(poisoned.into_inner()),
            Err(TryLockError::WouldBlock) => None,
        }
    }

    fn waiting(&self) -> MutexGuard<'_, VecDeque<Box<dyn Job>>> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
