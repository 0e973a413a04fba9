//! The callers' side of some connections: each call is carried out on one of them, with a
//! deadline.

use std::future::poll_fn;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use tenure_store::{Error, Result};
use tokio::sync::oneshot;
use tokio::time::{timeout, timeout_at};

use crate::job::{Call, Operation};
use crate::options::Pooling;
use crate::pool::{Order, Pool};
use crate::worker::Worker;

/// How long a call waits before it looks after those that it waits for: whether a connection
/// is held by a caller who does not go on, or is idle though calls wait.
const LOOK: Duration = Duration::from_millis(50);

/// A pool of connections. When it is dropped they are closed.
pub(crate) struct Queue {
    pool: Arc<Pool>,
    deadline: Duration,
    /// How long a call waits at first before it looks after the others.
    patience: Duration,
}

impl Queue {
    /// Calls wait at most `patience` to go along with others; zero if that gains nothing.
    pub(crate) fn new(
        idle: Vec<Worker>,
        length: usize,
        patience: Duration,
        deadline: Duration,
        pooling: Pooling,
    ) -> Self {
        let (order, patience) = if patience.is_zero() {
            (Order::Immediate, LOOK)
        } else {
            (Order::Joining, patience)
        };
        Self {
            pool: Arc::new(Pool::new(idle, length, order, pooling)),
            deadline,
            patience,
        }
    }

    /// Has an operation done.
    pub(crate) async fn submit<O: Operation>(&self, operation: O) -> Result<O::Answer> {
        let until = tokio::time::Instant::now() + self.deadline;
        let (caller, mut answer) = oneshot::channel();
        let inline = self.pool.enter(Call::job(operation, until, caller))?;
        let mut answered = poll_fn(|context| {
            if let Some(inline) = &inline {
                // Its answer tells when it is done, whoever saw to that.
                let _ = inline.poll(context);
            }
            Pin::new(&mut answer).poll(context)
        });
        let looks = async {
            if inline.is_none() {
                let mut patience = self.patience;
                loop {
                    if let Ok(answered) = timeout(patience, &mut answered).await {
                        return answered;
                    }
                    self.pool.look_after();
                    patience = LOOK;
                }
            }
            answered.await
        };
        match timeout_at(until, looks).await {
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
        self.pool.close();
    }

    /// What still waits is not done any more.
    pub(crate) fn give_up(&self) {
        self.pool.give_up();
    }
}

impl Drop for Queue {
    fn drop(&mut self) {
        self.close();
    }
}
