//! What belongs to one runtime: connections, whose tasks run there, and queues that such tasks
//! empty. A store may be used on several runtimes, and outlives each of them.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::runtime::{Handle, Id};

/// One `T` for each runtime that uses it.
pub(crate) struct PerRuntime<T>(Mutex<Vec<(Id, Arc<T>)>>);

/// What can be told of one that may be forgotten.
pub(crate) trait Local: Default {
    /// Whether nothing is lost with it: a later use makes another.
    fn is_idle(&self) -> bool;
}

impl<T> Default for PerRuntime<T> {
    fn default() -> Self {
        Self(Mutex::default())
    }
}

impl<T: Local> PerRuntime<T> {
    /// The present runtime's.
    ///
    /// # Panics
    /// Outside a runtime; the store's operations run in tasks.
    pub(crate) fn here(&self) -> Arc<T> {
        let here = Handle::current().id();
        let mut all = self.all();
        if let Some((_, known)) = all.iter().find(|(id, _)| *id == here) {
            return Arc::clone(known);
        }
        // A runtime that has gone says nothing. So who is new looks which others are left.
        all.retain(|(_, other)| Arc::strong_count(other) > 1 || !other.is_idle());
        let new = Arc::<T>::default();
        all.push((here, Arc::clone(&new)));
        new
    }

    /// Every runtime's.
    pub(crate) fn everywhere(&self) -> Vec<Arc<T>> {
        let all = self.all();
        all.iter().map(|(_, each)| Arc::clone(each)).collect()
    }

    fn all(&self) -> MutexGuard<'_, Vec<(Id, Arc<T>)>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A lock that the tasks of one runtime share: those of another, which may stand still, are
/// not waited for.
impl Local for tokio::sync::Mutex<()> {
    fn is_idle(&self) -> bool {
        self.try_lock().is_ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Default)]
    struct Busy(Mutex<bool>);

    impl Local for Busy {
        fn is_idle(&self) -> bool {
            !*self.0.lock().expect("nobody panics with it")
        }
    }

    fn on_a_runtime<T>(look: impl FnOnce() -> T) -> T {
        let runtime = tokio::runtime::Builder::new_current_thread().build();
        runtime.expect("it starts").block_on(async { look() })
    }

    #[test]
    fn each_runtime_has_its_own_and_what_is_idle_is_forgotten() {
        let all = PerRuntime::<Busy>::default();
        let runtimes = [(); 2].map(|()| {
            let runtime = tokio::runtime::Builder::new_current_thread().build();
            runtime.expect("it starts")
        });
        let [one, other] = &runtimes;
        let first = one.block_on(async { all.here() });
        assert!(Arc::ptr_eq(&first, &one.block_on(async { all.here() })));
        assert!(!Arc::ptr_eq(&first, &other.block_on(async { all.here() })));
        *first.0.lock().expect("nobody panics with it") = true;
        drop(first);
        on_a_runtime(|| all.here());
        assert_eq!(all.everywhere().len(), 2, "the busy one and the new one");
    }
}
