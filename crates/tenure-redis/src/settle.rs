//! Tombstones after their claim: leases prolonged, attempts settled, operators' decisions.

use std::collections::{BTreeMap, HashSet};
use std::time::Duration;

use tenure_store::{
    Claimed, Failure, Namespace, Outcome, Resolve, Result, SessionId, Ticket, Timestamp, Tombstone,
};

use crate::answer;
use crate::keys::{self, Key};
use crate::scripts::{RENEW, RESOLVE, SETTLE};
use crate::store::Core;

/// How many tickets one script takes, so that others get their turn.
const STEP: usize = 500;

/// Lets leases run from now; says how many.
pub(crate) async fn renew(
    core: &Core,
    ns: &Namespace,
    tickets: &[Ticket],
    lease: Duration,
    now: Timestamp,
) -> Result<u64> {
    let until = Tombstone::held_until(lease, now).as_millis();
    let tickets = tickets.iter().map(|ticket| (ticket.id, *ticket));
    let calls = by_shard(tickets).into_iter().map(|tickets| {
        let records = tickets.iter().map(|ticket| Key::Record(ticket.id));
        let shard = core.shard(ns, tickets[0].id);
        let mut call = RENEW
            .on(&shard, [Key::Held].into_iter().chain(records))
            .arg(until);
        for ticket in &tickets {
            call = call.arg(ticket.id.as_bytes()).arg(ticket.claim);
        }
        call.bulk()
    });
    let renewed = core.servers.ask_all(calls).await?;
    renewed.iter().map(answer::count).sum()
}

/// Says how attempts came out, the first for each ticket; says how many tickets were good.
pub(crate) async fn settle(
    core: &Core,
    ns: &Namespace,
    outcomes: &[(Ticket, Outcome)],
    now: Timestamp,
) -> Result<u64> {
    let mut seen = HashSet::new();
    let first = outcomes.iter().filter(|(ticket, _)| seen.insert(*ticket));
    let first = first.map(|outcome| (outcome.0.id, outcome));
    let calls = by_shard(first).into_iter().map(|outcomes| {
        let keys = [
            Key::Waiting,
            Key::Held,
            Key::Dead,
            Key::Created,
            Key::Principals,
        ];
        let records = outcomes.iter().map(|(ticket, _)| Key::Record(ticket.id));
        let shard = core.shard(ns, outcomes[0].0.id);
        let mut call = SETTLE.on(&shard, keys.into_iter().chain(records));
        for (ticket, outcome) in outcomes {
            let (code, due, said) = written(outcome, now);
            call = call
                .arg(ticket.id.as_bytes())
                .arg(ticket.claim)
                .arg(code)
                .arg(due.as_millis())
                .arg(said.map_or("", Failure::as_str));
        }
        call.bulk()
    });
    let settled = core.servers.ask_all(calls).await?;
    settled.iter().map(answer::count).sum()
}

/// Gives back what was claimed for a reaper that has gone.
pub(crate) async fn give_back(
    core: &Core,
    ns: &Namespace,
    claimed: &Claimed,
    now: Timestamp,
) -> Result<()> {
    let released = claimed.ended.iter();
    let released: Vec<_> = released
        .map(|ended| (ended.ticket(), Outcome::Release))
        .collect();
    settle(core, ns, &released, now).await.map(drop)
}

/// Carries out an operator's decision on what nobody holds.
pub(crate) async fn resolve(
    core: &Core,
    ns: &Namespace,
    id: SessionId,
    what: Resolve,
    now: Timestamp,
) -> Result<bool> {
    let keys = [
        Key::Record(id),
        Key::Waiting,
        Key::Held,
        Key::Dead,
        Key::Created,
        Key::Principals,
    ];
    let requeue = match what {
        Resolve::Requeue => 1,
        Resolve::Discard => 0,
    };
    let resolving = RESOLVE
        .on(&core.shard(ns, id), keys)
        .arg(id.as_bytes())
        .arg(now.as_millis())
        .arg(requeue);
    Ok(answer::number(&core.servers.ask(resolving).await?)? == 1)
}

/// What belongs together on one shard, in steps.
fn by_shard<T>(items: impl Iterator<Item = (SessionId, T)>) -> Vec<Vec<T>> {
    let mut shards: BTreeMap<u8, Vec<Vec<T>>> = BTreeMap::new();
    for (id, item) in items {
        let steps = shards.entry(keys::number(id)).or_default();
        match steps.last_mut() {
            Some(step) if step.len() < STEP => step.push(item),
            _ => steps.push(vec![item]),
        }
    }
    shards.into_values().flatten().collect()
}

/// How an outcome is written: its code, when it is due again, what the hook said.
fn written(outcome: &Outcome, now: Timestamp) -> (u8, Timestamp, Option<&Failure>) {
    match outcome {
        Outcome::Done => (0, now, None),
        Outcome::Release => (1, now, None),
        Outcome::Retry { at, why } => (2, Tombstone::retried_from(*at, now), Some(why)),
        Outcome::Dead { why } => (3, now, Some(why)),
    }
}
