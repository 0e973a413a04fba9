//! Writers of one session inside one process take turns: the store's compare-and-set
//! decides between processes, but inside one it is cheaper to wait than to fight.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tenure_store::SessionId;
use tokio::sync::OwnedMutexGuard;
use tokio::time::timeout;

/// Enough that sessions which have nothing to do with each other seldom meet.
const SHARDS: usize = 64;

/// How long a queue is waited in that does not move.
const STANDSTILL: Duration = Duration::from_millis(500);

/// A handful of sessions: to look through them is quicker than to hash an id.
type Locks = Vec<(SessionId, Arc<Lock>)>;

#[derive(Default)]
struct Lock {
    turn: Arc<tokio::sync::Mutex<()>>,
    /// How many turns were over.
    over: AtomicU64,
}

/// Alone on its cache lines: writers who meet in no shard do not slow each other down.
#[derive(Default)]
#[repr(align(128))]
struct Shard(Mutex<Locks>);

/// The queues of all sessions that are being written now.
pub(crate) struct Queues {
    shards: Box<[Shard]>,
}

impl Default for Queues {
    fn default() -> Self {
        Self {
            shards: (0..SHARDS).map(|_| Shard::default()).collect(),
        }
    }
}

impl Queues {
    /// Waits for this session's turn, at most so long, and half a second if the queue does
    /// not move: a caller that keeps its turn and does not go on must not hold up the
    /// others, and the store decides all the same. A queue that moves is worth the wait: it
    /// is fair, and who fights for the session instead may lose each time. A turn is over
    /// when it is dropped.
    pub(crate) async fn turn(&self, id: SessionId, longest: Duration) -> Turn<'_> {
        // Made before the wait, so that a caller who gives up waiting cleans up as well.
        let mut turn = Turn {
            guard: None,
            lock: None,
            queues: self,
            id,
        };
        let lock = self.with(id, |locks| {
            if let Some(at) = find(locks, id) {
                return Arc::clone(&locks[at].1);
            }
            let lock = Arc::default();
            locks.push((id, Arc::clone(&lock)));
            lock
        });
        turn.guard = match Arc::clone(&lock.turn).try_lock_owned() {
            Ok(guard) => Some(guard),
            Err(_) => timeout(longest, lock.wait()).await.ok().flatten(),
        };
        turn.lock = Some(lock);
        turn
    }

    /// An id is random already: any of its bytes picks a shard.
    fn with<T>(&self, id: SessionId, f: impl FnOnce(&mut Locks) -> T) -> T {
        let Shard(locks) = &self.shards[usize::from(id.as_bytes()[0]) % SHARDS];
        f(&mut locks.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Lock {
    /// The turn; `None` if none was over for too long.
    async fn wait(&self) -> Option<OwnedMutexGuard<()>> {
        let turn = Arc::clone(&self.turn).lock_owned();
        tokio::pin!(turn);
        loop {
            let over = self.over.load(Ordering::Relaxed);
            match timeout(STANDSTILL, &mut turn).await {
                Ok(turn) => return Some(turn),
                Err(_) if self.over.load(Ordering::Relaxed) == over => return None,
                Err(_) => {}
            }
        }
    }
}

fn find(locks: &Locks, id: SessionId) -> Option<usize> {
    locks.iter().position(|(other, _)| *other == id)
}

/// The right to write one session, inside this process.
pub(crate) struct Turn<'a> {
    guard: Option<OwnedMutexGuard<()>>,
    lock: Option<Arc<Lock>>,
    queues: &'a Queues,
    id: SessionId,
}

impl Turn<'_> {
    /// Whether all others of this process wait, or have waited long enough.
    pub(crate) fn is_first(&self) -> bool {
        self.guard.is_some()
    }
}

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        if let Some(lock) = self.lock.take() {
            lock.over.fetch_add(1, Ordering::Relaxed);
        }
        self.guard = None;
        self.queues.with(self.id, |locks| {
            // Only the map still knows of it: nobody waits, so the queue can go.
            if let Some(at) = find(locks, self.id)
                && Arc::strong_count(&locks[at].1) == 1
            {
                locks.swap_remove(at);
            }
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LONGEST: Duration = Duration::from_secs(2);

    impl Queues {
        fn len(&self) -> usize {
            let locks = self.shards.iter().map(|Shard(locks)| locks.lock().unwrap());
            locks.map(|locks| locks.len()).sum()
        }
    }

    #[tokio::test]
    async fn writers_of_one_session_take_turns_and_leave_nothing_behind() {
        let queues = Arc::new(Queues::default());
        let id = SessionId::from_digest([1; 16]);
        let first = queues.turn(id, LONGEST).await;
        let second = tokio::spawn({
            let queues = Arc::clone(&queues);
            async move { drop(queues.turn(id, LONGEST).await) }
        });
        let other = SessionId::from_digest([2; 16]);
        drop(queues.turn(other, LONGEST).await);
        assert!(!second.is_finished(), "the first still has its turn");
        drop(first);
        second.await.expect("no panic");
        assert_eq!(queues.len(), 0);
    }

    #[tokio::test(start_paused = true)]
    async fn a_queue_that_moves_is_waited_in_and_one_that_stands_still_is_not() {
        let queues = Queues::default();
        let id = SessionId::from_digest([1; 16]);
        let last = Duration::from_millis(400);
        let others = futures_util::future::join_all((0..20).map(|_| async {
            let turn = queues.turn(id, Duration::from_secs(10)).await;
            assert!(turn.is_first(), "each before it ends");
            let _ = timeout(last, std::future::pending::<()>()).await;
        }));
        let begin = tokio::time::Instant::now();
        others.await;
        assert_eq!(begin.elapsed(), last * 20);

        let _kept = queues.turn(id, LONGEST).await;
        let begin = tokio::time::Instant::now();
        assert!(!queues.turn(id, Duration::from_secs(10)).await.is_first());
        assert_eq!(begin.elapsed(), STANDSTILL);
    }

    #[tokio::test]
    async fn a_writer_that_gives_up_waiting_leaves_nothing_behind() {
        let queues = Arc::new(Queues::default());
        let id = SessionId::from_digest([1; 16]);
        let first = queues.turn(id, LONGEST).await;
        {
            let mut waiting = Box::pin(queues.turn(id, LONGEST));
            assert!(futures_util::poll!(&mut waiting).is_pending());
        }
        drop(first);
        assert_eq!(queues.len(), 0);
    }
}
