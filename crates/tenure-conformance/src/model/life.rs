//! When a session is over and why, and how a tombstone moves.

use std::time::Duration;

use tenure_store::{End, EndReason, Outcome, Phase, Record, Status, Timeout, Timestamp, Tombstone};

use super::{Entry, State};

/// How a record runs out by its own times: the earliest cause, and of several at one
/// instant the one that stands first here.
pub(super) fn runs_out(record: &Record) -> Option<End> {
    let after = |start: Timestamp, span: Timeout| {
        Timestamp::from_millis_clamped(start.as_millis() + span.as_millis())
    };
    let causes = [
        (EndReason::Left, record.leaves_at),
        (
            EndReason::IdleTimeout,
            record.idle_timeout.map(|t| after(record.last_access, t)),
        ),
        (
            EndReason::Lifetime,
            record.lifetime.map(|t| after(record.created, t)),
        ),
    ];
    let mut earliest: Option<End> = None;
    for (reason, at) in causes {
        if let Some(at) = at
            && earliest.is_none_or(|end| at < end.at)
        {
            earliest = Some(End { reason, at });
        }
    }
    earliest
}

/// How a record that nobody ended is over at `now`, if it is.
pub(super) fn over(record: &Record, reset: Option<Timestamp>, now: Timestamp) -> Option<End> {
    match (runs_out(record), reset) {
        (Some(end), Some(reset)) if end.at <= reset => Some(end),
        (_, Some(at)) => Some(End {
            reason: EndReason::ApplicationReset,
            at,
        }),
        (Some(end), None) if end.at <= now => Some(end),
        _ => None,
    }
}

/// An access.
pub(super) fn used(record: &mut Record, now: Timestamp) {
    if record.last_access < now {
        record.last_access = now;
    }
    record.accesses += 1;
    record.leaves_at = None;
}

/// The tombstone of what has just ended.
pub(super) fn tombstone(end: End) -> Tombstone {
    Tombstone {
        end,
        phase: Phase::Waiting { from: end.at },
        claims: 0,
        failures: 0,
        unsettled: 0,
        last_failure: None,
    }
}

/// From when a tombstone may be claimed, if ever.
pub(super) fn due(tombstone: &Tombstone) -> Option<Timestamp> {
    match tombstone.phase {
        Phase::Waiting { from } => Some(from),
        Phase::Held { until } => Some(until),
        Phase::Dead => None,
    }
}

/// Beyond this no right clock lets a tombstone wait: an hour, and 30 s of skew.
fn believable(now: Timestamp) -> i64 {
    now.as_millis() + 3_630_000
}

/// Whether a tombstone may be claimed at `now`.
pub(super) fn is_due(tombstone: &Tombstone, now: Timestamp) -> bool {
    due(tombstone).is_some_and(|due| due <= now || due.as_millis() > believable(now))
}

/// Whether somebody holds it at `now`.
pub(super) fn is_held(tombstone: &Tombstone, now: Timestamp) -> bool {
    matches!(tombstone.phase, Phase::Held { .. }) && !is_due(tombstone, now)
}

/// One more claim, for the length of a lease.
pub(super) fn hold(tombstone: &mut Tombstone, lease: Duration, now: Timestamp) {
    tombstone.claims += 1;
    tombstone.unsettled += 1;
    tombstone.phase = Phase::Held {
        until: leased(lease, now),
    };
}

/// The end of a lease: an hour is the longest.
pub(super) fn leased(lease: Duration, now: Timestamp) -> Timestamp {
    let millis = i64::try_from(lease.as_millis()).unwrap_or(i64::MAX);
    Timestamp::from_millis_clamped(now.as_millis() + millis.min(3_600_000))
}

/// Whether the ticket of this claim is still good.
pub(super) fn answers_to(tombstone: &Tombstone, claim: u32) -> bool {
    matches!(tombstone.phase, Phase::Held { .. }) && tombstone.claims == claim
}

/// What an outcome makes of a held tombstone; `None` if nothing is left of it.
pub(super) fn settled(held: &Tombstone, outcome: &Outcome, now: Timestamp) -> Option<Tombstone> {
    let (phase, failed) = match outcome {
        Outcome::Done => return None,
        Outcome::Release => (Phase::Waiting { from: now }, None),
        Outcome::Retry { at, why } => {
            let from = (*at).min(leased(Duration::MAX, now));
            (Phase::Waiting { from }, Some(why))
        }
        Outcome::Dead { why } => (Phase::Dead, Some(why)),
    };
    Some(Tombstone {
        phase,
        failures: held.failures + u32::from(failed.is_some()),
        unsettled: held.unsettled.saturating_sub(1),
        last_failure: failed.or(held.last_failure.as_ref()).cloned(),
        ..held.clone()
    })
}

/// Where an entry stands at `now`.
pub(super) fn status(entry: &Entry, now: Timestamp) -> Status {
    match &entry.state {
        State::Live => Status::Live,
        State::Over(_) => Status::Over,
        State::Ended(tombstone) => match tombstone.phase {
            Phase::Dead => Status::Dead,
            Phase::Held { .. } if is_held(tombstone, now) => Status::Held,
            Phase::Held { .. } | Phase::Waiting { .. } => Status::Waiting,
        },
    }
}
