//! The connection that writes. Between its transactions callers load with it by themselves, on
//! their own threads.
//!
//! One at a time has it, and reads for those who came meanwhile, in one transaction, before it
//! lets go (*flat combining*, Hendler et al., SPAA 2010). Connections of their own would queue
//! for the one lock of SQLite's page cache, and lose what they keep of the file with each commit
//! that is not theirs. Who has it, and who is next, is decided in [`Line`].

use std::collections::VecDeque;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

use tenure_store::Result;
use tokio::sync::oneshot;
use tokio::time::timeout;

use crate::db::Db;
use crate::job::{Call, Job, Operation, carry_out};
use crate::line::{Arrival, Leaving, Line};
use crate::options::SqliteOptions;
use crate::queue::{closed, too_late, too_many};
use crate::thread::spawn;

/// For so many others at most does one read before it goes on. The rest is for a thread of the
/// store's: never for a caller, who may not be polled again for as long as it likes.
const MAX_COMBINED: usize = 64;

/// A load waits so long for a transaction, then it is left to another connection. A group of
/// writes that need not wait for a disk takes less.
const PATIENCE: Duration = Duration::from_millis(1);

type Jobs = Line<Box<Db>, Box<dyn Job>>;

pub(crate) struct Shared {
    line: Mutex<Jobs>,
    /// The writer waits here for whoever reads.
    left: Condvar,
    /// Takes the connection over from whoever has read for enough others.
    relief: Sender<Box<Db>>,
    /// How many may wait, and how long.
    length: usize,
    deadline: Duration,
}

impl Shared {
    pub(crate) fn start(db: Db, options: &SqliteOptions) -> Result<Arc<Self>> {
        let (relief, intake) = channel();
        let shared = Arc::new(Self {
            line: Mutex::new(Line::new(Box::new(db))),
            left: Condvar::new(),
            relief,
            length: options.queue_length,
            deadline: options.deadline,
        });
        let relieved = Arc::downgrade(&shared);
        spawn("tenure-relief", move || relieve(&relieved, &intake))?;
        Ok(shared)
    }

    /// Reads; `None` if a transaction is in the way for too long.
    pub(crate) async fn read<O: Operation>(&self, operation: O) -> Result<Option<O::Answer>> {
        // Who meets nobody needs no channel.
        let free = self.line().take_if_free();
        if let Some(db) = free {
            let turn = Turn::of(self, db);
            let answer = turn.db().map(|db| operation.run(db));
            turn.finish();
            return answer.unwrap_or_else(|| Err(closed())).map(Some);
        }
        let (caller, mut answer) = oneshot::channel();
        let job: Box<dyn Job> = Box::new(Call::new(operation, caller));
        // Apart, so that the line is not locked as long as the turn lasts.
        let arrival = self.line().arrive(job, |waiting| self.has_room(waiting));
        let patience = match arrival {
            Arrival::Turn(db, job) => {
                let turn = Turn::of(self, db);
                carry_out(job, turn.db());
                turn.finish();
                // A channel that is empty lost its other end in a panic.
                return answer
                    .try_recv()
                    .unwrap_or_else(|_| Err(closed()))
                    .map(Some);
            }
            Arrival::Waits { behind_writer } => behind_writer.then_some(PATIENCE),
            Arrival::Full => return Err(too_many()),
            Arrival::Closed => return Err(closed()),
        };
        match timeout(patience.unwrap_or(self.deadline), answer).await {
            Ok(answered) => answered.unwrap_or_else(|_| Err(closed())).map(Some),
            Err(_) if patience.is_some() => Ok(None),
            Err(_) => Err(too_late(self.deadline)),
        }
    }

    /// Lends it to the writer, which waits for whoever reads; those who came before it have
    /// their answers first. `None` once it is closed.
    pub(crate) fn write<T>(&self, write: impl FnOnce(&mut Db) -> T) -> Option<T> {
        let mut db = self.writers_turn()?;
        // A panic leaves the line as it is: what it wrote must not be read.
        let written = write(&mut db);
        self.line().end_writing();
        Turn::of(self, db).finish();
        Some(written)
    }

    /// Lets nobody have it any more.
    pub(crate) fn close(&self) {
        if let Some(db) = self.writers_turn() {
            let refused = self.line().close();
            drop(db);
            refuse(refused);
        }
    }

    fn writers_turn(&self) -> Option<Box<Db>> {
        let mut line = self.line();
        line.announce_writer();
        let (db, before) = loop {
            if line.is_closed() {
                return None;
            }
            match line.start_writing() {
                Some(turn) => break turn,
                None => line = self.left.wait(line).unwrap_or_else(PoisonError::into_inner),
            }
        };
        drop(line);
        read_for(Vec::from(before), &db);
        Some(db)
    }

    fn has_room(&self, waiting: &mut VecDeque<Box<dyn Job>>) -> bool {
        if waiting.len() >= self.length {
            // Behind a long transaction most have gone to other connections by then.
            waiting.retain(|job| !job.is_abandoned());
        }
        waiting.len() < self.length
    }

    fn line(&self) -> MutexGuard<'_, Jobs> {
        self.line.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The connection in somebody's hands. It is handed on however that ends.
struct Turn<'a> {
    shared: &'a Shared,
    /// `None` once it was handed on.
    db: Option<Box<Db>>,
}

impl<'a> Turn<'a> {
    fn of(shared: &'a Shared, db: Box<Db>) -> Self {
        Self {
            shared,
            db: Some(db),
        }
    }

    fn db(&self) -> Option<&Db> {
        self.db.as_deref()
    }

    /// Reads for those who wait, but not for too many, and lets go.
    fn finish(mut self) {
        let mut left = MAX_COMBINED;
        while let Some(jobs) = self.leave(left)
            && let Some(db) = &self.db
        {
            left -= read_for(jobs, db);
        }
    }

    /// Lets go, unless some are to be read for first.
    fn leave(&mut self, most: usize) -> Option<Vec<Box<dyn Job>>> {
        let leaving = self.shared.line().leave(self.db.take()?, most);
        match leaving {
            Leaving::Left => self.shared.left.notify_one(),
            Leaving::Serve(db, jobs) => {
                self.db = Some(db);
                return Some(jobs);
            }
            Leaving::HandOver(db) => {
                if let Err(back) = self.shared.relief.send(db) {
                    let refused = self.shared.line().give_up(back.0);
                    self.shared.left.notify_one();
                    refuse(refused);
                }
            }
        }
        None
    }
}

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        self.leave(0);
    }
}

/// Reads for whoever is left, until nobody waits.
fn relieve(shared: &Weak<Shared>, intake: &Receiver<Box<Db>>) {
    while let Ok(db) = intake.recv() {
        if let Some(shared) = shared.upgrade() {
            // A panic has handed the connection on, and the next one has to be relieved too.
            let _ = catch_unwind(AssertUnwindSafe(|| Turn::of(&shared, db).finish()));
        }
    }
}

/// For how many it did: those who gave up cost nothing.
fn read_for(mut jobs: Vec<Box<dyn Job>>, db: &Db) -> usize {
    jobs.retain(|job| !job.is_abandoned());
    let served = jobs.len();
    while !jobs.is_empty() {
        let group: Vec<_> = jobs.drain(..jobs.len().min(MAX_COMBINED)).collect();
        // Begun when all of them have asked, so that it shows them all that was written by then.
        let _together = if group.len() > 1 {
            db.snapshot().ok()
        } else {
            None
        };
        for job in group {
            carry_out(job, Some(db));
        }
    }
    served
}

fn refuse(jobs: impl IntoIterator<Item = Box<dyn Job>>) {
    for job in jobs {
        job.fail(closed());
    }
}
