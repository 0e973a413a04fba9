//! Some connections, and the calls that wait for one.
//!
//! A caller who finds a connection free carries its own call out: nobody has to be woken. If
//! none is, the call waits, and whoever has just finished takes all that waits with them, in a
//! task. Where it pays to go together, calls wait a little for the one connection at work,
//! though another is free: that one is for when the first is held up.
//!
//! **Each connection has one owner at each instant**: it is idle, or a [`Busy`] has it. **While
//! calls wait, a connection is busy**, and a [`Busy`] rests only when it has seen, under the
//! lock, that nothing waits. The exception is one that is dropped before it is through, with its
//! runtime or by a panic: then its connection comes back idle, and those who wait
//! [look after](Pool::look_after) themselves. Whoever waits also takes up what a caller has begun
//! and does not go on with.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

use tenure_store::{Error, Namespace, Result, SessionId};
use tokio::runtime::Handle;

use crate::batch::{join, take};
use crate::busy::Busy;
use crate::inline::{Inline, InlineCall};
use crate::job::{Job, Needs};
use crate::options::Pooling;
use crate::worker::Worker;

pub(crate) struct Pool {
    state: Mutex<State>,
    /// How many calls may wait.
    length: usize,
    order: Order,
    pooling: Pooling,
    /// Where tasks go from outside any runtime.
    runtime: Handle,
}

/// Which connection a call takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Order {
    /// One that is free.
    Immediate,
    /// The one at work, together with others, if there is one.
    Joining,
}

pub(crate) struct State {
    waiting: VecDeque<Box<dyn Job>>,
    /// Calls that met a lock that somebody keeps, each alone, and later ones of the same
    /// sessions: tried one at a time, so that no other waits for the lock.
    locked: VecDeque<Box<dyn Job>>,
    /// Whether one of them is being tried.
    trying: bool,
    /// Of which session that is.
    tried: Option<(Namespace, SessionId)>,
    idle: Vec<Worker>,
    /// How many connections are at work.
    busy: usize,
    /// What callers carry out themselves.
    inline: Vec<Weak<InlineCall>>,
    closed: bool,
}

impl Pool {
    pub(crate) fn new(idle: Vec<Worker>, length: usize, order: Order, pooling: Pooling) -> Self {
        let state = State {
            waiting: VecDeque::new(),
            locked: VecDeque::new(),
            trying: false,
            tried: None,
            idle,
            busy: 0,
            inline: Vec::new(),
            closed: false,
        };
        Self {
            state: Mutex::new(state),
            length,
            order,
            pooling,
            runtime: Handle::current(),
        }
    }

    /// Lets a call wait; or, if a connection is free for it, gives it back for the caller to
    /// carry out.
    pub(crate) fn enter(self: &Arc<Self>, job: Box<dyn Job>) -> Result<Option<Inline>> {
        let mut state = self.state();
        if state.closed {
            return Err(Error::unavailable("the store is closed"));
        }
        let is_locked = state.is_locked(&*job);
        // A connection that waits for somebody's lock takes nobody along.
        let working = state.busy - usize::from(state.trying);
        let goes_along = self.order == Order::Joining && working > 0;
        if !goes_along
            && !is_locked
            && let Some(worker) = state.idle.pop()
        {
            state.busy += 1;
            let needs = job.needs();
            let busy = Busy::new(Arc::clone(self), worker, [job].into());
            if needs == Needs::Transaction || self.pooling == Pooling::Transaction {
                drop(state);
                // Between its statements others wait for its locks: no caller may leave it
                // there.
                self.spawn(busy.serve());
                return Ok(None);
            }
            let call = Arc::new(InlineCall::new(busy.carry_out_one()));
            state.inline.push(Arc::downgrade(&call));
            return Ok(Some(Inline::new(Arc::clone(self), call)));
        }
        if state.waiting.len() + state.locked.len() >= self.length {
            return Err(Error::unavailable(
                "too many operations are waiting already",
            ));
        }
        if is_locked {
            state.locked.push_back(job);
        } else {
            state.waiting.push_back(job);
        }
        Ok(None)
    }

    /// Has what waits done by a connection that is free, if there is one; and what callers
    /// have begun in tasks, as some of them may not go on.
    pub(crate) fn look_after(self: &Arc<Self>) {
        let inline = {
            let state = self.state();
            state.inline.iter().filter_map(Weak::upgrade).collect()
        };
        let inline: Vec<Arc<InlineCall>> = inline;
        for rest in inline.iter().filter_map(|call| call.take()) {
            self.spawn(rest);
        }
        let mut state = self.state();
        if state.has_work()
            && let Some(worker) = state.idle.pop()
        {
            state.busy += 1;
            drop(state);
            let busy = Busy::new(Arc::clone(self), worker, VecDeque::new());
            if let Some(busy) = busy.next() {
                self.spawn(busy.serve());
            }
        }
    }

    /// Lets nothing more in. What waits is done all the same; then the connections are closed.
    pub(crate) fn close(self: &Arc<Self>) {
        self.look_after();
        let idle = {
            let mut state = self.state();
            state.closed = true;
            std::mem::take(&mut state.idle)
        };
        for worker in idle {
            self.spawn(worker.leave());
        }
    }

    /// Forgets what waits.
    pub(crate) fn give_up(&self) {
        let mut state = self.state();
        state.waiting.clear();
        state.locked.clear();
    }

    /// What comes next for a connection that has just done `done`: all that waits, and in turn
    /// with it a call that met a lock; or nothing, and a rest.
    pub(crate) fn next(&self, done: Turn) -> Option<(Turn, VecDeque<Box<dyn Job>>)> {
        let mut state = self.state();
        let is_empty = state.waiting.is_empty();
        if !state.trying && (is_empty || done == Turn::Waiting) {
            while let Some(job) = state.locked.pop_front() {
                if !job.is_abandoned() {
                    (state.trying, state.tried) = (true, job.session());
                    return Some((Turn::Locked, [job].into()));
                }
            }
        }
        let batch = take(&mut state.waiting);
        (!batch.is_empty()).then(|| (Turn::Waiting, join(batch).into()))
    }

    /// Takes a connection that has nothing to do; gives it back if that is no longer so.
    pub(crate) fn rest(&self, worker: Worker) -> Option<Worker> {
        let mut state = self.state();
        if state.has_work() {
            return Some(worker);
        }
        state.busy -= 1;
        if state.closed {
            drop(state);
            self.spawn(worker.leave());
        } else {
            state.idle.push(worker);
        }
        None
    }

    /// Takes back a connection whose owner was dropped, and what this had not begun.
    pub(crate) fn give_back(&self, worker: Worker, unbegun: VecDeque<Box<dyn Job>>) {
        let mut state = self.state();
        for job in unbegun.into_iter().rev() {
            state.waiting.push_front(job);
        }
        state.busy -= 1;
        if !state.closed || state.has_work() {
            state.idle.push(worker);
        }
    }

    /// Keeps a call that met a lock, to be tried again. Gives back those of the same session whose
    /// callers will not wait for another turn of so long.
    pub(crate) fn keep_locked(&self, job: Box<dyn Job>, turn: Duration) -> Vec<Box<dyn Job>> {
        let mut state = self.state();
        let session = job.session();
        state.locked.push_back(job);
        let mut late = Vec::new();
        for job in std::mem::take(&mut state.locked) {
            if job.session() == session && !job.has_time_for(turn) {
                late.push(job);
            } else {
                state.locked.push_back(job);
            }
        }
        late
    }

    /// The call that met a lock is not being tried any more.
    pub(crate) fn tried(&self) {
        let mut state = self.state();
        (state.trying, state.tried) = (false, None);
    }

    /// A caller's call is done, or somebody else's.
    pub(crate) fn forget(&self, call: &Arc<InlineCall>) {
        let mut state = self.state();
        state
            .inline
            .retain(|other| !std::ptr::eq(other.as_ptr(), Arc::as_ptr(call)));
    }

    pub(crate) fn order(&self) -> Order {
        self.order
    }

    /// On the runtime that is at work here: the one on which the store was made may be gone.
    /// Never with the state locked: what a runtime that shuts down is given it drops.
    pub(crate) fn spawn(&self, future: impl Future<Output = ()> + Send + 'static) {
        let runtime = Handle::try_current().unwrap_or_else(|_| self.runtime.clone());
        runtime.spawn(future);
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn has_work(&self) -> bool {
        !self.waiting.is_empty() || (!self.trying && !self.locked.is_empty())
    }

    /// Whether a call of the same session waits for a lock.
    fn is_locked(&self, job: &dyn Job) -> bool {
        if !self.trying && self.locked.is_empty() {
            return false;
        }
        job.session().is_some_and(|session| {
            let mut locked = self.locked.iter().filter_map(|job| job.session());
            self.tried.as_ref() == Some(&session) || locked.any(|other| other == session)
        })
    }
}

/// What a connection does in turn, where both wait.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Turn {
    /// All that waits.
    Waiting,
    /// One call that met a lock.
    Locked,
}
