//! The connection that writes. Between its transactions callers load with it by themselves, on
//! their own threads.
//!
//! One at a time has it, and reads for those who came meanwhile, in one transaction, before it
//! lets go (*flat combining*, Hendler et al., SPAA 2010). Connections of their own would queue
//! for the one lock of SQLite's page cache, and lose what they keep of the file with each commit
//! that is not theirs.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError, TryLockError};
use std::time::Duration;

use tenure_store::Result;
use tokio::sync::oneshot;
use tokio::time::timeout;

use crate::db::Db;
use crate::job::{Call, Job, Operation};
use crate::options::SqliteOptions;
use crate::writes::{closed, too_late, too_many};

/// For so many others at most does one read before it goes on.
const MAX_COMBINED: usize = 64;

/// A load waits so long for a transaction, then it is left to another connection. A group of
/// writes that need not wait for a disk takes less.
const PATIENCE: Duration = Duration::from_millis(1);

pub(crate) struct Shared {
    /// `None` once the store is closed.
    db: Mutex<Option<Db>>,
    /// The writer has it, or is the next to have it. It stays so if that breaks down, and
    /// nobody reads what it left.
    writing: AtomicBool,
    waiting: Mutex<VecDeque<Box<dyn Job>>>,
    /// Whoever read for others left some to those it read for.
    left_some: AtomicBool,
    /// How many may wait, and how long.
    length: usize,
    deadline: Duration,
}

impl Shared {
    pub(crate) fn new(db: Db, options: &SqliteOptions) -> Self {
        Self {
            db: Mutex::new(Some(db)),
            writing: AtomicBool::new(false),
            waiting: Mutex::default(),
            left_some: AtomicBool::new(false),
            length: options.queue_length,
            deadline: options.deadline,
        }
    }

    /// Reads; `None` if a transaction is in the way for too long.
    pub(crate) async fn read<O: Operation>(&self, operation: O) -> Result<Option<O::Answer>> {
        if let Some(db) = self.try_lock() {
            let answer = db.as_ref().ok_or_else(closed);
            let answer = answer.and_then(|db| operation.run(db));
            drop(db);
            self.combine();
            return answer.map(Some);
        }
        let (caller, answer) = oneshot::channel();
        self.queue(Box::new(Call::new(operation, caller)))?;
        // Who comes before the writer is served before it.
        let in_the_way = self.is_writing();
        let patience = if in_the_way { PATIENCE } else { self.deadline };
        // Whoever was there may have left before it saw this.
        self.combine();
        let answered = timeout(patience, answer).await;
        if self.left_some.load(Ordering::Acquire) {
            self.combine();
        }
        match answered {
            Ok(answered) => answered.unwrap_or_else(|_| Err(closed())).map(Some),
            Err(_) if in_the_way => Ok(None),
            Err(_) => Err(too_late(self.deadline)),
        }
    }

    /// Lends it to the writer, which waits for whoever reads; those who came before it have
    /// their answers first. `None` once it is closed.
    pub(crate) fn write<T>(&self, write: impl FnOnce(&mut Db) -> T) -> Option<T> {
        self.writing.store(true, Ordering::Release);
        let mut db = self.lock();
        self.read_for_others(db.as_ref());
        let written = db.as_mut().map(write);
        self.read_for_others(db.as_ref());
        drop(db);
        self.writing.store(false, Ordering::Release);
        written
    }

    /// Lets nobody have it any more.
    pub(crate) fn close(&self) {
        *self.lock() = None;
        // Those who wait are told.
        self.combine();
    }

    fn queue(&self, job: Box<dyn Job>) -> Result<()> {
        let mut waiting = self.waiting();
        if waiting.len() >= self.length {
            // Behind a long transaction most have gone to other connections by then.
            waiting.retain(|job| !job.is_abandoned());
        }
        if waiting.len() >= self.length {
            return Err(too_many());
        }
        waiting.push_back(job);
        Ok(())
    }

    /// Reads for those who wait, unless somebody else does.
    pub(crate) fn combine(&self) {
        while !self.waiting().is_empty()
            && let Some(db) = self.try_lock()
        {
            let left_some = self.read_for_others(db.as_ref()) == MAX_COMBINED;
            self.left_some.store(left_some, Ordering::Release);
            if left_some {
                return;
            }
        }
    }

    /// For how many it did.
    fn read_for_others(&self, db: Option<&Db>) -> usize {
        let others = self.take_some();
        let many = others.len();
        // Begun when all of them have asked, so that it shows them all that was written by then.
        let _together = match db {
            Some(db) if many > 1 => db.snapshot().ok(),
            _ => None,
        };
        for mut job in others {
            match db.ok_or_else(closed).and_then(|db| job.run(db)) {
                Ok(()) => job.answer(),
                Err(error) => job.fail(error),
            }
        }
        many
    }

    /// Those who waited longest and still do.
    fn take_some(&self) -> Vec<Box<dyn Job>> {
        let mut waiting = self.waiting();
        let longest = std::iter::from_fn(|| waiting.pop_front());
        let still = longest.filter(|job| !job.is_abandoned());
        still.take(MAX_COMBINED).collect()
    }

    fn try_lock(&self) -> Option<MutexGuard<'_, Option<Db>>> {
        if self.is_writing() {
            return None;
        }
        match self.db.try_lock() {
            Ok(db) => Some(db),
            Err(TryLockError::Poisoned(poisoned)) => Some(poisoned.into_inner()),
            Err(TryLockError::WouldBlock) => None,
        }
    }

    fn lock(&self) -> MutexGuard<'_, Option<Db>> {
        self.db.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn is_writing(&self) -> bool {
        self.writing.load(Ordering::Acquire)
    }

    fn waiting(&self) -> MutexGuard<'_, VecDeque<Box<dyn Job>>> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
