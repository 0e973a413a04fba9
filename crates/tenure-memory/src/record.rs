//! How a session lies in memory: a record in few bytes, and what became of it.
//!
//! What a record's times mean and what a change does to it is the contract's business:
//! it is unpacked for every question and every change, which costs no more than moving
//! it.

use std::mem;

use tenure_store::{
    Cursor, End, Ended, Entry, Payload, Phase, Principal, Record, Rotation, SessionId, State,
    Timestamp, Tombstone, Version,
};

use crate::epoch::Resets;
use crate::queue::{Place, Queue};
use crate::time::OrNever;

/// A session.
pub(crate) struct Session {
    id: SessionId,
    created: Timestamp,
    last_access: Timestamp,
    accesses: u64,
    idle_timeout: OrNever,
    lifetime: OrNever,
    leaves_at: OrNever,
    previous_until: OrNever,
    principal: Option<Principal>,
    version: Version,
    payload: Box<[u8]>,
    rotation: u32,
    epoch: u32,
    /// Where its epoch's queue has it: it does not run out before.
    due: OrNever,
    tombstone: Option<Box<Tombstone>>,
}

impl Session {
    /// A session of this record, of no epoch yet.
    pub(crate) fn new(record: &Record) -> Self {
        Self {
            due: record.expires_at().into(),
            ..Self::pack(record, record.principal.clone(), copy(&record.payload))
        }
    }

    /// A session as it was in another store. What was over there is ended here.
    pub(crate) fn imported(entry: &Entry) -> Self {
        let tombstone = match &entry.state {
            State::Live => None,
            State::Over(end) => Some(Tombstone::new(*end)),
            State::Ended(tombstone) => Some(tombstone.clone()),
        };
        Self {
            tombstone: tombstone.map(Box::new),
            ..Self::new(&entry.record)
        }
    }

    pub(crate) fn rotation(&self) -> u32 {
        self.rotation
    }

    pub(crate) fn id(&self) -> SessionId {
        self.id
    }

    /// Born in this epoch.
    pub(crate) fn set_epoch(&mut self, epoch: u32) {
        self.epoch = epoch;
    }

    pub(crate) fn version(&self) -> Version {
        self.version
    }

    pub(crate) fn principal(&self) -> Option<&Principal> {
        self.principal.as_ref()
    }

    pub(crate) fn tombstone(&self) -> Option<&Tombstone> {
        self.tombstone.as_deref()
    }

    pub(crate) fn tombstone_mut(&mut self) -> Option<&mut Tombstone> {
        self.tombstone.as_deref_mut()
    }

    pub(crate) fn cursor(&self) -> Cursor {
        Cursor {
            created: self.created,
            id: self.id,
        }
    }

    /// Where the queues have it; nowhere if it is a dead letter.
    pub(crate) fn place(&self) -> Option<Place> {
        let Some(tombstone) = self.tombstone() else {
            return Some(Place {
                queue: Queue::Open(self.epoch),
                due: self.due,
            });
        };
        let queue = match tombstone.phase {
            Phase::Held { .. } => Queue::Held,
            Phase::Waiting { .. } | Phase::Dead => Queue::Waiting,
        };
        tombstone.due().map(|due| Place {
            queue,
            due: due.into(),
        })
    }

    /// The whole record.
    pub(crate) fn record(&self) -> Record {
        Record {
            principal: self.principal.clone(),
            payload: Payload::new(self.payload.to_vec()),
            ..self.outline()
        }
    }

    /// The record, without principal and payload.
    pub(crate) fn outline(&self) -> Record {
        Record {
            id: self.id,
            created: self.created,
            last_access: self.last_access,
            accesses: self.accesses,
            idle_timeout: self.idle_timeout.span(),
            lifetime: self.lifetime.span(),
            leaves_at: self.leaves_at.instant(),
            principal: None,
            rotation: Rotation::new(self.rotation, self.previous_until.instant())
                .expect("the number came out of a rotation"),
            version: self.version,
            payload: Payload::default(),
        }
    }

    /// Whether it is live, in a namespace whose present epoch is this one. Before it is
    /// due its times need not be asked.
    pub(crate) fn is_live(&self, epoch: u32, now: Timestamp) -> bool {
        self.tombstone.is_none()
            && self.epoch == epoch
            && (!self.due.has_come(now) || self.outline().is_live(now))
    }

    /// What became of it.
    pub(crate) fn state(&self, resets: &Resets, now: Timestamp) -> State {
        if let Some(tombstone) = self.tombstone() {
            return State::Ended(tombstone.clone());
        }
        self.over(resets, now).map_or(State::Live, State::Over)
    }

    /// The record and the tombstone of a session that has ended.
    pub(crate) fn ended(&self) -> Option<Ended> {
        let tombstone = self.tombstone()?.clone();
        Some(Ended {
            record: self.record(),
            tombstone,
        })
    }

    /// Notes an access: nothing but this changes.
    pub(crate) fn access(&mut self, now: Timestamp) {
        let mut record = self.outline();
        record.access(now);
        self.last_access = record.last_access;
        self.accesses = record.accesses;
        self.leaves_at = record.leaves_at.into();
    }

    /// Changes the record, and its payload if there is another. What makes it end sooner
    /// moves it forward in its queue.
    pub(crate) fn edit(&mut self, payload: Option<Box<[u8]>>, change: impl FnOnce(&mut Record)) {
        let mut record = Record {
            principal: self.principal.take(),
            ..self.outline()
        };
        change(&mut record);
        let principal = record.principal.take();
        let payload = payload.unwrap_or_else(|| mem::take(&mut self.payload));
        *self = Self {
            due: self.due.min(record.expires_at().into()),
            epoch: self.epoch,
            tombstone: self.tombstone.take(),
            ..Self::pack(&record, principal, payload)
        };
    }

    /// Ends it.
    pub(crate) fn end(&mut self, end: End) -> &mut Tombstone {
        self.tombstone.insert(Box::new(Tombstone::new(end)))
    }

    /// What a reaper does who gets to it: its tombstone, made now if it is over. A
    /// session that was used meanwhile has none, and moves back in its queue.
    pub(crate) fn ripen(&mut self, resets: &Resets, now: Timestamp) -> Option<&mut Tombstone> {
        if self.tombstone.is_none() {
            match self.over(resets, now) {
                Some(end) => return Some(self.end(end)),
                None => self.due = self.outline().expires_at().into(),
            }
        }
        self.tombstone_mut()
    }

    /// Whether a reaper who gets to it takes it, as it has ended or is over.
    pub(crate) fn is_ripe(&self, resets: &Resets, now: Timestamp) -> bool {
        self.tombstone.is_some() || self.over(resets, now).is_some()
    }

    fn over(&self, resets: &Resets, now: Timestamp) -> Option<End> {
        let reset = resets.get(&self.epoch).copied();
        self.outline().end_by(reset, now)
    }

    /// A session without epoch, due time and tombstone.
    fn pack(record: &Record, principal: Option<Principal>, payload: Box<[u8]>) -> Self {
        Self {
            id: record.id,
            created: record.created,
            last_access: record.last_access,
            accesses: record.accesses,
            idle_timeout: record.idle_timeout.into(),
            lifetime: record.lifetime.into(),
            leaves_at: record.leaves_at.into(),
            previous_until: record.rotation.previous_until().into(),
            principal,
            version: record.version,
            payload,
            rotation: record.rotation.number(),
            epoch: 0,
            due: OrNever::NEVER,
            tombstone: None,
        }
    }
}

/// A payload's bytes: the payload itself may be a small piece of a large buffer, which would
/// be kept with it.
pub(crate) fn copy(payload: &Payload) -> Box<[u8]> {
    payload.as_bytes().into()
}
