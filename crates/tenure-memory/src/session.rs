//! What callers do to one session, and to all of a principal's.

use tenure_store::{
    After, Change, Created, End, EndReason, Ended, Entry, Principal, Record, SessionId, Timestamp,
    Updated, Version,
};

use crate::record::{self, Session};
use crate::shard::Shard;
use crate::space::Space;

impl Space {
    pub(crate) fn create(&self, record: &Record) -> Created {
        self.insert(Session::new(record))
    }

    pub(crate) fn import(&self, entry: &Entry) -> Created {
        self.insert(Session::imported(entry))
    }

    fn insert(&self, mut session: Session) -> Created {
        let mut shard = self.shard_of(session.id());
        session.set_epoch(self.epochs.present());
        shard.insert(session)
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
    ) -> Updated {
        let payload = change.payload.as_ref().map(record::copy);
        let mut shard = self.shard_of(id);
        match shard.get(id) {
            Some(session) if session.is_live(self.epochs.present(), now) => {
                if session.version() != expected {
                    return Updated::Changed;
                }
            }
            _ => return Updated::Gone,
        }
        shard.change(id, |session| {
            session.edit(|record| {
                change.apply_to(record, now);
                if let Some(payload) = payload {
                    record.payload = payload;
                }
            });
        });
        Updated::Done
    }

    pub(crate) fn end(
        &self,
        id: SessionId,
        reason: EndReason,
        after: After,
        now: Timestamp,
    ) -> Option<Ended> {
        let mut shard = self.shard_of(id);
        let live = shard.get(id)?.is_live(self.epochs.present(), now);
        let end = End { reason, at: now };
        live.then(|| finish(&mut shard, id, end, after))?
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

/// Ends a session that is live at the instant of its end.
fn finish(shard: &mut Shard, id: SessionId, end: End, after: After) -> Option<Ended> {
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
