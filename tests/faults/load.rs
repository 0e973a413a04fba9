//! Callers and reapers that go on, whatever happens meanwhile.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use tenure_store::SessionStore;
use tokio::task::{JoinSet, yield_now};
use tokio::time::timeout;

use crate::line::PATIENCE;
use crate::support::checker::Checker;

const CALLERS: usize = 8;

/// Goes on until it is [ended](Self::end).
pub(crate) struct Load {
    checker: Arc<Checker>,
    over: Arc<AtomicBool>,
    tasks: JoinSet<()>,
}

impl Load {
    pub(crate) fn on(store: &Arc<dyn SessionStore>, checker: &Arc<Checker>) -> Self {
        let over = Arc::<AtomicBool>::default();
        let mut tasks = JoinSet::new();
        for caller in 0..=CALLERS {
            let (store, checker) = (Arc::clone(store), Arc::clone(checker));
            let over = Arc::clone(&over);
            tasks.spawn(async move {
                while !over.load(Ordering::SeqCst) {
                    if caller == CALLERS {
                        checker.reap(&*store).await;
                    } else {
                        checker.live(&*store).await;
                    }
                    // Some faults are told at once.
                    yield_now().await;
                }
            });
        }
        Self {
            checker: Arc::clone(checker),
            over,
            tasks,
        }
    }

    /// Waits until so many more calls were acknowledged.
    pub(crate) async fn acknowledged(&self, more: u64) {
        let goal = self.checker.acknowledged() + more;
        self.until(|checker| checker.acknowledged() >= goal).await;
    }

    /// Waits until so many more calls were not.
    pub(crate) async fn unavailable(&self, more: u64) {
        let goal = self.checker.unavailable() + more;
        self.until(|checker| checker.unavailable() >= goal).await;
    }

    pub(crate) async fn until(&self, happened: impl Fn(&Checker) -> bool) {
        let waiting = async {
            while !happened(&self.checker) {
                yield_now().await;
            }
        };
        timeout(PATIENCE, waiting).await.expect("it goes on");
    }

    /// # Panics
    /// If one of the callers was told what cannot be.
    pub(crate) async fn end(mut self) {
        self.over.store(true, Ordering::SeqCst);
        while let Some(task) = self.tasks.join_next().await {
            task.expect("every answer is one that can be");
        }
    }
}
