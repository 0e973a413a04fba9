//! Callers that wait together are served together, by tasks of the store's: a *flight* takes
//! whoever waits, then whoever has come meanwhile, until nobody waits.
//!
//! Each hand-over has one owner. A caller is put among those that wait, and a flight is begun
//! if there is room for one, under one lock; a flight ends, having found nobody, under the same
//! lock. So whoever waits has a flight that has not looked for the last time.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::runtimes::Local;

/// Those that wait.
pub(crate) struct Joint<T>(Mutex<State<T>>);

struct State<T> {
    waiting: Vec<T>,
    flights: usize,
}

/// A task that serves them. When it is dropped, wherever it is, it is counted no more.
pub(crate) struct Flight<T> {
    joint: Arc<Joint<T>>,
    has_landed: bool,
}

impl<T> Default for Joint<T> {
    fn default() -> Self {
        Self(Mutex::new(State {
            waiting: Vec::new(),
            flights: 0,
        }))
    }
}

impl<T> Joint<T> {
    /// Waits for company. With fewer flights than `most` this begins another, which the caller
    /// has to start: in a task, as it serves others too.
    #[must_use]
    pub(crate) fn join(self: &Arc<Self>, who: T, most: usize) -> Option<Flight<T>> {
        let mut state = self.state();
        state.waiting.push(who);
        (state.flights < most).then(|| {
            state.flights += 1;
            Flight {
                joint: Arc::clone(self),
                has_landed: false,
            }
        })
    }

    fn state(&self) -> MutexGuard<'_, State<T>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<T> Flight<T> {
    /// Those that have waited longest; `None` lands the flight.
    pub(crate) fn take(&mut self, most: usize, wants: impl Fn(&T) -> bool) -> Option<Vec<T>> {
        let mut state = self.joint.state();
        state.waiting.retain(wants);
        let count = state.waiting.len().min(most);
        if count == 0 {
            state.flights -= 1;
            self.has_landed = true;
            return None;
        }
        Some(state.waiting.drain(..count).collect())
    }
}

impl<T> Drop for Flight<T> {
    fn drop(&mut self) {
        if self.has_landed {
            return;
        }
        let mut state = self.joint.state();
        state.flights -= 1;
        if state.flights == 0 {
            // Its runtime goes, and with it all that wait here: they hold what others need.
            let forsaken = std::mem::take(&mut state.waiting);
            drop(state);
            drop(forsaken);
        }
    }
}

impl<T> Local for Joint<T> {
    fn is_idle(&self) -> bool {
        let state = self.state();
        state.flights == 0 && state.waiting.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whoever_waits_has_a_flight_that_will_look() {
        let joint = Arc::<Joint<u32>>::default();
        let mut first = joint.join(1, 2).expect("there is room");
        let mut second = joint.join(2, 2).expect("there is room");
        assert!(joint.join(3, 2).is_none());
        assert_eq!(first.take(2, |_| true), Some(vec![1, 2]));
        assert_eq!(second.take(2, |who| *who != 3), None, "it wants nothing");
        let mut third = joint.join(4, 2).expect("one has landed");
        assert!(joint.join(5, 2).is_none());
        assert_eq!(first.take(9, |_| true), Some(vec![4, 5]));
        assert!(first.take(9, |_| true).is_none() && third.take(9, |_| true).is_none());
        assert!(joint.is_idle());
    }

    #[test]
    fn a_flight_that_is_given_up_is_counted_no_more_and_leaves_nobody_waiting() {
        let joint = Arc::<Joint<u32>>::default();
        let first = joint.join(1, 2);
        drop(joint.join(2, 2));
        assert!(!joint.is_idle(), "another one is there");
        drop(first);
        assert!(joint.is_idle());
        let mut next = joint.join(3, 1).expect("there is room again");
        assert_eq!(next.take(9, |_| true), Some(vec![3]));
    }
}
