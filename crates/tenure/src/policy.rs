//! How long sessions live, how often accesses are written, and how hooks are retried.

use std::time::Duration;

use tenure_store::{After, Excess, PrincipalLimit, Record, Timeout, Timestamp, Tombstone};

use crate::attributes::Limits;
use crate::{Error, Result};

/// The settings of one `Sessions`; made by its builder, where each is documented.
#[derive(Clone, Debug)]
pub(crate) struct Policy {
    pub(crate) idle_timeout: Option<Timeout>,
    pub(crate) lifetime: Option<Timeout>,
    /// `None`: a twentieth of the idle time-out, at most a minute.
    pub(crate) touch_resolution: Option<Duration>,
    pub(crate) rotation_grace: Duration,
    pub(crate) limits: Limits,
    pub(crate) principal_limit: Option<PrincipalLimit>,
    pub(crate) hooks: HookPolicy,
}

/// What becomes of the sessions of a principal that logs in once too often; see
/// [`sessions_per_principal`](crate::SessionsBuilder::sessions_per_principal).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum OnExcess {
    /// Its oldest sessions end, for [`EndReason::Displaced`](crate::EndReason::Displaced):
    /// whoever sits at the newest device is in.
    EndOldest,
    /// The log-in is refused as [`Error::TooManySessions`].
    RefuseNewest,
}

impl OnExcess {
    /// The limit of so many sessions, as stores keep it. The hooks of what it ends run
    /// with the reapers.
    pub(crate) fn limit(self, sessions: u32) -> Result<PrincipalLimit> {
        if sessions == 0 {
            return Err(Error::Policy(
                "a principal that may log in needs at least one session",
            ));
        }
        let excess = match self {
            OnExcess::EndOldest => Excess::EndOldest(After::Queue),
            OnExcess::RefuseNewest => Excess::Refuse,
        };
        Ok(PrincipalLimit { sessions, excess })
    }
}

/// The longest that an access goes unwritten by default.
const COARSEST_TOUCH: Duration = Duration::from_mins(1);

impl Policy {
    /// Whether an access at `now` must be written, or is close enough to the one on
    /// record. While a session is leaving every access is written, as only that takes
    /// the leave back.
    pub(crate) fn owes_touch(&self, record: &Record, now: Timestamp) -> bool {
        record.leaves_at.is_some()
            || now.since(record.last_access) >= self.resolution(record.idle_timeout)
    }

    /// A session whose own time-out is short gets a resolution to match, or it would
    /// run out while in use.
    fn resolution(&self, idle_timeout: Option<Timeout>) -> Duration {
        let idle = idle_timeout.map_or(Duration::MAX, Timeout::as_duration);
        match self.touch_resolution {
            Some(resolution) => resolution.min(idle / 2),
            None => COARSEST_TOUCH.min(idle / 20),
        }
    }
}

/// How end hooks are run and retried.
#[derive(Clone, Debug)]
pub(crate) struct HookPolicy {
    /// How long one run may take.
    pub(crate) time_limit: Duration,
    /// How long a claim holds without renewal.
    pub(crate) lease: Duration,
    /// After how many failures a tombstone is a dead letter.
    pub(crate) attempts: u32,
    /// The wait after the first failure; it doubles with each further one.
    pub(crate) first_retry: Duration,
}

impl Default for HookPolicy {
    fn default() -> Self {
        Self {
            time_limit: Duration::from_secs(30),
            lease: Duration::from_secs(90),
            attempts: 10,
            first_retry: Duration::from_secs(1),
        }
    }
}

impl HookPolicy {
    /// How much clocks of two nodes may differ before one takes the other's lease away.
    pub(crate) const SKEW: Duration = Duration::from_secs(30);
    /// A hook that takes its process down fails no attempt, so claims that nobody
    /// settled are counted apart, and far more generously: a deployment kills processes
    /// too.
    const UNSETTLED_PER_ATTEMPT: u32 = 10;

    pub(crate) fn check(&self) -> Result<()> {
        if self.attempts == 0 {
            return Err(Error::Policy("an end hook needs at least one attempt"));
        }
        if self.time_limit.is_zero() {
            return Err(Error::Policy("an end hook needs some time to run"));
        }
        if self.lease <= Self::SKEW {
            return Err(Error::Policy(
                "a lease must be longer than 30 s, by which the clocks of two nodes may differ",
            ));
        }
        if self.lease > Tombstone::LONGEST_WAIT {
            return Err(Error::Policy(
                "a lease is an hour at most; hooks that take longer have theirs renewed",
            ));
        }
        Ok(())
    }

    pub(crate) fn is_exhausted(&self, failures: u32) -> bool {
        failures >= self.attempts
    }

    pub(crate) fn is_deadly(&self, unsettled: u32) -> bool {
        unsettled > self.attempts.saturating_mul(Self::UNSETTLED_PER_ATTEMPT)
    }

    /// How long to wait after so many failures.
    pub(crate) fn back_off(&self, failures: u32, draw: u64) -> Duration {
        let doubled = 2u32.saturating_pow(failures.saturating_sub(1));
        let whole = self
            .first_retry
            .saturating_mul(doubled)
            .min(Tombstone::LONGEST_WAIT);
        jittered(whole, draw)
    }
}

/// A wait, less up to a quarter of it by a random number: so that what failed or started
/// together is not tried again together.
pub(crate) fn jittered(wait: Duration, draw: u64) -> Duration {
    let thousandths = 1000 - u32::try_from(draw % 251).unwrap_or(0);
    wait / 1000 * thousandths
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn back_off_doubles_up_to_an_hour_and_jitters_by_a_quarter_at_most() {
        let policy = HookPolicy::default();
        assert_eq!(policy.back_off(1, 0), Duration::from_secs(1));
        assert_eq!(policy.back_off(4, 0), Duration::from_secs(8));
        assert_eq!(policy.back_off(u32::MAX, 0), Duration::from_hours(1));
        for draw in 0..1000 {
            let wait = policy.back_off(1, draw);
            assert!((Duration::from_millis(750)..=Duration::from_secs(1)).contains(&wait));
        }
    }
}
