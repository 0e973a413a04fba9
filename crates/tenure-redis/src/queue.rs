//! How many operations are under way, and no more than may be.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use tenure_store::{Error, Result};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::timeout;

pub(crate) struct Queue {
    room: Arc<Semaphore>,
    length: u32,
    closed: AtomicBool,
}

/// One operation's place; free again when it is dropped. The operation's task has it, and not
/// its caller, who may never look for its answer.
pub(crate) type Seat = OwnedSemaphorePermit;

impl Queue {
    pub(crate) fn new(length: u32) -> Self {
        // As many as a semaphore counts, on any machine.
        let permits = usize::try_from(length).map_or(Semaphore::MAX_PERMITS, |length| length);
        Self {
            room: Arc::new(Semaphore::new(permits.min(Semaphore::MAX_PERMITS))),
            length,
            closed: AtomicBool::new(false),
        }
    }

    /// Lets an operation in.
    pub(crate) fn enter(&self) -> Result<Seat> {
        let seat = Arc::clone(&self.room).try_acquire_owned();
        // Looked at with the seat in hand: whoever closes waits for it.
        if self.closed.load(Ordering::SeqCst) {
            return Err(Error::unavailable("the store is closed"));
        }
        seat.map_err(|_| Error::unavailable("too many operations are waiting already"))
    }

    /// Lets nothing more in, and waits until all that was let in is done; or says that it is
    /// not yet, when patience is over.
    pub(crate) async fn close(&self, patience: Duration) -> bool {
        self.closed.store(true, Ordering::SeqCst);
        // The semaphore itself is never closed, so this cannot fail.
        let all = self.room.acquire_many(self.length);
        timeout(patience, all).await.is_ok()
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt;

    use super::*;

    #[test]
    fn one_more_than_may_be_is_refused_at_once() {
        let queue = Queue::new(2);
        let seats = [queue.enter(), queue.enter()];
        assert!(seats.iter().all(Result::is_ok));
        assert!(queue.enter().is_err_and(|error| error.is_unavailable()));
        drop(seats);
        assert!(queue.enter().is_ok());
    }

    #[tokio::test(start_paused = true)]
    async fn closing_waits_for_what_was_let_in_and_lets_nothing_more_in() {
        let (queue, patience) = (Queue::new(2), Duration::from_secs(2));
        let seat = queue.enter();
        let mut closing = Box::pin(queue.close(patience));
        assert!((&mut closing).now_or_never().is_none());
        assert!(queue.enter().is_err_and(|error| error.is_unavailable()));
        drop(seat);
        assert!(closing.await);
        assert!(queue.close(patience).await, "closing again is fine");
        assert!(queue.enter().is_err());
    }

    #[tokio::test(start_paused = true)]
    async fn closing_waits_no_longer_than_its_patience() {
        let queue = Queue::new(2);
        let _seat = queue.enter();
        assert!(!queue.close(Duration::from_secs(2)).await);
    }
}
