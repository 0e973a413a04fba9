//! Tells a clock that jumped from time that passed.

use std::time::Duration;

use tenure_store::Timestamp;

use crate::Clock;

/// How far the clock may move against the measure that never steps, from one look to the
/// next, before it counts as a jump.
const TOLERANCE: u64 = 60_000;
/// How long a clock that has jumped and stays where it is goes on being doubted: long
/// enough for somebody to set it right, short enough if it was wrong before.
const DOUBT: Duration = Duration::from_mins(10);

/// Watches one clock for jumps, in either direction.
///
/// What it remembers is a difference, in milliseconds: what the clock says less how long it
/// has been running. Time that passes leaves it as it is, and a jump changes it.
#[derive(Debug)]
pub(crate) struct JumpWatch {
    /// The difference that is right as far as is known.
    trusted: i64,
    /// Whether it is so only because nobody set the clock right in time.
    resigned: bool,
    strayed: Option<Strayed>,
    /// How long leases last: by then whoever holds one has renewed it.
    lease: Duration,
}

/// A clock that is not where it was trusted.
#[derive(Clone, Copy, Debug)]
struct Strayed {
    /// Its difference.
    to: i64,
    /// The running time at which it was first seen there.
    since: Duration,
}

/// What a look at the clock found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Reading {
    /// It is this late: to be used as it is, as the next look may say otherwise.
    Trusted(Timestamp),
    /// It has just jumped ahead, by so much.
    Ahead(Duration),
    /// It has just stepped back, by so much.
    Back(Duration),
    /// It jumped before, and nobody has set it right.
    Doubted,
}

impl JumpWatch {
    /// Trusts the clock as it is now.
    pub(crate) fn new(clock: &dyn Clock, lease: Duration) -> Self {
        Self {
            trusted: difference(clock.now(), clock.running()),
            resigned: false,
            strayed: None,
            lease,
        }
    }

    /// What a reaper may do by the clock now.
    ///
    /// - A clock that jumped ahead would end sessions that nobody had time to use: it is
    ///   doubted until it is set right, or for [`DOUBT`].
    /// - One that stepped back ends nobody, but it sees leases that seem to run for longer
    ///   than any does. It is doubted until their holders have renewed them by it. Set right
    ///   again, it is where it was trusted, and is trusted at once.
    pub(crate) fn look(&mut self, clock: &dyn Clock) -> Reading {
        let (now, running) = (clock.now(), clock.running());
        let here = difference(now, running);
        if is_near(here, self.trusted) {
            self.trust(here, false);
            return Reading::Trusted(now);
        }
        let strayed = self.strayed.filter(|at| is_near(here, at.to));
        let since = strayed.map_or(running, |at| at.since);
        self.strayed = Some(Strayed { to: here, since });
        let stayed = running.saturating_sub(since);
        let is_back = here < self.trusted;
        if stayed >= DOUBT || is_back && self.resigned && stayed >= self.lease {
            self.trust(here, !is_back);
            return Reading::Trusted(now);
        }
        if is_back && stayed >= self.lease {
            return Reading::Trusted(now);
        }
        let by = Duration::from_millis(here.abs_diff(self.trusted));
        match strayed {
            Some(_) => Reading::Doubted,
            None if is_back => Reading::Back(by),
            None => Reading::Ahead(by),
        }
    }

    fn trust(&mut self, here: i64, resigned: bool) {
        self.resigned = resigned || self.resigned && is_near(here, self.trusted);
        self.trusted = here;
        self.strayed = None;
    }
}

fn difference(now: Timestamp, running: Duration) -> i64 {
    let running = i64::try_from(running.as_millis()).unwrap_or(i64::MAX);
    now.as_millis().saturating_sub(running)
}

fn is_near(one: i64, other: i64) -> bool {
    one.abs_diff(other) <= TOLERANCE
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ManualClock;

    const HOUR: Duration = Duration::from_hours(1);
    const LEASE: Duration = Duration::from_secs(90);

    fn watched() -> (ManualClock, JumpWatch) {
        let clock = ManualClock::default();
        let watch = JumpWatch::new(&clock, LEASE);
        (clock, watch)
    }

    fn trusts(watch: &mut JumpWatch, clock: &ManualClock) -> bool {
        watch.look(clock) == Reading::Trusted(clock.now())
    }

    #[test]
    fn time_that_passes_is_no_jump_however_long() {
        let (clock, mut watch) = watched();
        for _ in 0..10 {
            assert!(trusts(&mut watch, &clock));
            clock.advance(HOUR);
        }
    }

    #[test]
    fn a_small_step_is_no_jump() {
        let (clock, mut watch) = watched();
        for step in [59, 59, 59] {
            clock.set(clock.now().plus(Duration::from_secs(step)));
            assert!(trusts(&mut watch, &clock));
        }
        clock.set(clock.now().minus(Duration::from_secs(59)));
        assert!(trusts(&mut watch, &clock));
    }

    #[test]
    fn a_jump_is_doubted_until_the_clock_is_set_right() {
        let (clock, mut watch) = watched();
        let right = clock.now();
        for _ in 0..3 {
            clock.set(right.plus(HOUR));
            assert_eq!(watch.look(&clock), Reading::Ahead(HOUR));
            assert_eq!(watch.look(&clock), Reading::Doubted);
            clock.set(right);
            assert!(trusts(&mut watch, &clock));
        }
    }

    #[test]
    fn a_clock_that_stays_where_it_jumped_to_is_believed_in_the_end() {
        let (clock, mut watch) = watched();
        clock.set(clock.now().plus(HOUR));
        assert_eq!(watch.look(&clock), Reading::Ahead(HOUR));
        for _ in 0..9 {
            clock.advance(DOUBT / 10);
            assert_eq!(watch.look(&clock), Reading::Doubted);
        }
        clock.advance(DOUBT / 10);
        assert!(trusts(&mut watch, &clock));
        assert!(trusts(&mut watch, &clock));
    }

    #[test]
    fn each_further_jump_begins_the_doubt_anew() {
        let (clock, mut watch) = watched();
        for hours in 1..4 {
            clock.set(clock.now().plus(HOUR));
            assert_eq!(watch.look(&clock), Reading::Ahead(HOUR * hours));
            clock.advance(DOUBT / 2);
            assert_eq!(watch.look(&clock), Reading::Doubted);
        }
    }

    #[test]
    fn a_step_back_is_doubted_until_leases_are_renewed_by_it() {
        let (clock, mut watch) = watched();
        clock.set(clock.now().minus(HOUR));
        assert_eq!(watch.look(&clock), Reading::Back(HOUR));
        clock.advance(LEASE / 2);
        assert_eq!(watch.look(&clock), Reading::Doubted);
        clock.advance(LEASE / 2);
        assert!(trusts(&mut watch, &clock));
    }

    #[test]
    fn a_clock_that_went_back_and_was_set_right_is_trusted_at_once() {
        let (clock, mut watch) = watched();
        for passed in [Duration::ZERO, LEASE, DOUBT / 2] {
            clock.set(clock.now().minus(HOUR));
            watch.look(&clock);
            clock.advance(passed);
            watch.look(&clock);
            clock.set(clock.now().plus(HOUR));
            assert!(trusts(&mut watch, &clock), "after {passed:?}");
        }
    }

    #[test]
    fn a_jump_that_nobody_set_right_in_time_is_no_measure_for_the_next() {
        let (clock, mut watch) = watched();
        clock.set(clock.now().plus(HOUR));
        watch.look(&clock);
        clock.advance(DOUBT);
        assert!(trusts(&mut watch, &clock), "believed in the end");
        clock.set(clock.now().minus(HOUR));
        watch.look(&clock);
        clock.advance(LEASE);
        assert!(trusts(&mut watch, &clock), "set right, late");
        clock.set(clock.now().plus(HOUR));
        assert_eq!(watch.look(&clock), Reading::Ahead(HOUR));
    }
}
