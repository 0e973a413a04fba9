//! A complete store: one mutex, one map. It is slow, forgets everything with its
//! process, and shows what each operation means.

#[path = "room.rs"]
mod room;

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use tenure_store::{
    After, Change, Claimed, Counts, Created, Description, EndReason, Ended, Entry, Epoch, Error,
    ErrorKind, Filter, Hooks, Imported, Namespace, Outcome, Page, Payload, Principal, Purged,
    Record, Resolve, Result, SessionId, SessionStore, State, Ticket, Timestamp, Updated, Version,
};

use room::Room;

/// The largest payload it takes: 1 MiB.
const PAYLOAD_LIMIT: usize = 1 << 20;

/// A store in one map.
#[derive(Debug, Default)]
pub(crate) struct OneMap {
    house: Mutex<House>,
}

#[derive(Debug, Default)]
struct House {
    closed: bool,
    rooms: BTreeMap<Namespace, Room>,
}

impl OneMap {
    fn house(&self) -> Result<MutexGuard<'_, House>> {
        // Nothing panics while it holds the lock, so there is no poison to heed.
        let house = self.house.lock().unwrap_or_else(PoisonError::into_inner);
        if house.closed {
            return Err(Error::unavailable("the store is closed"));
        }
        Ok(house)
    }

    /// Does something in a namespace; in an unknown one it finds nothing.
    fn inside<T>(&self, ns: &Namespace, action: impl FnOnce(&mut Room) -> T) -> Result<T> {
        let mut house = self.house()?;
        Ok(match house.rooms.get_mut(ns) {
            Some(room) => action(room),
            None => action(&mut Room::default()),
        })
    }

    /// Does something in a namespace that must be known.
    fn inside_known<T>(&self, ns: &Namespace, action: impl FnOnce(&mut Room) -> T) -> Result<T> {
        let mut house = self.house()?;
        let room = house.rooms.get_mut(ns);
        Ok(action(room.ok_or_else(|| Error::not_opened(ns))?))
    }
}

#[async_trait]
impl SessionStore for OneMap {
    async fn open(&self, ns: &Namespace, hooks: Hooks) -> Result<()> {
        let mut house = self.house()?;
        house.rooms.entry(ns.clone()).or_default().open(hooks);
        Ok(())
    }

    async fn create(&self, ns: &Namespace, record: &Record, _now: Timestamp) -> Result<Created> {
        fits(&record.payload)?;
        self.inside_known(ns, |room| room.create(record.clone()))
    }

    async fn load(&self, ns: &Namespace, id: SessionId, now: Timestamp) -> Result<Option<Record>> {
        self.inside(ns, |room| room.live(id, now).cloned())
    }

    async fn touch(&self, ns: &Namespace, id: SessionId, now: Timestamp) -> Result<bool> {
        self.inside(ns, |room| {
            room.live(id, now)
                .map(|record| record.access(now))
                .is_some()
        })
    }

    async fn update(
        &self,
        ns: &Namespace,
        id: SessionId,
        expected: Version,
        change: &Change,
        now: Timestamp,
    ) -> Result<Updated> {
        change.payload.as_ref().map_or(Ok(()), fits)?;
        self.inside(ns, |room| room.update(id, expected, change, now))?
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
        self.inside(ns, |room| room.end(id, rotation, reason, after, now))
    }

    async fn end_principal(
        &self,
        ns: &Namespace,
        principal: &Principal,
        except: Option<SessionId>,
        after: After,
        now: Timestamp,
    ) -> Result<u64> {
        if let After::Hold(_) = after {
            return Err(Error::invalid("nobody can hold the ends of many"));
        }
        self.inside(ns, |room| room.end_principal(principal, except, after, now))
    }

    async fn reset(&self, ns: &Namespace, now: Timestamp) -> Result<()> {
        self.inside_known(ns, |room| room.reset(now))
    }

    async fn claim(
        &self,
        ns: &Namespace,
        lease: Duration,
        limit: u32,
        now: Timestamp,
    ) -> Result<Claimed> {
        let limit = at_least_one(limit)?;
        self.inside_known(ns, |room| room.claim(lease, limit, now))
    }

    async fn renew(
        &self,
        ns: &Namespace,
        tickets: &[Ticket],
        lease: Duration,
        now: Timestamp,
    ) -> Result<u64> {
        self.inside(ns, |room| room.renew(tickets, lease, now))
    }

    async fn settle(
        &self,
        ns: &Namespace,
        outcomes: &[(Ticket, Outcome)],
        now: Timestamp,
    ) -> Result<u64> {
        self.inside(ns, |room| room.settle(outcomes, now))
    }

    async fn purge(&self, ns: &Namespace, limit: u32, now: Timestamp) -> Result<Purged> {
        let limit = at_least_one(limit)?;
        self.inside_known(ns, |room| room.purge(limit, now))?
    }

    async fn inspect(
        &self,
        ns: &Namespace,
        id: SessionId,
        now: Timestamp,
    ) -> Result<Option<Entry>> {
        self.inside(ns, |room| {
            room.entries(now).find(|entry| entry.record.id == id)
        })
    }

    async fn list(&self, ns: &Namespace, filter: &Filter, now: Timestamp) -> Result<Page> {
        let limit = at_least_one(filter.limit)?;
        self.inside(ns, |room| room.page(filter, limit, now))
    }

    async fn count(&self, ns: &Namespace, now: Timestamp) -> Result<Counts> {
        self.inside(ns, |room| {
            let mut counts = Counts::default();
            room.entries(now).for_each(|entry| counts.add(&entry, now));
            counts
        })
    }

    async fn namespaces(&self) -> Result<Vec<Namespace>> {
        Ok(self.house()?.rooms.keys().cloned().collect())
    }

    async fn resolve(
        &self,
        ns: &Namespace,
        id: SessionId,
        what: Resolve,
        now: Timestamp,
    ) -> Result<bool> {
        self.inside(ns, |room| room.resolve(id, what, now))
    }

    async fn epoch(&self, ns: &Namespace, _id: SessionId) -> Result<Epoch> {
        self.inside_known(ns, |room| room.epoch())
    }

    async fn import(
        &self,
        ns: &Namespace,
        entry: &Entry,
        epoch: Epoch,
        _now: Timestamp,
    ) -> Result<Imported> {
        fits(&entry.record.payload)?;
        countable(entry)?;
        self.inside_known(ns, |room| room.import(entry, epoch))
    }

    async fn describe(&self, _now: Timestamp) -> Result<Description> {
        let _open = self.house()?;
        let version = env!("CARGO_PKG_VERSION");
        Ok(Description::new("one-map", version, PAYLOAD_LIMIT))
    }

    async fn close(&self) -> Result<()> {
        // Every operation was complete when it returned: there is nothing to finish.
        if let Ok(mut house) = self.house() {
            house.closed = true;
        }
        Ok(())
    }
}

fn fits(payload: &Payload) -> Result<()> {
    if payload.len() > PAYLOAD_LIMIT {
        let message = "a payload has at most 1 MiB";
        return Err(Error::new(ErrorKind::TooLarge, message));
    }
    Ok(())
}

/// Counters that every store can hold, and that go on counting.
fn countable(entry: &Entry) -> Result<()> {
    let counters = match &entry.state {
        State::Live | State::Over(_) => [0; 3],
        State::Ended(tombstone) => [tombstone.claims, tombstone.failures, tombstone.unsettled],
    };
    let most = i32::MAX.unsigned_abs();
    if entry.record.accesses > 1 << 53 || counters.into_iter().any(|counter| counter > most) {
        let message = "at most 2^53 accesses, and 2^31 - 1 of a tombstone's counters";
        return Err(Error::invalid(message));
    }
    Ok(())
}

fn at_least_one(limit: u32) -> Result<usize> {
    if limit == 0 {
        return Err(Error::invalid("a limit is at least 1"));
    }
    Ok(usize::try_from(limit).unwrap_or(usize::MAX))
}
