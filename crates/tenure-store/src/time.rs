//! Instants and spans, in milliseconds. Stores read no clock: time is an argument.

use std::time::Duration;

use crate::{Error, Result};

/// 2^53: the largest whole number up to which every backend counts exactly (Lua and
/// JSON round beyond it).
const LIMIT: i64 = 1 << 53;

/// An instant: milliseconds since the Unix epoch, within ±2^53.
///
/// ```
/// use std::time::Duration;
/// use tenure_store::Timestamp;
///
/// let noon = Timestamp::from_millis(1_767_268_800_000)?;
/// assert_eq!(noon.plus(Duration::from_secs(1)).as_millis(), 1_767_268_801_000);
/// assert_eq!(Timestamp::MAX.plus(Duration::from_secs(1)), Timestamp::MAX);
/// # Ok::<(), tenure_store::Error>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Timestamp(i64);

impl Timestamp {
    /// The earliest instant, −2^53 ms.
    pub const MIN: Self = Self(-LIMIT);
    /// The latest instant, 2^53 ms.
    pub const MAX: Self = Self(LIMIT);

    /// The instant this many milliseconds after the Unix epoch.
    ///
    /// # Errors
    /// `Invalid` beyond ±2^53.
    pub fn from_millis(millis: i64) -> Result<Self> {
        if (-LIMIT..=LIMIT).contains(&millis) {
            Ok(Self(millis))
        } else {
            Err(Error::invalid("a time lies within ±2^53 ms of 1970"))
        }
    }

    /// The instant this many milliseconds after the Unix epoch, or the nearest one
    /// there is.
    pub fn from_millis_clamped(millis: i64) -> Self {
        Self(millis.clamp(-LIMIT, LIMIT))
    }

    /// Milliseconds since the Unix epoch.
    pub fn as_millis(self) -> i64 {
        self.0
    }

    /// This instant and so much later, whole milliseconds; at most [`Timestamp::MAX`].
    #[must_use]
    pub fn plus(self, span: Duration) -> Self {
        let millis = i64::try_from(span.as_millis()).unwrap_or(i64::MAX);
        Self::from_millis_clamped(self.0.saturating_add(millis))
    }

    /// This instant and so much earlier, whole milliseconds; at least [`Timestamp::MIN`].
    #[must_use]
    pub fn minus(self, span: Duration) -> Self {
        let millis = i64::try_from(span.as_millis()).unwrap_or(i64::MAX);
        Self::from_millis_clamped(self.0.saturating_sub(millis))
    }

    /// How much later this is than `earlier`; zero if it is not later.
    pub fn since(self, earlier: Self) -> Duration {
        Duration::from_millis(u64::try_from(self.0 - earlier.0).unwrap_or(0))
    }
}

/// How long a session may be idle, or live: from 1 ms to 2^53 ms. "Never" is not a
/// long time-out but `None` of an `Option<Timeout>`.
///
/// ```
/// use std::time::Duration;
/// use tenure_store::Timeout;
///
/// assert!(Timeout::new(Duration::ZERO).is_err());
/// assert_eq!(Timeout::new(Duration::MAX)?, Timeout::MAX);
/// # Ok::<(), tenure_store::Error>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Timeout(i64);

impl Timeout {
    /// The longest: 2^53 ms, some 285,000 years.
    pub const MAX: Self = Self(LIMIT);

    /// A time-out of so many whole milliseconds; what is longer than
    /// [`Timeout::MAX`] becomes it.
    ///
    /// # Errors
    /// `Invalid` for less than a millisecond: say `None` for "never", and `end` for
    /// "now".
    pub fn new(span: Duration) -> Result<Self> {
        Self::from_millis(i64::try_from(span.as_millis()).unwrap_or(LIMIT).min(LIMIT))
    }

    /// A time-out of so many milliseconds.
    ///
    /// # Errors
    /// `Invalid` outside 1 to 2^53.
    pub fn from_millis(millis: i64) -> Result<Self> {
        if (1..=LIMIT).contains(&millis) {
            Ok(Self(millis))
        } else {
            Err(Error::invalid(
                "a time-out is 1 to 2^53 ms; for \"never\" give none, to end a session call end",
            ))
        }
    }

    /// The time-out in milliseconds.
    pub fn as_millis(self) -> i64 {
        self.0
    }

    /// The time-out as a span.
    pub fn as_duration(self) -> Duration {
        Duration::from_millis(self.0.unsigned_abs())
    }

    /// When a time-out that starts at `start` is over; at most [`Timestamp::MAX`].
    pub fn after(self, start: Timestamp) -> Timestamp {
        Timestamp::from_millis_clamped(start.as_millis() + self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_saturate_and_never_overflow() {
        assert_eq!(Timeout::MAX.after(Timestamp::MAX), Timestamp::MAX);
        assert_eq!(Timestamp::MIN.minus(Duration::MAX), Timestamp::MIN);
        assert_eq!(Timestamp::MAX.plus(Duration::MAX), Timestamp::MAX);
        assert_eq!(Timestamp::MIN.since(Timestamp::MAX), Duration::ZERO);
        assert!(Timestamp::from_millis(LIMIT + 1).is_err());
        assert!(Timestamp::from_millis(-LIMIT - 1).is_err());
    }

    #[test]
    fn a_timeout_below_a_millisecond_is_refused() {
        for bad in [Duration::ZERO, Duration::from_micros(999)] {
            let error = Timeout::new(bad).expect_err("too short");
            assert_eq!(error.kind(), crate::ErrorKind::Invalid);
        }
        assert!(Timeout::from_millis(-1).is_err());
    }
}
