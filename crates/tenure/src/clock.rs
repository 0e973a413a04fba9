//! The one place where time is read.

use std::fmt;
use std::sync::Mutex;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use tenure_store::Timestamp;

/// Where the library takes the time from: once for each operation.
pub trait Clock: fmt::Debug + Send + Sync + 'static {
    /// Now, in milliseconds since the Unix epoch. It may step back.
    fn now(&self) -> Timestamp;

    /// How long this clock has been running, by a measure that never steps: what tells
    /// the reaper that [`now`](Self::now) has jumped.
    fn running(&self) -> Duration;
}

/// The machine's clock.
#[derive(Debug)]
pub struct SystemClock {
    since: Instant,
}

impl Default for SystemClock {
    #[allow(clippy::disallowed_methods, reason = "the one clock")]
    fn default() -> Self {
        Self {
            since: Instant::now(),
        }
    }
}

impl Clock for SystemClock {
    #[allow(clippy::disallowed_methods, reason = "the one clock")]
    fn now(&self) -> Timestamp {
        let millis = match SystemTime::now().duration_since(UNIX_EPOCH) {
            Ok(after) => i64::try_from(after.as_millis()).unwrap_or(i64::MAX),
            Err(before) => i64::try_from(before.duration().as_millis()).map_or(i64::MIN, |m| -m),
        };
        Timestamp::from_millis_clamped(millis)
    }

    fn running(&self) -> Duration {
        self.since.elapsed()
    }
}

/// A clock that moves when it is told to: no test of an application needs to wait.
///
/// ```
/// use std::time::Duration;
/// use tenure::{Clock, ManualClock};
///
/// let clock = ManualClock::default();
/// let before = clock.now();
/// clock.advance(Duration::from_secs(60));
/// assert_eq!(clock.now().since(before), Duration::from_secs(60));
/// ```
#[derive(Debug)]
pub struct ManualClock(Mutex<(Timestamp, Duration)>);

impl ManualClock {
    /// A clock that stands at this instant.
    pub fn new(now: Timestamp) -> Self {
        Self(Mutex::new((now, Duration::ZERO)))
    }

    /// Lets time pass.
    pub fn advance(&self, span: Duration) {
        let mut time = self.time();
        time.0 = time.0.plus(span);
        time.1 += span;
    }

    /// Sets the clock, as an administrator or a time server may: `now` jumps, but no
    /// time passes.
    pub fn set(&self, now: Timestamp) {
        self.time().0 = now;
    }

    fn time(&self) -> std::sync::MutexGuard<'_, (Timestamp, Duration)> {
        self.0
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}

impl Default for ManualClock {
    /// Stands at the start of 2026.
    fn default() -> Self {
        Self::new(Timestamp::from_millis_clamped(1_767_225_600_000))
    }
}

impl Clock for ManualClock {
    fn now(&self) -> Timestamp {
        self.time().0
    }

    fn running(&self) -> Duration {
        self.time().1
    }
}
