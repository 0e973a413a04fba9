//! A session is stored: a new one, or one that was in another store.

use rusqlite::params;
use tenure_store::{
    Epoch, Error, Failure, Imported, Namespace, Principal, Record, Result, SessionId, Timeout,
    Timestamp, Tombstone,
};

use crate::db::Db;
use crate::job::Operation;
use crate::payload;
use crate::row::{place, runs_out, this};

/// Stores a session if its id is free.
pub(crate) struct Create {
    pub(crate) ns: Namespace,
    pub(crate) record: Record,
    pub(crate) fate: Fate,
}

/// What is known of the session that is stored.
pub(crate) enum Fate {
    /// It may be live: it belongs to the namespace's present epoch, which has to be this
    /// one if it says which.
    Live(Option<Epoch>),
    /// It has ended.
    Ended(Tombstone),
}

impl Fate {
    pub(crate) fn tombstone(&self) -> Option<&Tombstone> {
        match self {
            Fate::Live(_) => None,
            Fate::Ended(tombstone) => Some(tombstone),
        }
    }

    fn epoch(&self) -> Option<Epoch> {
        match self {
            Fate::Live(epoch) => *epoch,
            Fate::Ended(_) => None,
        }
    }
}

impl Operation for Create {
    type Answer = Imported;

    fn bytes(&self) -> usize {
        self.record.payload.len()
    }

    fn run(&self, db: &Db) -> Result<Imported> {
        let ns = require(&self.ns, db)?;
        let (record, tombstone) = (&self.record, self.fate.tombstone());
        let place = tombstone.map(|tombstone| place(tombstone.phase));
        let count = |counter: fn(&Tombstone) -> u32| tombstone.map_or(0, counter);
        let failure = tombstone.and_then(|tombstone| tombstone.last_failure.as_ref());
        let stored = db.execute(
            "INSERT INTO session (ns, id, queue, due_at, created, last_access, accesses, \
             idle_timeout, lifetime, leaves_at, principal, rotation, previous_until, version, \
             end_reason, end_at, claims, failures, unsettled, last_failure, bytes) \
             SELECT ns, ?2, ifnull(?3, epoch), ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, \
             ?14, ?15, ?16, ?17, ?18, ?19, ?20, ?21 FROM namespace \
             WHERE ns = ?1 AND (?22 <> epoch) IS NOT TRUE ON CONFLICT (ns, id) DO NOTHING",
            params![
                ns,
                record.id.as_bytes(),
                place.map(|(queue, _)| queue),
                place.map_or_else(|| runs_out(record), |(_, due)| due),
                record.created.as_millis(),
                record.last_access.as_millis(),
                record.accesses.cast_signed(),
                record.idle_timeout.map(Timeout::as_millis),
                record.lifetime.map(Timeout::as_millis),
                record.leaves_at.map(Timestamp::as_millis),
                record.principal.as_ref().map(Principal::as_str),
                record.rotation.number(),
                record.rotation.previous_until().map(Timestamp::as_millis),
                record.version.get().cast_signed(),
                tombstone.map(|tombstone| tombstone.end.reason.code()),
                tombstone.map(|tombstone| tombstone.end.at.as_millis()),
                count(|tombstone| tombstone.claims),
                count(|tombstone| tombstone.failures),
                count(|tombstone| tombstone.unsettled),
                failure.map(Failure::as_str),
                payload::inline(&record.payload),
                self.fate.epoch().map(|epoch| epoch.get().cast_signed()),
            ],
        )?;
        if stored == 0 {
            return refusal(ns, record.id, db);
        }
        payload::store_apart(db.last_number(), &record.payload, db)?;
        Ok(Imported::Done)
    }
}

/// Why a session was not stored in a namespace that is known.
fn refusal(ns: i64, id: SessionId, db: &Db) -> Result<Imported> {
    let taken = db.first(
        concat!("SELECT 1 FROM session WHERE ", this!()),
        params![ns, id.as_bytes()],
        |_| Ok(()),
    )?;
    Ok(taken.map_or(Imported::Reset, |()| Imported::Exists))
}

/// A namespace's number, which it has once somebody has opened it.
pub(crate) fn require(ns: &Namespace, db: &Db) -> Result<i64> {
    db.number(ns)?.ok_or_else(|| Error::not_opened(ns))
}
