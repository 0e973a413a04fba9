//! What waits to be done, and who does it.
//!
//! A caller who finds a connection free uses it: nobody has to be woken. If none is, the call
//! waits, and whoever has just finished takes all that waits with them, in a task. A caller
//! that goes away in the middle leaves the rest of its call to a task too.

use std::collections::VecDeque;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tenure_store::{Error, Result};
use tokio::runtime::Handle;
use tokio::sync::{mpsc, oneshot};
use tokio::time::timeout;

use crate::batch::{join, take};
use crate::job::{Call, Job, Operation};
use crate::worker::Worker;

/// The callers' side. When it goes the connections are closed.
pub(crate) struct Queue {
    crew: Arc<Crew>,
    deadline: Duration,
}

/// Some connections, and the calls that wait for one.
struct Crew {
    state: Mutex<State>,
    /// How many calls may wait.
    length: usize,
    runtime: Handle,
}

/// Nobody waits while a connection is idle.
struct State {
    waiting: VecDeque<Box<dyn Job>>,
    idle: Vec<Member>,
    closed: bool,
}

/// A worker, counted as long as it is there.
pub(crate) struct Member {
    pub(crate) worker: Worker,
    pub(crate) present: mpsc::Sender<()>,
}

impl Queue {
    pub(crate) fn new(idle: Vec<Member>, length: usize, deadline: Duration) -> Self {
        let state = State {
            waiting: VecDeque::new(),
            idle,
            closed: false,
        };
        let crew = Crew {
            state: Mutex::new(state),
            length,
            runtime: Handle::current(),
        };
        Self {
            crew: Arc::new(crew),
            deadline,
        }
    }

    /// Has an operation done.
    pub(crate) async fn submit<O: Operation>(&self, operation: O) -> Result<O::Answer> {
        let (caller, answer) = oneshot::channel();
        let errand = self.crew.enter(Call::job(operation, caller))?;
        let answered = async {
            if let Some(errand) = errand {
                errand.await;
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
        let mut state = self.crew.state();
        state.closed = true;
        for member in state.idle.drain(..) {
            self.crew.runtime.spawn(member.leave());
        }
    }
}

impl Drop for Queue {
    fn drop(&mut self) {
        self.close();
    }
}

impl Crew {
    /// Lets a call wait; or, if a connection is free, gives it back as the caller's own errand.
    fn enter(self: &Arc<Self>, job: Box<dyn Job>) -> Result<Option<Errand>> {
        let mut state = self.state();
        if state.closed {
            return Err(Error::unavailable("the store is closed"));
        }
        if let Some(member) = state.idle.pop() {
            return Ok(Some(Errand::new(Arc::clone(self), member, job)));
        }
        if state.waiting.len() >= self.length {
            return Err(Error::unavailable(
                "too many operations are waiting already",
            ));
        }
        state.waiting.push_back(job);
        Ok(None)
    }

    /// What comes next for somebody who is free: all that waits; or nothing, and a rest.
    fn next(&self, member: Member) -> Option<(Member, Vec<Box<dyn Job>>)> {
        let mut state = self.state();
        let batch = take(&mut state.waiting);
        if !batch.is_empty() {
            return Some((member, batch));
        }
        if state.closed {
            self.runtime.spawn(member.leave());
        } else {
            state.idle.push(member);
        }
        None
    }

    /// Carries out these, and then what waits, until nothing does.
    async fn serve(self: Arc<Self>, mut member: Member, mut batch: Vec<Box<dyn Job>>) {
        loop {
            for job in join(batch) {
                member.worker.carry_out(job).await;
            }
            match self.next(member) {
                Some(more) => (member, batch) = more,
                None => return,
            }
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Member {
    async fn leave(self) {
        self.worker.leave().await;
        drop(self.present);
    }
}

/// A caller's own call on its way. Who lets go of it leaves the rest to a task: a connection
/// is never given up in the middle of a statement.
struct Errand {
    rest: Option<Pin<Box<dyn Future<Output = ()> + Send>>>,
    runtime: Handle,
}

impl Errand {
    fn new(crew: Arc<Crew>, mut member: Member, job: Box<dyn Job>) -> Self {
        let runtime = crew.runtime.clone();
        let rest = async move {
            member.worker.carry_out(job).await;
            // The caller has its answer, and does not work for others.
            if let Some((member, batch)) = crew.next(member) {
                let runtime = crew.runtime.clone();
                runtime.spawn(crew.serve(member, batch));
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
