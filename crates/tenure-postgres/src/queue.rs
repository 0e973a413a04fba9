//! What waits to be done: a bounded queue of jobs, each with its callers.

use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use tenure_store::{Error, Result};
use tokio::sync::{Mutex, mpsc, oneshot};
use tokio::time::timeout;

use crate::job::{Call, Job, Operation};

/// The callers' end of a queue.
pub(crate) struct Queue {
    /// `None` once the store is closed.
    entrance: RwLock<Option<mpsc::Sender<Box<dyn Job>>>>,
    deadline: Duration,
}

/// The end from which the tasks take work.
pub(crate) type Intake = Arc<Mutex<mpsc::Receiver<Box<dyn Job>>>>;

impl Queue {
    pub(crate) fn new(length: usize, deadline: Duration) -> (Self, Intake) {
        let (entrance, intake) = mpsc::channel(length);
        let queue = Self {
            entrance: RwLock::new(Some(entrance)),
            deadline,
        };
        (queue, Arc::new(Mutex::new(intake)))
    }

    /// Has an operation done.
    pub(crate) async fn submit<O: Operation>(&self, operation: O) -> Result<O::Answer> {
        let (caller, answer) = oneshot::channel();
        self.enter(Call::job(operation, caller))?;
        match timeout(self.deadline, answer).await {
            Ok(Ok(result)) => result,
            Ok(Err(_)) => Err(Error::unavailable("the store stopped before its answer")),
            Err(_) => Err(Error::unavailable(format!(
                "no answer within {} ms",
                self.deadline.as_millis()
            ))),
        }
    }

    /// Lets nothing more in. What is in the queue is done all the same; then its tasks end.
    pub(crate) fn close(&self) {
        self.entrance
            .write()
            .unwrap_or_else(PoisonError::into_inner)
            .take();
    }

    fn enter(&self, job: Box<dyn Job>) -> Result<()> {
        let entrance = self.entrance.read().unwrap_or_else(PoisonError::into_inner);
        let Some(entrance) = &*entrance else {
            return Err(Error::unavailable("the store is closed"));
        };
        entrance.try_send(job).map_err(|error| match error {
            mpsc::error::TrySendError::Full(_) => {
                Error::unavailable("too many operations are waiting already")
            }
            mpsc::error::TrySendError::Closed(_) => Error::unavailable("the store has stopped"),
        })
    }
}
