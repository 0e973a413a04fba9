//! Tells a clock that jumped from time that passed.

use std::time::Duration;

use tenure_store::Timestamp;

use crate::Clock;

/// How far the clock may move against the measure that never steps, from one look to the
/// next, before it counts as a jump.
const TOLERANCE: Duration = Duration::from_mins(1);
/// How long a clock that has jumped and stays where it is goes on being doubted: long
/// enough for somebody to set it right, short enough if it was wrong before.
const DOUBT: Duration = Duration::from_mins(10);

/// Watches one clock for jumps forward. A step back ends nobody, and is no jump.
#[derive(Debug)]
pub(crate) struct JumpWatch {
    /// The clock's reading and its running time, when it was last trusted.
    trusted: Option<(Timestamp, Duration)>,
    /// The running time at which the doubt began.
    doubted: Option<Duration>,
}

/// What a look at the clock found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Reading {
    Trusted,
    /// It has just jumped, by so much.
    Jumped(Duration),
    /// It jumped before, and nobody has set it right.
    Doubted,
}

impl JumpWatch {
    pub(crate) fn new() -> Self {
        Self {
            trusted: None,
            doubted: None,
        }
    }

    pub(crate) fn look(&mut self, clock: &dyn Clock) -> Reading {
        let (now, running) = (clock.now(), clock.running());
        let jump = self.trusted.map_or(Duration::ZERO, |(then, ran)| {
            let passed = running.saturating_sub(ran);
            now.since(then.plus(passed))
        });
        let doubted_long_enough = self
            .doubted
            .is_some_and(|since| running.saturating_sub(since) >= DOUBT);
        if jump <= TOLERANCE || doubted_long_enough {
            self.trusted = Some((now, running));
            self.doubted = None;
            return Reading::Trusted;
        }
        if self.doubted.is_some() {
            return Reading::Doubted;
        }
        self.doubted = Some(running);
        Reading::Jumped(jump)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ManualClock;

    const HOUR: Duration = Duration::from_hours(1);

    #[test]
    fn time_that_passes_is_no_jump_however_long() {
        let clock = ManualClock::default();
        let mut watch = JumpWatch::new();
        for _ in 0..10 {
            assert_eq!(watch.look(&clock), Reading::Trusted);
            clock.advance(HOUR);
        }
    }

    #[test]
    fn a_jump_is_doubted_until_the_clock_is_set_right() {
        let clock = ManualClock::default();
        let mut watch = JumpWatch::new();
        let right = clock.now();
        watch.look(&clock);
        clock.set(right.plus(HOUR));
        assert_eq!(watch.look(&clock), Reading::Jumped(HOUR));
        assert_eq!(watch.look(&clock), Reading::Doubted);
        clock.set(right);
        assert_eq!(watch.look(&clock), Reading::Trusted);
        clock.set(right.minus(HOUR));
        assert_eq!(
            watch.look(&clock),
            Reading::Trusted,
            "a step back ends nobody"
        );
    }

    #[test]
    fn a_clock_that_stays_where_it_jumped_to_is_believed_in_the_end() {
        let clock = ManualClock::default();
        let mut watch = JumpWatch::new();
        watch.look(&clock);
        clock.set(clock.now().plus(HOUR));
        assert_eq!(watch.look(&clock), Reading::Jumped(HOUR));
        clock.advance(DOUBT / 2);
        assert_eq!(watch.look(&clock), Reading::Doubted);
        clock.advance(DOUBT / 2);
        assert_eq!(watch.look(&clock), Reading::Trusted);
        assert_eq!(watch.look(&clock), Reading::Trusted);
    }
}
