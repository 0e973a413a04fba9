//! How many operations are under way, and no more than may be.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use tenure_store::{Error, Result};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

pub(crate) struct Queue {
    room: Arc<Semaphore>,
    length: u32,
    closed: AtomicBool,
}

/// One operation's place; free again when it is dropped.
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

    /// Lets nothing more in, and waits until all that was let in is done.
    pub(crate) async fn close(&self) {
        self.closed.store(true, Ordering::SeqCst);
        // The semaphore itself is never closed, so this cannot fail.
        let _all = self.room.acquire_many(self.length).await;
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

    #[test]
    fn closing_waits_for_what_was_let_in_and_lets_nothing_more_in() {
        let queue = Queue::new(2);
        let seat = queue.enter();
        let mut closing = Box::pin(queue.close());
        assert!((&mut closing).now_or_never().is_none());
        assert!(queue.enter().is_err_and(|error| error.is_unavailable()));
        drop(seat);
        assert!(closing.now_or_never().is_some());
        assert!(
            queue.close().now_or_never().is_some(),
            "closing again is fine"
        );
        assert!(queue.enter().is_err());
    }
}
