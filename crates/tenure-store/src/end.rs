//! How sessions end, and what is kept of them until their end hook has run.

use std::fmt;
use std::time::Duration;

use crate::{Record, SessionId, Timestamp};

/// Why a session ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[non_exhaustive]
pub enum EndReason {
    /// Its user logged out.
    Logout,
    /// No access for the length of its idle time-out.
    IdleTimeout,
    /// It lived as long as it may.
    Lifetime,
    /// Its browser was closed.
    Left,
    /// All sessions of its application were ended.
    ApplicationReset,
    /// All sessions of its principal were ended.
    PrincipalRevoked,
    /// An operator ended it.
    Administrator,
    /// It lives on in another store. No hook runs for it.
    Moved,
    /// Another log-in of its principal took its place.
    Displaced,
}

impl EndReason {
    /// Every reason that this version knows.
    pub const ALL: [EndReason; 9] = [
        EndReason::Logout,
        EndReason::IdleTimeout,
        EndReason::Lifetime,
        EndReason::Left,
        EndReason::ApplicationReset,
        EndReason::PrincipalRevoked,
        EndReason::Administrator,
        EndReason::Moved,
        EndReason::Displaced,
    ];

    /// The number that stores write for it. It never changes.
    pub fn code(self) -> u8 {
        match self {
            EndReason::Logout => 1,
            EndReason::IdleTimeout => 2,
            EndReason::Lifetime => 3,
            EndReason::Left => 4,
            EndReason::ApplicationReset => 5,
            EndReason::PrincipalRevoked => 6,
            EndReason::Administrator => 7,
            EndReason::Moved => 8,
            EndReason::Displaced => 9,
        }
    }

    /// The reason with this [code](Self::code), if there is one.
    pub fn from_code(code: u8) -> Option<Self> {
        Self::ALL.into_iter().find(|reason| reason.code() == code)
    }
}

impl fmt::Display for EndReason {
    /// Lower case with hyphens: `idle-timeout`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            EndReason::Logout => "logout",
            EndReason::IdleTimeout => "idle-timeout",
            EndReason::Lifetime => "lifetime",
            EndReason::Left => "left",
            EndReason::ApplicationReset => "application-reset",
            EndReason::PrincipalRevoked => "principal-revoked",
            EndReason::Administrator => "administrator",
            EndReason::Moved => "moved",
            EndReason::Displaced => "displaced",
        })
    }
}

/// Why and when a session ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct End {
    /// Why.
    pub reason: EndReason,
    /// When: the instant at which the cause came true, which may be long before a
    /// reaper noticed.
    pub at: Timestamp,
}

/// Who runs the end hook of a session that a caller ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum After {
    /// The caller, now: the tombstone is held for it for this long, at most
    /// [`Tombstone::LONGEST_WAIT`], and goes to the reapers if it is not settled by then.
    Hold(Duration),
    /// The reapers.
    Queue,
    /// Nobody: no tombstone is kept.
    Discard,
}

/// What a tombstone has beyond the session's last record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tombstone {
    /// Why and when the session ended.
    pub end: End,
    /// Where the tombstone stands.
    pub phase: Phase,
    /// How often it was claimed or held: the number of the latest attempt, and the
    /// fencing number of the latest ticket. It only ever grows.
    pub claims: u32,
    /// How many attempts were settled as failed since the end or the last requeue.
    pub failures: u32,
    /// How many claims nobody settled since the end or the last requeue, the current
    /// one included. It grows with a hook that kills its process.
    pub unsettled: u32,
    /// What the latest failed attempt said.
    pub last_failure: Option<Failure>,
}

/// Where a tombstone stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Phase {
    /// It may be claimed from this instant.
    Waiting {
        /// From when.
        from: Timestamp,
    },
    /// It was claimed and not settled. From `until` it may be claimed again; until
    /// somebody does, its ticket can still settle it.
    Held {
        /// The end of the lease.
        until: Timestamp,
    },
    /// A dead letter: its hook failed as often as allowed. Kept until an operator
    /// requeues or discards it.
    Dead,
}

impl Tombstone {
    /// The tombstone of a session that has just ended and that nobody has claimed.
    pub fn new(end: End) -> Self {
        Self {
            end,
            phase: Phase::Waiting { from: end.at },
            claims: 0,
            failures: 0,
            unsettled: 0,
            last_failure: None,
        }
    }

    /// The longest lease, and the longest that a retry waits: what is asked for beyond it
    /// is cut to it.
    pub const LONGEST_WAIT: Duration = Duration::from_hours(1);

    /// The latest instant that a tombstone may be told to wait for, as somebody sees it
    /// whose clock says `now`: after the [longest wait](Self::LONGEST_WAIT), and 30 s by
    /// which clocks may differ. What is beyond it was written by a clock that was ahead.
    /// Nobody waits for it: such a tombstone is due, and nobody holds it.
    pub fn horizon(now: Timestamp) -> Timestamp {
        now.plus(Self::LONGEST_WAIT + Duration::from_secs(30))
    }

    /// Until when a lease runs that is given at `now`.
    pub fn held_until(lease: Duration, now: Timestamp) -> Timestamp {
        now.plus(lease.min(Self::LONGEST_WAIT))
    }

    /// From when a tombstone may be claimed that is to be retried at `at`, as settled at
    /// `now`.
    pub fn retried_from(at: Timestamp, now: Timestamp) -> Timestamp {
        at.min(now.plus(Self::LONGEST_WAIT))
    }

    /// Whether it may be claimed at `now`: its time has come, or is beyond the
    /// [horizon](Self::horizon).
    pub fn is_due(&self, now: Timestamp) -> bool {
        self.due()
            .is_some_and(|due| due <= now || due > Self::horizon(now))
    }

    /// From when it may be claimed, as it was written; `None` for a dead letter.
    pub fn due(&self) -> Option<Timestamp> {
        match self.phase {
            Phase::Waiting { from } => Some(from),
            Phase::Held { until } => Some(until),
            Phase::Dead => None,
        }
    }

    /// Whether a lease on it still runs at `now`.
    pub fn is_held(&self, now: Timestamp) -> bool {
        matches!(self.phase, Phase::Held { .. }) && !self.is_due(now)
    }

    /// Holds it for the length of a lease, under the next fencing number.
    pub fn claim(&mut self, lease: Duration, now: Timestamp) {
        self.claims = self.claims.saturating_add(1);
        self.unsettled = self.unsettled.saturating_add(1);
        self.phase = Phase::Held {
            until: Self::held_until(lease, now),
        };
    }

    /// Whether this ticket may settle or renew it: it is the latest claim, and not
    /// settled yet. A lease that ran out does not matter until somebody else claims.
    pub fn is_claimed_by(&self, ticket: Ticket) -> bool {
        self.claims == ticket.claim && matches!(self.phase, Phase::Held { .. })
    }

    /// Settles the current claim with anything but [`Outcome::Done`], which removes the
    /// tombstone instead.
    pub fn settle(&mut self, outcome: &Outcome, now: Timestamp) {
        self.unsettled = self.unsettled.saturating_sub(1);
        match outcome {
            Outcome::Done => {}
            Outcome::Release => self.phase = Phase::Waiting { from: now },
            Outcome::Retry { at, why } => {
                self.failures = self.failures.saturating_add(1);
                self.last_failure = Some(why.clone());
                let from = Self::retried_from(*at, now);
                self.phase = Phase::Waiting { from };
            }
            Outcome::Dead { why } => {
                self.failures = self.failures.saturating_add(1);
                self.last_failure = Some(why.clone());
                self.phase = Phase::Dead;
            }
        }
    }

    /// Puts it back to the reapers, its failures forgotten.
    pub fn requeue(&mut self, now: Timestamp) {
        self.failures = 0;
        self.unsettled = 0;
        self.phase = Phase::Waiting { from: now };
    }
}

/// A session that ended: its whole last record, and its tombstone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ended {
    /// The record as it was last.
    pub record: Record,
    /// Why and when it ended, and where the tombstone stands.
    pub tombstone: Tombstone,
}

impl Ended {
    /// The right to settle this claim.
    pub fn ticket(&self) -> Ticket {
        Ticket {
            id: self.record.id,
            claim: self.tombstone.claims,
        }
    }
}

/// The right to settle or renew one claim of one tombstone; good until somebody else
/// claims it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Ticket {
    /// Whose tombstone.
    pub id: SessionId,
    /// Which claim of it: the fencing number.
    pub claim: u32,
}

/// How an attempt at an end hook came out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// The hook succeeded: the tombstone goes.
    Done,
    /// The hook was not begun: the tombstone may be claimed again at once, and neither a
    /// failure nor this claim is counted among the unsettled.
    Release,
    /// The hook failed and is to be tried again.
    Retry {
        /// From when; at most [`Tombstone::LONGEST_WAIT`] from now.
        at: Timestamp,
        /// What it said.
        why: Failure,
    },
    /// The hook failed as often as allowed: the tombstone becomes a dead letter.
    Dead {
        /// What it said.
        why: Failure,
    },
}

/// What a failed hook said, for operators to read: at most 512 bytes, without NUL.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure(Box<str>);

impl Failure {
    /// The longest text, in bytes.
    pub const MAX: usize = 512;

    /// The text, cut to its limit at a character's boundary, NUL replaced.
    pub fn new(text: &str) -> Self {
        let text = text.replace('\0', "\u{fffd}");
        Self(text[..text.floor_char_boundary(Self::MAX)].into())
    }

    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}
