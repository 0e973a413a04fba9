//! A time that may be absent, in the 8 bytes of one that is not.

use tenure_store::{Timeout, Timestamp};

/// An instant or a span in milliseconds, or never, which comes after all of them. An
/// `Option` of either would take twice the room.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct OrNever(i64);

impl OrNever {
    /// Beyond all that a [`Timestamp`] or [`Timeout`] can be.
    pub(crate) const NEVER: Self = Self(i64::MAX);

    /// The instant.
    pub(crate) fn instant(self) -> Option<Timestamp> {
        (self != Self::NEVER).then(|| Timestamp::from_millis_clamped(self.0))
    }

    /// The span.
    pub(crate) fn span(self) -> Option<Timeout> {
        if self == Self::NEVER {
            return None;
        }
        Timeout::from_millis(self.0).ok()
    }

    /// Whether this instant is not in the future.
    pub(crate) fn has_come(self, now: Timestamp) -> bool {
        self.0 <= now.as_millis()
    }
}

impl From<Timestamp> for OrNever {
    fn from(instant: Timestamp) -> Self {
        Self(instant.as_millis())
    }
}

impl From<Option<Timestamp>> for OrNever {
    fn from(instant: Option<Timestamp>) -> Self {
        instant.map_or(Self::NEVER, Self::from)
    }
}

impl From<Option<Timeout>> for OrNever {
    fn from(span: Option<Timeout>) -> Self {
        span.map_or(Self::NEVER, |span| Self(span.as_millis()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_time_comes_back_and_comes_before_never() {
        for instant in [Timestamp::MIN, Timestamp::MAX] {
            let packed = OrNever::from(instant);
            assert_eq!(packed.instant(), Some(instant));
            assert!(packed < OrNever::NEVER);
        }
        for span in [Timeout::from_millis(1).expect("in range"), Timeout::MAX] {
            assert_eq!(OrNever::from(Some(span)).span(), Some(span));
        }
        assert_eq!(OrNever::NEVER.instant(), None);
        assert_eq!(OrNever::NEVER.span(), None);
        assert!(!OrNever::NEVER.has_come(Timestamp::MAX));
    }
}
