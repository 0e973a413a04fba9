//! The two stores under the contract: bring it over, then do it there.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use futures_util::future::try_join_all;
use tenure_store::{
    After, Change, Claimed, Counts, Created, Description, EndReason, Ended, Entry, Epoch, Excess,
    Filter, Hooks, Imported, Namespace, Outcome, Page, Principal, Purged, Record, Resolve, Result,
    SessionId, SessionStore, State, Ticket, Timestamp, Updated, Version,
};

use super::carry::Drained;
use super::pair::{Pair, TOGETHER, to_the_end};
use crate::queue::Queues;

/// A store made of two: sessions live on while they move from the old one to the new.
///
/// A session moves when it is used, ended or due; [`copy`](crate::copy) moves the rest.
/// Nobody is logged out, nothing that ended comes back, each end hook runs once, and a
/// node that dies at any point loses nothing. When the old store is
/// [empty](crate::verify), the service can use the new one alone: see the guide
/// [moving to another backend](crate::guides::moving).
///
/// *Every* node that uses the old store has to use it through this, as long as one does:
/// to a node that knows the old store alone, a session that has moved is gone.
///
/// It keeps the whole contract. While the old store is away, what has arrived can still
/// be read and changed; creating and ending need both.
///
/// To be used inside a tokio runtime.
#[derive(Clone, Debug)]
pub struct MigratingStore {
    pair: Arc<Pair>,
}

impl MigratingStore {
    /// The two stores as one. They must not be the same data.
    pub fn new(old: Arc<dyn SessionStore>, new: Arc<dyn SessionStore>) -> Self {
        let queues = Queues::default();
        Self {
            pair: Arc::new(Pair { old, new, queues }),
        }
    }

    pub(super) fn pair(&self) -> &Arc<Pair> {
        &self.pair
    }

    async fn drain(&self, ns: &Namespace, limit: u32, now: Timestamp) -> Result<Drained> {
        let (pair, ns) = (Arc::clone(&self.pair), ns.clone());
        to_the_end(async move { pair.drain(&ns, limit, now).await }).await
    }
}

#[async_trait]
impl SessionStore for MigratingStore {
    /// `Misconfigured` if the new store takes smaller payloads than the old one: what it
    /// does not take could not move.
    async fn open(&self, ns: &Namespace, hooks: Hooks) -> Result<()> {
        self.pair.require_room().await?;
        self.pair.old.open(ns, hooks).await?;
        self.pair.new.open(ns, hooks).await
    }

    async fn create(&self, ns: &Namespace, record: &Record, now: Timestamp) -> Result<Created> {
        // Nothing is ever created in the old store: what it does not have, it will not.
        match self.pair.old.inspect(ns, record.id, now).await? {
            Some(_) => Ok(Created::Exists),
            None => self.pair.new.create(ns, record, now).await,
        }
    }

    async fn load(&self, ns: &Namespace, id: SessionId, now: Timestamp) -> Result<Option<Record>> {
        self.pair.load(ns, id, now).await
    }

    async fn touch(&self, ns: &Namespace, id: SessionId, now: Timestamp) -> Result<bool> {
        if self.pair.new.touch(ns, id, now).await? {
            return Ok(true);
        }
        self.pair.bring(ns, id, now).await?;
        self.pair.new.touch(ns, id, now).await
    }

    async fn update(
        &self,
        ns: &Namespace,
        id: SessionId,
        expected: Version,
        change: &Change,
        now: Timestamp,
    ) -> Result<Updated> {
        if let Ok(Some((principal, limit))) = change.limited() {
            self.pair.gather(ns, principal, now).await?;
            if limit.excess == Excess::EndOldest(After::Discard) {
                // This one may be theirs when the next log-in makes room.
                self.pair.bring(ns, id, now).await?;
                self.pair.sweep_of(ns, principal, now).await?;
            }
        }
        match self.pair.new.update(ns, id, expected, change, now).await? {
            Updated::Gone => {
                self.pair.bring(ns, id, now).await?;
                self.pair.new.update(ns, id, expected, change, now).await
            }
            updated => Ok(updated),
        }
    }

    async fn end(
        &self,
        ns: &Namespace,
        id: SessionId,
        rotation: Option<u32>,
        reason: EndReason,
        after: After,
        now: Timestamp,
    ) -> Result<Option<Ended>> {
        self.pair.bring(ns, id, now).await?;
        self.pair
            .new
            .end(ns, id, rotation, reason, after, now)
            .await
    }

    async fn end_principal(
        &self,
        ns: &Namespace,
        principal: &Principal,
        except: Option<SessionId>,
        after: After,
        now: Timestamp,
    ) -> Result<u64> {
        self.pair.gather(ns, principal, now).await?;
        if after == After::Discard {
            self.pair.sweep_of(ns, principal, now).await?;
        }
        let new = &self.pair.new;
        new.end_principal(ns, principal, except, after, now).await
    }

    /// Beside the writes of two resets, it reads the old store's tombstones.
    async fn reset(&self, ns: &Namespace, now: Timestamp) -> Result<()> {
        self.pair.old.reset(ns, now).await?;
        self.pair.finish_all(ns, now).await?;
        self.pair.new.reset(ns, now).await
    }

    async fn claim(
        &self,
        ns: &Namespace,
        lease: Duration,
        limit: u32,
        now: Timestamp,
    ) -> Result<Claimed> {
        let drained = self.drain(ns, limit, now).await?;
        let mut claimed = self.pair.new.claim(ns, lease, limit, now).await?;
        claimed.more |= drained.more;
        claimed.next_due = earlier(claimed.next_due, drained.next_due);
        Ok(claimed)
    }

    async fn renew(
        &self,
        ns: &Namespace,
        tickets: &[Ticket],
        lease: Duration,
        now: Timestamp,
    ) -> Result<u64> {
        self.pair.new.renew(ns, tickets, lease, now).await
    }

    async fn settle(
        &self,
        ns: &Namespace,
        outcomes: &[(Ticket, Outcome)],
        now: Timestamp,
    ) -> Result<u64> {
        let done = outcomes.iter().filter(|(_, how)| *how == Outcome::Done);
        let ids: Vec<SessionId> = done.map(|(ticket, _)| ticket.id).collect();
        for some in ids.chunks(TOGETHER) {
            try_join_all(some.iter().map(|id| self.pair.bring(ns, *id, now))).await?;
        }
        self.pair.new.settle(ns, outcomes, now).await
    }

    async fn purge(&self, ns: &Namespace, limit: u32, now: Timestamp) -> Result<Purged> {
        self.pair.sweep(ns, now).await?;
        // First there, as it may be refused: then nothing is due to move either.
        let mut purged = self.pair.new.purge(ns, limit, now).await?;
        let rest = u64::from(limit).saturating_sub(purged.removed);
        let rest = u32::try_from(rest).unwrap_or(limit);
        if rest == 0 {
            purged.more = true;
            purged.next_due = Some(Timestamp::MIN);
            return Ok(purged);
        }
        let drained = self.drain(ns, rest, now).await?;
        if drained.count > 0 {
            let then = self.pair.new.purge(ns, rest, now).await?;
            purged.removed += then.removed;
            purged.more = then.more;
            purged.next_due = then.next_due;
        }
        purged.more |= drained.more;
        purged.next_due = earlier(purged.next_due, drained.next_due);
        Ok(purged)
    }

    async fn inspect(
        &self,
        ns: &Namespace,
        id: SessionId,
        now: Timestamp,
    ) -> Result<Option<Entry>> {
        self.pair.inspect(ns, id, now).await
    }

    async fn list(&self, ns: &Namespace, filter: &Filter, now: Timestamp) -> Result<Page> {
        self.pair.list(ns, filter, now).await
    }

    async fn count(&self, ns: &Namespace, now: Timestamp) -> Result<Counts> {
        self.pair.count(ns, now).await
    }

    async fn namespaces(&self) -> Result<Vec<Namespace>> {
        self.pair.namespaces().await
    }

    async fn resolve(
        &self,
        ns: &Namespace,
        id: SessionId,
        what: Resolve,
        now: Timestamp,
    ) -> Result<bool> {
        let left = self.pair.bring(ns, id, now).await?;
        if let Some(State::Ended(_)) = left.map(|entry| entry.state)
            && self.pair.old.resolve(ns, id, what, now).await?
        {
            return Ok(true);
        }
        self.pair.new.resolve(ns, id, what, now).await
    }

    /// The new store's.
    async fn epoch(&self, ns: &Namespace, id: SessionId) -> Result<Epoch> {
        self.pair.new.epoch(ns, id).await
    }

    async fn import(
        &self,
        ns: &Namespace,
        entry: &Entry,
        epoch: Epoch,
        now: Timestamp,
    ) -> Result<Imported> {
        let id = entry.record.id;
        match self.pair.old.inspect(ns, id, now).await? {
            Some(_) => Ok(Imported::Exists),
            None => self.pair.new.import(ns, entry, epoch, now).await,
        }
    }

    async fn describe(&self, now: Timestamp) -> Result<Description> {
        self.pair.describe(now).await
    }

    async fn close(&self) -> Result<()> {
        let closed = self.pair.old.close().await;
        self.pair.new.close().await.and(closed)
    }
}

fn earlier(one: Option<Timestamp>, other: Option<Timestamp>) -> Option<Timestamp> {
    [one, other].into_iter().flatten().min()
}

#[cfg(test)]
mod tests {
    use tenure_memory::MemoryStore;
    use tenure_store::ErrorKind;

    use super::*;
    use crate::test_support::portal;

    #[tokio::test]
    async fn a_new_store_that_takes_less_is_refused() {
        let small = || Arc::new(MemoryStore::new().with_payload_limit(1_000));
        let large = || Arc::new(MemoryStore::new().with_payload_limit(1_001));
        let refused = MigratingStore::new(large(), small());
        let refused = refused.open(&portal(), Hooks::Unstated).await;
        let kind = refused.map_err(|error| error.kind());
        assert_eq!(kind, Err(ErrorKind::Misconfigured));
        for old in [small(), large()] {
            let taken = MigratingStore::new(old, large());
            assert!(taken.open(&portal(), Hooks::Unstated).await.is_ok());
        }
    }
}
