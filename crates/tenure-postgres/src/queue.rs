//! What waits to be done, and who does it.
//!
//! A caller who finds a connection free uses it: nobody has to be woken. If none is, the call
//! waits, and whoever has just finished takes all that waits with them, in a task. A caller
//! that goes away in the middle leaves the rest of its call to a task too.
//!
//! Where it pays to go together, calls wait a little for the one connection at work, though
//! another is free: that one is for when the first is held up.

use std::collections::VecDeque;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tenure_store::{Error, Result};
use tokio::runtime::Handle;
use tokio::sync::oneshot;
use tokio::task::yield_now;
use tokio::time::timeout;

use crate::batch::{join, take};
use crate::job::{Call, Job, Operation};
use crate::worker::Worker;

/// The callers' side. When it goes the connections are closed.
pub(crate) struct Queue {
    pool: Arc<Pool>,
    deadline: Duration,
}

/// Some connections, and the calls that wait for one.
struct Pool {
    state: Mutex<State>,
    /// How many calls may wait.
    length: usize,
    /// How long one waits while a connection is idle, if others are at work.
    patience: Duration,
    runtime: Handle,
}

struct State {
    waiting: VecDeque<Box<dyn Job>>,
    idle: Vec<Worker>,
    /// How many connections are at work.
    busy: usize,
    closed: bool,
}

impl Queue {
    pub(crate) fn new(
        idle: Vec<Worker>,
        length: usize,
        patience: Duration,
        deadline: Duration,
    ) -> Self {
        let state = State {
            waiting: VecDeque::new(),
            idle,
            busy: 0,
            closed: false,
        };
        let pool = Pool {
            state: Mutex::new(state),
            length,
            patience,
            runtime: Handle::current(),
        };
        Self {
            pool: Arc::new(pool),
            deadline,
        }
    }

    /// Has an operation done.
    pub(crate) async fn submit<O: Operation>(&self, operation: O) -> Result<O::Answer> {
        let (caller, mut answer) = oneshot::channel();
        let errand = self.pool.enter(Call::job(operation, caller))?;
        let answered = async {
            if let Some(errand) = errand {
                errand.await;
            } else if !self.pool.patience.is_zero() {
                if let Ok(answered) = timeout(self.pool.patience, &mut answer).await {
                    return answered;
                }
                self.pool.relieve();
            }
            answer.await
        };
        match timeout(self.deadline, answered).await {
            Ok(Ok(result)) => result,
            Ok(Err(_)) => Err(Error::unavailable("the store stopped before its answer")),
            Err(_) => Err(Error::unavailable(format!(
                "no answer within {} ms",
                self.deadline.as_millis()
            ))),
        }
    }

    /// Lets nothing more in. What waits is done all the same; then the connections are closed.
    pub(crate) fn close(&self) {
        self.pool.relieve();
        let mut state = self.pool.state();
        state.closed = true;
        for worker in state.idle.drain(..) {
            self.pool.runtime.spawn(worker.leave());
        }
    }
}

impl Drop for Queue {
    fn drop(&mut self) {
        self.close();
    }
}

impl Pool {
    /// Lets a call wait; or, if a connection is free for it, gives it back as the caller's own
    /// errand.
    fn enter(self: &Arc<Self>, job: Box<dyn Job>) -> Result<Option<Errand>> {
        let mut state = self.state();
        if state.closed {
            return Err(Error::unavailable("the store is closed"));
        }
        let goes_along = state.busy > 0 && !self.patience.is_zero();
        if !goes_along && let Some(worker) = state.idle.pop() {
            state.busy += 1;
            return Ok(Some(Errand::new(Arc::clone(self), worker, job)));
        }
        if state.waiting.len() >= self.length {
            return Err(Error::unavailable(
                "too many operations are waiting already",
            ));
        }
        state.waiting.push_back(job);
        Ok(None)
    }

    /// Has what waits done by a connection that is free, if there is one.
    fn relieve(self: &Arc<Self>) {
        let mut state = self.state();
        if let Some(worker) = state.idle.pop() {
            state.busy += 1;
            drop(state);
            if let Some((worker, batch)) = self.next(worker) {
                self.runtime.spawn(Arc::clone(self).serve(worker, batch));
            }
        }
    }

    /// What comes next for somebody who is free: all that waits; or nothing, and a rest.
    fn next(&self, worker: Worker) -> Option<(Worker, Vec<Box<dyn Job>>)> {
        let mut state = self.state();
        let batch = take(&mut state.waiting);
        if !batch.is_empty() {
            return Some((worker, batch));
        }
        state.busy -= 1;
        if state.closed {
            self.runtime.spawn(worker.leave());
        } else {
            state.idle.push(worker);
        }
        None
    }

    /// Carries out these, and then what waits, until nothing does.
    async fn serve(self: Arc<Self>, mut worker: Worker, mut batch: Vec<Box<dyn Job>>) {
        loop {
            for job in join(batch) {
                worker.carry_out(job).await;
            }
            if self.patience.is_zero() {
                // Those that have just been answered may ask again, and go with the others then.
                yield_now().await;
            }
            match self.next(worker) {
                Some(more) => (worker, batch) = more,
                None => return,
            }
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A caller's own call on its way. Who lets go of it leaves the rest to a task: a connection
/// is never given up in the middle of a statement.
struct Errand {
    rest: Option<Pin<Box<dyn Future<Output = ()> + Send>>>,
    runtime: Handle,
}

impl Errand {
    fn new(pool: Arc<Pool>, mut worker: Worker, job: Box<dyn Job>) -> Self {
        let runtime = pool.runtime.clone();
        let rest = async move {
            worker.carry_out(job).await;
            // The caller has its answer, and does not work for others.
            if let Some((worker, batch)) = pool.next(worker) {
                let runtime = pool.runtime.clone();
                runtime.spawn(pool.serve(worker, batch));
            }
        };
        Self {
            rest: Some(Box::pin(rest)),
            runtime,
        }
    }
}

impl Future for Errand {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        if let Some(rest) = &mut self.rest {
            ready!(rest.as_mut().poll(context));
            self.rest = None;
        }
        Poll::Ready(())
    }
}

impl Drop for Errand {
    fn drop(&mut self) {
        if let Some(rest) = self.rest.take() {
            self.runtime.spawn(rest);
        }
    }
}
