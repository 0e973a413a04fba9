//! Which generation of a namespace's sessions is the present one, and when the ones
//! before it were reset.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{PoisonError, RwLock, RwLockWriteGuard};

use tenure_store::Timestamp;

/// When each past epoch was reset. What is not in it is the present epoch.
pub(crate) type Resets = BTreeMap<u32, Timestamp>;

/// A namespace's epochs. A reset is two writes: the instant, then the number.
///
/// The number stands beside the lock so that a load does not take it. A shard may be
/// locked while the resets are, never the other way round.
#[derive(Default)]
pub(crate) struct Epochs {
    present: AtomicU32,
    resets: RwLock<Resets>,
}

impl Epochs {
    /// The present epoch. To be asked under a shard's lock: whoever locks the shard
    /// after [`forget_all_but`](Self::forget_all_but) looked at it then finds no
    /// epoch that was past already.
    pub(crate) fn present(&self) -> u32 {
        self.present.load(Ordering::Acquire)
    }

    /// When the past epochs were reset, as far as sessions of theirs are left.
    pub(crate) fn resets(&self) -> Resets {
        let resets = self.resets.read().unwrap_or_else(PoisonError::into_inner);
        resets.clone()
    }

    /// Makes all present sessions past ones.
    pub(crate) fn reset(&self, now: Timestamp) {
        let mut resets = self.lock();
        let epoch = self.present.load(Ordering::Acquire);
        resets.insert(epoch, now);
        self.present.store(epoch.wrapping_add(1), Ordering::Release);
    }

    /// Forgets the resets of epochs that have no session left.
    pub(crate) fn forget_all_but(&self, populated: impl FnOnce() -> BTreeSet<u32>) {
        // Held while the shards are asked, so that no epoch becomes a past one after
        // a shard was asked for it.
        let mut resets = self.lock();
        if !resets.is_empty() {
            let populated = populated();
            resets.retain(|epoch, _| populated.contains(epoch));
        }
    }

    fn lock(&self) -> RwLockWriteGuard<'_, Resets> {
        self.resets.write().unwrap_or_else(PoisonError::into_inner)
    }
}
