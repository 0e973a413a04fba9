//! What reapers and operators do to what ended.
//!
//! Whoever reaps goes through the shards' queues as if they were one, earliest first,
//! and locks a shard for a few sessions at a time. With nothing due that is a look at the
//! head of each queue, however many sessions are live.

use std::collections::HashSet;
use std::time::Duration;

use tenure_store::{
    Claimed, Outcome, Phase, Purged, Resolve, SessionId, Ticket, Timestamp, Tombstone,
};

use crate::epoch::Resets;
use crate::merge::Merge;
use crate::queue::Taking;
use crate::record::Session;
use crate::shard::Shard;
use crate::space::Space;
use crate::time::OrNever;

/// For how many sessions a reaper locks a shard at most: enough that the lock costs them
/// little, and so few that requests hardly wait.
const RUN: u32 = 32;

impl Space {
    pub(crate) fn claim(&self, lease: Duration, limit: u32, now: Timestamp) -> Claimed {
        let mut ended = Vec::new();
        let next = self.sweep(Taking::Due, limit, now, |shard, id, resets| {
            let claimed = shard.change(id, |session| {
                session.ripen(resets, now)?.claim(lease, now);
                session.ended()
            });
            ended.extend(claimed.flatten());
        });
        Claimed {
            ended,
            more: next.has_come(now),
            hooks_expected: self.expects_hooks(),
            next_due: next.instant(),
        }
    }

    pub(crate) fn purge(&self, limit: u32, now: Timestamp) -> Purged {
        let mut removed = 0;
        let next = self.sweep(Taking::Unheld, limit, now, |shard, id, resets| {
            if shard
                .get(id)
                .is_some_and(|session| session.is_ripe(resets, now))
            {
                shard.remove(id);
                removed += 1;
            } else {
                shard.change(id, |session| session.ripen(resets, now).is_some());
            }
        });
        Purged {
            removed,
            more: next.has_come(now),
            next_due: next.instant(),
        }
    }

    /// Looks at the first `limit` sessions and tombstones that are to be taken, each
    /// under its shard's lock and none twice; says from when the next one is.
    fn sweep(
        &self,
        taking: Taking,
        limit: u32,
        now: Timestamp,
        mut visit: impl FnMut(&mut Shard, SessionId, &Resets),
    ) -> OrNever {
        let resets = self.epochs.resets();
        // What a lease of no length left as due as it was.
        let mut seen = HashSet::new();
        let first = |shard: &Shard, seen: &HashSet<SessionId>| {
            shard.queues().first(taking, &resets, now, seen)
        };
        let heads = self.shards().map(|shard| Some(first(&shard, &seen)?.0));
        let mut heads = Merge::new(heads);
        let mut left = limit;
        while left > 0 && heads.first().is_some_and(|due| due.has_come(now)) {
            let Some((_, number)) = heads.pop() else {
                break;
            };
            let elsewhere = heads.first().copied().unwrap_or(OrNever::NEVER);
            let run = left.min(RUN);
            let mut visited = 0;
            let mut shard = self.shard(number);
            // Asked again: somebody else may have been here since.
            let next = loop {
                let next = first(&shard, &seen);
                let Some((due, id)) = next else {
                    break None;
                };
                if visited == run || !due.has_come(now) || due > elsewhere {
                    break Some(due);
                }
                visit(&mut shard, id, &resets);
                visited += 1;
                let place = shard.get(id).and_then(Session::place);
                if place.is_some_and(|place| place.due.has_come(now)) {
                    seen.insert(id);
                }
            };
            left -= visited;
            heads.push(next, number);
        }
        if !resets.is_empty() {
            self.forget_epochs();
        }
        heads.first().copied().unwrap_or(OrNever::NEVER)
    }

    pub(crate) fn renew(&self, tickets: &[Ticket], lease: Duration, now: Timestamp) -> u64 {
        let until = Tombstone::held_until(lease, now);
        let renewed = tickets.iter().filter(|ticket| {
            let mut shard = self.shard_of(ticket.id);
            redeem(&mut shard, **ticket, |tombstone| {
                tombstone.phase = Phase::Held { until };
            })
        });
        renewed.count() as u64
    }

    pub(crate) fn settle(&self, outcomes: &[(Ticket, Outcome)], now: Timestamp) -> u64 {
        let settled = outcomes.iter().filter(|(ticket, outcome)| {
            let mut shard = self.shard_of(ticket.id);
            let good = redeem(&mut shard, *ticket, |tombstone| {
                tombstone.settle(outcome, now);
            });
            if good && *outcome == Outcome::Done {
                shard.remove(ticket.id);
            }
            good
        });
        settled.count() as u64
    }

    pub(crate) fn resolve(&self, id: SessionId, what: Resolve, now: Timestamp) -> bool {
        let mut shard = self.shard_of(id);
        let tombstone = shard.get(id).and_then(|session| session.tombstone());
        if tombstone.is_none_or(|tombstone| tombstone.is_held(now)) {
            return false;
        }
        match what {
            Resolve::Discard => shard.remove(id).is_some(),
            Resolve::Requeue => shard
                .change(id, |session| {
                    let tombstone = session.tombstone_mut();
                    tombstone.map(|tombstone| tombstone.requeue(now))
                })
                .is_some(),
        }
    }
}

/// Does something to a tombstone, if the ticket is good; says whether it is.
fn redeem(shard: &mut Shard, ticket: Ticket, work: impl FnOnce(&mut Tombstone)) -> bool {
    let done = shard.change(ticket.id, |session| {
        let tombstone = session.tombstone_mut()?;
        tombstone.is_claimed_by(ticket).then(|| work(tombstone))
    });
    done.flatten().is_some()
}
