//! What callers do to one session, and to all of a principal's.

use tenure_store::{
    After, Change, Created, End, EndReason, Ended, Entry, Epoch, Imported, Principal, Record,
    Result, SessionId, State, Timestamp, Updated, Version,
};

use crate::epoch::Epochs;
use crate::record::{self, Session};
use crate::shard::Shard;
use crate::space::Space;

impl Space {
    pub(crate) fn create(&self, record: &Record) -> Created {
        let mut session = Session::new(record);
        let mut shard = self.shard_of(record.id);
        session.set_epoch(self.epochs.present());
        shard.insert(session)
    }

    pub(crate) fn import(&self, entry: &Entry, epoch: Epoch) -> Imported {
        let mut session = Session::imported(entry);
        let id = entry.record.id;
        let mut shard = self.shard_of(id);
        let present = self.epochs.present();
        let is_late = entry.state == State::Live && epoch != Epoch::new(present.into());
        if is_late && shard.get(id).is_none() {
            return Imported::Reset;
        }
        session.set_epoch(present);
        match shard.insert(session) {
            Created::Done => Imported::Done,
            Created::Exists => Imported::Exists,
        }
    }

    pub(crate) fn load(&self, id: SessionId, now: Timestamp) -> Option<Record> {
        let shard = self.shard_of(id);
        let session = shard.get(id)?;
        session
            .is_live(self.epochs.present(), now)
            .then(|| session.record())
    }

    pub(crate) fn touch(&self, id: SessionId, now: Timestamp) -> bool {
        let mut shard = self.shard_of(id);
        shard.touch(id, self.epochs.present(), now)
    }

    pub(crate) fn update(
        &self,
        id: SessionId,
        expected: Version,
        change: &Change,
        now: Timestamp,
    ) -> Result<Updated> {
        let update = Update {
            id,
            expected,
            change,
            payload: change.payload.as_ref().map(record::copy),
            now,
        };
        if let Some((principal, limit)) = change.limited()? {
            return Ok(self.log_in(update, principal, limit));
        }
        let mut shard = self.shard_of(id);
        let refusal = update.refusal(&shard, &self.epochs);
        Ok(refusal.unwrap_or_else(|| update.carry_out(&mut shard)))
    }

    pub(crate) fn end(
        &self,
        id: SessionId,
        rotation: Option<u32>,
        reason: EndReason,
        after: After,
        now: Timestamp,
    ) -> Option<Ended> {
        let mut shard = self.shard_of(id);
        let session = shard.get(id)?;
        let ends = session.is_live(self.epochs.present(), now)
            && rotation.is_none_or(|number| session.rotation() == number);
        let end = End { reason, at: now };
        ends.then(|| finish(&mut shard, id, end, after))?
    }

    pub(crate) fn end_principal(
        &self,
        principal: &Principal,
        except: Option<SessionId>,
        after: After,
        now: Timestamp,
    ) -> u64 {
        let end = End {
            reason: EndReason::PrincipalRevoked,
            at: now,
        };
        let mut ended = 0;
        for mut shard in self.shards() {
            let places = shard.index().of(principal);
            let ids: Vec<_> = places.map(|place| place.id).collect();
            for id in ids {
                let theirs = shard.get(id).is_some_and(|session| {
                    session.principal() == Some(principal)
                        && session.is_live(self.epochs.present(), now)
                });
                if theirs && Some(id) != except {
                    finish(&mut shard, id, end, after);
                    ended += 1;
                }
            }
        }
        ended
    }
}

/// An update of one session.
pub(crate) struct Update<'a> {
    pub(crate) id: SessionId,
    pub(crate) expected: Version,
    pub(crate) change: &'a Change,
    /// A copy of the change's.
    pub(crate) payload: Option<Box<[u8]>>,
    pub(crate) now: Timestamp,
}

impl Update<'_> {
    /// Why it is not to be carried out, if it is not.
    pub(crate) fn refusal(&self, shard: &Shard, epochs: &Epochs) -> Option<Updated> {
        match shard.get(self.id) {
            Some(session) if session.is_live(epochs.present(), self.now) => {
                (session.version() != self.expected).then_some(Updated::Changed)
            }
            _ => Some(Updated::Gone),
        }
    }

    /// Carries out what nothing speaks against.
    pub(crate) fn carry_out(self, shard: &mut Shard) -> Updated {
        shard.change(self.id, |session| {
            session.edit(self.payload, |record| {
                self.change.apply_beside_payload(record, self.now);
            });
        });
        Updated::Done
    }
}

/// Ends a session that is live at the instant of its end.
pub(crate) fn finish(shard: &mut Shard, id: SessionId, end: End, after: After) -> Option<Ended> {
    let ended = shard.change(id, |session| {
        let tombstone = session.end(end);
        if let After::Hold(lease) = after {
            tombstone.claim(lease, end.at);
        }
        session.ended()
    })?;
    if after == After::Discard {
        shard.remove(id);
    }
    ended
}
