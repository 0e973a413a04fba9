//! The callers' side of a thread that works for them: a bounded queue, and a wait that has an end.

use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use tenure_store::{Error, Result};
use tokio::sync::oneshot;
use tokio::time::timeout;

use crate::identity::Files;
use crate::job::{Call, Job, Operation};

/// What waits lies here and not in its caller: a caller that is not polled any more holds up
/// nobody.
pub(crate) struct Queue {
    /// `None` once the store is closed.
    entrance: RwLock<Option<SyncSender<Box<dyn Job>>>>,
    deadline: Duration,
    files: Arc<Files>,
}

impl Queue {
    /// The queue, and the end of it from which the work is taken.
    pub(crate) fn new(
        length: usize,
        deadline: Duration,
        files: &Arc<Files>,
    ) -> (Self, Receiver<Box<dyn Job>>) {
        let (entrance, intake) = sync_channel(length);
        let queue = Self {
            entrance: RwLock::new(Some(entrance)),
            deadline,
            files: Arc::clone(files),
        };
        (queue, intake)
    }

    /// Has an operation done.
    pub(crate) async fn submit<O: Operation>(&self, operation: O) -> Result<O::Answer> {
        self.check()?;
        let (caller, answer) = oneshot::channel();
        self.enter(Box::new(Call::new(operation, caller)))?;
        match timeout(self.deadline, answer).await {
            Ok(Ok(result)) => result,
            Ok(Err(_)) => Err(Error::unavailable("the store stopped before its answer")),
            Err(_) => Err(too_late(self.deadline)),
        }
    }

    /// Refuses what is asked of files that are lost.
    pub(crate) fn check(&self) -> Result<()> {
        self.files.check()
    }

    /// Lets nothing more in. What is in the queue is done all the same; then the work ends.
    pub(crate) fn close(&self) {
        self.entrance
            .write()
            .unwrap_or_else(PoisonError::into_inner)
            .take();
    }

    fn enter(&self, job: Box<dyn Job>) -> Result<()> {
        let entrance = self.entrance.read().unwrap_or_else(PoisonError::into_inner);
        let Some(entrance) = &*entrance else {
            return Err(closed());
        };
        entrance.try_send(job).map_err(|error| match error {
            TrySendError::Full(_) => too_many(),
            TrySendError::Disconnected(_) => Error::unavailable("the store has stopped"),
        })
    }
}

pub(crate) fn closed() -> Error {
    Error::unavailable("the store is closed")
}

pub(crate) fn too_many() -> Error {
    Error::unavailable("too many operations are waiting already")
}

pub(crate) fn too_late(deadline: Duration) -> Error {
    Error::unavailable(format!("no answer within {} ms", deadline.as_millis()))
}
