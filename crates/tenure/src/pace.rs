//! So many end hooks a second, and no more: a reset must not become a flood.

use std::time::Duration;

use tokio::time::Instant;

/// When the next hook may begin.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Pace {
    gap: Duration,
    next: Instant,
}

impl Pace {
    /// At most this many a second, evenly spread; `None` for as many as there are.
    pub(crate) fn new(per_second: Option<u32>) -> Self {
        Self {
            gap: per_second.map_or(Duration::ZERO, |n| Duration::from_secs(1) / n.max(1)),
            next: Instant::now(),
        }
    }

    /// The instant before which the next may not begin.
    pub(crate) fn next(&self) -> Instant {
        self.next
    }

    /// Takes the next turn, if it has come. What was not taken in time is not made up
    /// for.
    pub(crate) fn take(&mut self) -> bool {
        let now = Instant::now();
        if now < self.next {
            return false;
        }
        let earliest = now.checked_sub(SLACK).unwrap_or(now);
        self.next = self.next.max(earliest) + self.gap;
        true
    }
}

/// Timers are no finer than this, so hooks that are due within it may begin together.
const SLACK: Duration = Duration::from_millis(5);
