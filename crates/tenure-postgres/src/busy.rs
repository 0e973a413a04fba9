//! A connection at work, and what it has still to do.

use std::collections::VecDeque;
use std::sync::Arc;

use tenure_store::Error;
use tokio::task::yield_now;

use crate::error::{keeps_a_lock, met_a_lock};
use crate::job::{Job, Needs};
use crate::pool::{Order, Pool, Turn};
use crate::worker::Worker;

/// The one owner of a connection at work. However it ends, the connection comes back: also when
/// it is dropped with its runtime, or by a panic.
pub(crate) struct Busy {
    pool: Arc<Pool>,
    /// There until it rests.
    worker: Option<Worker>,
    /// What is under way.
    current: Option<Box<dyn Job>>,
    batch: VecDeque<Box<dyn Job>>,
    /// What it does, or did last.
    turn: Turn,
    /// Whether it is the one that tries a call that met a lock.
    tries: bool,
}

impl Busy {
    pub(crate) fn new(pool: Arc<Pool>, worker: Worker, batch: VecDeque<Box<dyn Job>>) -> Self {
        Self {
            pool,
            worker: Some(worker),
            current: None,
            batch,
            turn: Turn::Waiting,
            tries: false,
        }
    }

    /// Carries out a caller's own call. What waits then is done in a task: the caller has its
    /// answer, and does not work for others.
    pub(crate) async fn carry_out_one(mut self) {
        self.carry_out_batch().await;
        let pool = Arc::clone(&self.pool);
        if let Some(more) = self.next() {
            pool.spawn(more.serve());
        }
    }

    /// Carries out what there is, and then what waits, until nothing does.
    pub(crate) async fn serve(mut self) {
        loop {
            self.carry_out_batch().await;
            if self.pool.order() == Order::Immediate {
                // Those that have just been answered may ask again, and go with the others then.
                yield_now().await;
            }
            match self.next() {
                Some(more) => self = more,
                None => return,
            }
        }
    }

    /// With what comes next; or nothing, and the connection rests.
    pub(crate) fn next(mut self) -> Option<Self> {
        loop {
            if let Some((turn, batch)) = self.pool.next(self.turn) {
                self.tries = turn == Turn::Locked;
                (self.turn, self.batch) = (turn, batch);
                return Some(self);
            }
            // If something came in between, it is this one's to do.
            self.worker = self.pool.rest(self.worker.take()?);
            self.worker.as_ref()?;
        }
    }

    async fn carry_out_batch(&mut self) {
        while let Some(job) = self.batch.pop_front() {
            if !job.is_abandoned() {
                self.carry_out(job).await;
            }
            self.has_tried();
        }
    }

    async fn carry_out(&mut self, job: Box<dyn Job>) {
        let Some(worker) = &mut self.worker else {
            return;
        };
        let outcome = worker.patiently(&mut **self.current.insert(job)).await;
        let patience = worker.lock_patience();
        let Some(job) = self.current.take() else {
            return;
        };
        match outcome {
            Ok(()) => job.answer(),
            Err(error) if met_a_lock(&error) => {
                if job.callers() > 1 && job.needs() != Needs::Reading {
                    // Nothing happened. Whose session it is that somebody keeps shows when each
                    // is alone.
                    self.alone(job);
                } else if job.has_time_for(patience) {
                    for late in self.pool.keep_locked(job, patience * 3 / 2) {
                        late.fail(keeps_a_lock());
                    }
                } else {
                    job.fail(error);
                }
            }
            // Whose value it was shows when each is alone with its own. After `Unavailable` a
            // write may have happened, and must not be made twice.
            Err(error) if job.callers() > 1 && !error.is_unavailable() => self.alone(job),
            Err(error) => job.fail(error),
        }
    }

    /// Each of its calls next, alone.
    fn alone(&mut self, job: Box<dyn Job>) {
        for one in job.split().into_iter().rev() {
            self.batch.push_front(one);
        }
    }

    fn has_tried(&mut self) {
        if std::mem::take(&mut self.tries) {
            self.pool.tried();
        }
    }
}

impl Drop for Busy {
    fn drop(&mut self) {
        let Some(mut worker) = self.worker.take() else {
            return;
        };
        if let Some(job) = self.current.take() {
            worker.abandon();
            if job.needs() == Needs::Reading && !std::thread::panicking() {
                self.batch.push_front(job);
            } else {
                job.fail(Error::unavailable(
                    "the runtime or the task that it was under way on ended: it may have been done",
                ));
            }
        }
        self.has_tried();
        self.pool.give_back(worker, std::mem::take(&mut self.batch));
    }
}
