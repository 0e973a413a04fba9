//! In which order a shard's sessions are listed: all of them, and each principal's.
//!
//! The order is kept, not made for each page: it costs a session some 50 bytes, and
//! saves a scan of n sessions from looking at all n of them for each of its pages.

use std::collections::BTreeSet;
use std::hash::BuildHasher;
use std::ops::Bound;

use foldhash::fast::RandomState;
use tenure_store::{Cursor, Principal, SessionId, Timestamp};

/// A shard's sessions by (created, id).
#[derive(Default)]
pub(crate) struct Index {
    all: BTreeSet<Cursor>,
    /// By a hash of the principal, whose text is kept once, in the record: whoever
    /// reads here compares the text there.
    of_principals: BTreeSet<(u64, Cursor)>,
    hasher: RandomState,
}

impl Index {
    pub(crate) fn insert(&mut self, place: Cursor, principal: Option<&Principal>) {
        self.all.insert(place);
        self.rename(place, None, principal);
    }

    pub(crate) fn remove(&mut self, place: Cursor, principal: Option<&Principal>) {
        self.all.remove(&place);
        self.rename(place, principal, None);
    }

    /// Notes that a session's principal changed.
    pub(crate) fn rename(
        &mut self,
        place: Cursor,
        from: Option<&Principal>,
        to: Option<&Principal>,
    ) {
        if from == to {
            return;
        }
        if let Some(principal) = from {
            let hash = self.hasher.hash_one(principal);
            self.of_principals.remove(&(hash, place));
        }
        if let Some(principal) = to {
            let hash = self.hasher.hash_one(principal);
            self.of_principals.insert((hash, place));
        }
    }

    /// The first place from `start` on: of any session, or of one that is probably
    /// this principal's.
    pub(crate) fn first(
        &self,
        principal: Option<&Principal>,
        start: Bound<Cursor>,
    ) -> Option<Cursor> {
        match principal {
            None => self.all.range((start, Bound::Unbounded)).next().copied(),
            Some(principal) => self.between(principal, (start, Bound::Unbounded)).next(),
        }
    }

    /// The places of all sessions that are probably this principal's.
    pub(crate) fn of(&self, principal: &Principal) -> impl Iterator<Item = Cursor> + '_ {
        self.between(principal, (Bound::Unbounded, Bound::Unbounded))
    }

    /// Those of them that lie between two places.
    pub(crate) fn between(
        &self,
        principal: &Principal,
        (start, end): (Bound<Cursor>, Bound<Cursor>),
    ) -> impl DoubleEndedIterator<Item = Cursor> + '_ {
        let hash = self.hasher.hash_one(principal);
        let bound = |bound: Bound<Cursor>, outermost| match bound {
            Bound::Unbounded => Bound::Included((hash, outermost)),
            bound => bound.map(|place| (hash, place)),
        };
        let start = bound(start, earliest(Timestamp::MIN));
        let end = bound(end, last());
        self.of_principals
            .range((start, end))
            .map(|(_, place)| *place)
    }

    /// Whether it has the same places; hashes differ from index to index.
    #[cfg(test)]
    pub(crate) fn is_like(&self, other: &Self) -> bool {
        let places = |index: &Self| {
            let mut places: Vec<_> = index
                .of_principals
                .iter()
                .map(|(_, place)| *place)
                .collect();
            places.sort_unstable();
            places
        };
        self.all == other.all && places(self) == places(other)
    }
}

/// Behind every session there can be.
fn last() -> Cursor {
    Cursor {
        created: Timestamp::MAX,
        id: SessionId::from_bytes([u8::MAX; 16]),
    }
}

/// Before every session that was created at this instant.
pub(crate) fn earliest(created: Timestamp) -> Cursor {
    Cursor {
        created,
        id: SessionId::from_bytes([0; 16]),
    }
}
