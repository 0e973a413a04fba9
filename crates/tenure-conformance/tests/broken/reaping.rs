//! Faults of claiming, settling, purging and resolving.

use std::cmp::Reverse;
use std::time::Duration;

use tenure_store::{
    After, Claimed, EndReason, Error, ErrorKind, Failure, Hooks, Outcome, Phase, Purged, Record,
    Resolve, Result, SessionId, State, Ticket, Tombstone,
};

use crate::call::Call;
use crate::faults::Fault;

/// `first` are the records with which sessions were created.
pub(crate) async fn claim(
    call: &Call<'_>,
    first: Vec<Record>,
    lease: Duration,
    limit: u32,
) -> Result<Claimed> {
    let lease = match call.fault {
        Fault::LeaseNeverLapses => Duration::MAX,
        _ => lease,
    };
    match call.fault {
        Fault::NewestFirst => return newest_first(call, lease, limit).await,
        Fault::BelievesAnyClock => return all_but_put_off(call, lease, limit).await,
        Fault::ClaimsTheHeld => release_all(call).await?,
        Fault::ClaimsTheUsed => {
            for unused in first.iter().filter(|record| !record.is_live(call.now)) {
                let reason = EndReason::IdleTimeout;
                call.end(unused.id, reason, After::Queue).await?;
            }
        }
        _ => {}
    }
    let mut claimed = match call.good.claim(&call.ns, lease, limit, call.now).await {
        Err(error) if call.fault == Fault::ClaimsUnopened && is_unopened(&error) => Claimed {
            ended: Vec::new(),
            more: false,
            hooks_expected: false,
            next_due: None,
        },
        claimed => claimed?,
    };
    claimed.hooks_expected |= call.fault == Fault::ClaimHidesTheWord;
    for ended in &mut claimed.ended {
        match call.fault {
            Fault::ForgetsAttempts => ended.tombstone.claims = 1,
            Fault::EndsWhenReaped => ended.tombstone.end.at = call.now,
            _ => {}
        }
    }
    claimed.more &= call.fault != Fault::NeverMore;
    Ok(claimed)
}

pub(crate) async fn settle(call: &Call<'_>, outcomes: &[(Ticket, Outcome)]) -> Result<u64> {
    let mut outcomes = outcomes.to_vec();
    for (ticket, outcome) in &mut outcomes {
        match (call.fault, &outcome) {
            (Fault::IgnoresTheTicket, _) => ticket.claim = call.latest_claim(ticket.id).await?,
            (Fault::DropsDeadLetters, Outcome::Dead { .. }) => *outcome = Outcome::Done,
            (Fault::RetriesAtOnce, Outcome::Retry { why, .. }) => {
                let (at, why) = (call.now, why.clone());
                *outcome = Outcome::Retry { at, why };
            }
            (Fault::ReleaseFails, Outcome::Release) => {
                let (at, why) = (call.now, Failure::new("released"));
                *outcome = Outcome::Retry { at, why };
            }
            _ => {}
        }
    }
    if call.fault == Fault::LastOutcomeCounts {
        outcomes.reverse();
    }
    call.good.settle(&call.ns, &outcomes, call.now).await
}

pub(crate) async fn purge(call: &Call<'_>, limit: u32) -> Result<Purged> {
    let (good, ns, now) = (call.good, &call.ns, call.now);
    if call.fault == Fault::PurgesTheHeld {
        release_all(call).await?;
    }
    let mut purged = match good.purge(ns, limit, now).await {
        Err(error)
            if call.fault == Fault::PurgesDespiteHooks
                && error.kind() == ErrorKind::Misconfigured =>
        {
            good.open(ns, Hooks::Withdrawn).await?;
            let purged = good.purge(ns, limit, now).await;
            good.open(ns, Hooks::Expected).await?;
            purged?
        }
        Err(error) if call.fault == Fault::PurgesUnopened && is_unopened(&error) => Purged {
            removed: 0,
            more: false,
            next_due: None,
        },
        purged => purged?,
    };
    if call.fault == Fault::PurgesDeadLetters {
        for (id, tombstone) in call.tombstones().await? {
            if tombstone.phase == Phase::Dead {
                call.remove(id).await?;
                purged.removed += 1;
            }
        }
    }
    Ok(purged)
}

pub(crate) async fn resolve(call: &Call<'_>, id: SessionId, what: Resolve) -> Result<bool> {
    if call.fault == Fault::ResolvesTheHeld {
        call.settle(id, Outcome::Release).await?;
    }
    let before = call.inspect(id).await?;
    let resolved = call.good.resolve(&call.ns, id, what, call.now).await?;
    if let Some(entry) = before
        && let State::Ended(mut tombstone) = entry.state
        && (call.fault, what, resolved) == (Fault::RequeueKeepsFailures, Resolve::Requeue, true)
    {
        tombstone.phase = Phase::Waiting { from: call.now };
        call.replace(entry.record, tombstone).await?;
    }
    Ok(resolved)
}

fn is_unopened(error: &Error) -> bool {
    error.kind() == ErrorKind::NotOpened
}

async fn release_all(call: &Call<'_>) -> Result<()> {
    for (id, _) in call.tombstones().await? {
        call.settle(id, Outcome::Release).await?;
    }
    Ok(())
}

/// Claims everything, keeps what is due last, and puts the rest back as it was.
async fn newest_first(call: &Call<'_>, lease: Duration, limit: u32) -> Result<Claimed> {
    let tombstones = call.tombstones().await?;
    let was = |id: SessionId| tombstones.iter().find(|(of, _)| *of == id).map(|(_, t)| t);
    let enough = if limit == 0 { 0 } else { u32::MAX };
    let mut claimed = call.good.claim(&call.ns, lease, enough, call.now).await?;
    claimed.ended.sort_by_key(|ended| {
        let due = was(ended.record.id).and_then(Tombstone::due);
        Reverse(due.unwrap_or(ended.tombstone.end.at))
    });
    let keep = claimed.ended.len().min(limit as usize);
    let rest = claimed.ended.split_off(keep);
    claimed.more = !rest.is_empty();
    for ended in rest {
        let end = ended.tombstone.end;
        let tombstone = was(ended.record.id).cloned();
        let tombstone = tombstone.unwrap_or_else(|| Tombstone::new(end));
        call.replace(ended.record, tombstone).await?;
    }
    Ok(claimed)
}

/// Puts back what was put off for longer than any right clock does.
async fn all_but_put_off(call: &Call<'_>, lease: Duration, limit: u32) -> Result<Claimed> {
    let mut tombstones = call.tombstones().await?;
    let horizon = Tombstone::horizon(call.now);
    tombstones.retain(|(_, tombstone)| tombstone.due().is_some_and(|due| due > horizon));
    let mut claimed = call.good.claim(&call.ns, lease, limit, call.now).await?;
    for (id, tombstone) in tombstones {
        if let Some(place) = claimed.ended.iter().position(|ended| ended.record.id == id) {
            let ended = claimed.ended.remove(place);
            call.replace(ended.record, tombstone).await?;
        }
    }
    Ok(claimed)
}
