//! A principal gets one more session, and never more than it may have.
//!
//! A principal may have any number of sessions when a limit is first set. A refusal counts only
//! to the limit, and the oldest are ended so many at a time: other threads get the shards in
//! between.

use std::ops::Bound;
use std::sync::MutexGuard;
use std::thread;

use tenure_store::{After, Cursor, End, EndReason, Excess, Principal, PrincipalLimit, Updated};

use crate::session::{Update, finish};
use crate::shard::Shard;
use crate::space::Space;

/// How many sessions are ended while all shards are locked.
const STEP: usize = 500;

impl Space {
    /// Carries out an update after which the principal has no more sessions than it may.
    ///
    /// A principal's sessions lie in any shard, and another log-in of it may be under
    /// way: so all shards are locked, which takes a microsecond or two. Only log-ins with
    /// a limit cost that.
    pub(crate) fn log_in(
        &self,
        update: Update<'_>,
        principal: &Principal,
        limit: PrincipalLimit,
    ) -> Updated {
        let own = self.number_of(update.id);
        let most = usize::try_from(limit.sessions).unwrap_or(usize::MAX);
        let mut from = None;
        loop {
            let mut shards = self.all_shards();
            // Once for each step: a reset that comes meanwhile comes after the step.
            if let Some(refusal) = update.refusal(&shards[own], &self.epochs) {
                return refusal;
            }
            let others = Others {
                space: self,
                update: &update,
                principal,
            };
            match limit.excess {
                Excess::Refuse if others.are_as_many_as(most, &shards) => return Updated::Full,
                Excess::Refuse => {}
                Excess::EndOldest(after) => {
                    let ended = others.end_oldest(most - 1, after, from, &mut shards);
                    // After many steps from the start once more: an older session may have
                    // become the principal's meanwhile.
                    if ended.is_some() || from.is_some() {
                        from = ended;
                        drop(shards);
                        thread::yield_now();
                        continue;
                    }
                }
            }
            return update.carry_out(&mut shards[own]);
        }
    }
}

/// The principal's live sessions but the one that is being updated.
struct Others<'a> {
    space: &'a Space,
    update: &'a Update<'a>,
    principal: &'a Principal,
}

impl Others<'_> {
    /// Those of one shard that lie in a range, in their order.
    fn within<'s>(
        &'s self,
        shard: &'s Shard,
        range: (Bound<Cursor>, Bound<Cursor>),
    ) -> impl DoubleEndedIterator<Item = Cursor> + 's {
        let epoch = self.space.epochs.present();
        let places = shard.index().between(self.principal, range);
        places.filter(move |place| {
            place.id != self.update.id
                && shard.get(place.id).is_some_and(|session| {
                    session.principal() == Some(self.principal)
                        && session.is_live(epoch, self.update.now)
                })
        })
    }

    fn are_as_many_as(&self, most: usize, shards: &[MutexGuard<'_, Shard>]) -> bool {
        let all = (Bound::Unbounded, Bound::Unbounded);
        let others = shards.iter().flat_map(|shard| self.within(shard, all));
        others.take(most).count() == most
    }

    /// Ends the oldest behind a place, so that as many are left as there is room for. Says
    /// where the last of them was if there may be more.
    fn end_oldest(
        &self,
        room: usize,
        after: After,
        from: Option<Cursor>,
        shards: &mut [MutexGuard<'_, Shard>],
    ) -> Option<Cursor> {
        let end = End {
            reason: EndReason::Displaced,
            at: self.update.now,
        };
        let oldest = self.oldest(room, from, shards);
        for (place, shard) in &oldest {
            finish(&mut shards[*shard], place.id, end, after);
        }
        (oldest.len() == STEP).then(|| oldest[STEP - 1].0)
    }

    /// The oldest for which there is no room, each with the number of its shard; a step at
    /// most.
    fn oldest(
        &self,
        room: usize,
        from: Option<Cursor>,
        shards: &[MutexGuard<'_, Shard>],
    ) -> Vec<(Cursor, usize)> {
        let all = (Bound::Unbounded, Bound::Unbounded);
        let newest = shards
            .iter()
            .flat_map(|shard| self.within(shard, all).rev().take(room.saturating_add(1)));
        let mut newest: Vec<_> = newest.collect();
        newest.sort_unstable_by(|one, other| other.cmp(one));
        let last = newest.get(room).copied();
        let Some(last) = last.filter(|last| from.is_none_or(|from| from < *last)) else {
            return Vec::new();
        };
        let start = from.map_or(Bound::Unbounded, Bound::Excluded);
        let range = (start, Bound::Included(last));
        let mut oldest = Vec::new();
        for (number, shard) in shards.iter().enumerate() {
            let theirs = self.within(shard, range).take(STEP);
            oldest.extend(theirs.map(|place| (place, number)));
        }
        oldest.sort_unstable();
        oldest.truncate(STEP);
        oldest
    }
}

#[cfg(test)]
mod tests {
    use tenure_store::{
        Access, Change, Field, Namespace, Payload, Record, Rotation, SessionId, Timestamp, Version,
    };

    use super::*;
    use crate::space::Spaces;

    fn at(millis: u32) -> Timestamp {
        Timestamp::from_millis_clamped(millis.into())
    }

    fn id(number: u32) -> SessionId {
        let bits = u128::from(number + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15_f39c_c060_5ced_c835);
        SessionId::from_digest(bits.to_le_bytes())
    }

    #[test]
    fn of_very_many_sessions_the_oldest_are_ended_so_many_at_a_time() {
        const SESSIONS: u32 = 1_203;
        let spaces = Spaces::new();
        let space = spaces.open(&Namespace::sessions("portal").expect("a name"));
        let alice = Principal::new("alice").expect("a name");
        for number in 0..=SESSIONS {
            let record = Record {
                id: id(number),
                created: at(number),
                last_access: at(number),
                accesses: 1,
                idle_timeout: None,
                lifetime: None,
                leaves_at: None,
                principal: (number > 0).then(|| alice.clone()),
                rotation: Rotation::default(),
                version: Version::new(1),
                payload: Payload::default(),
            };
            assert_eq!(space.create(&record), tenure_store::Created::Done);
        }
        let mut change = Change::new(Version::new(2), Access::Counts);
        change.principal = Field::Set(alice.clone());
        let update = || Update {
            id: id(0),
            expected: Version::new(1),
            change: &change,
            payload: None,
            now: at(SESSIONS),
        };
        let limit = |excess| PrincipalLimit {
            sessions: 3,
            excess,
        };
        let refused = space.log_in(update(), &alice, limit(Excess::Refuse));
        assert_eq!(refused, Updated::Full);

        let first = update();
        let others = Others {
            space,
            update: &first,
            principal: &alice,
        };
        let oldest = others.oldest(2, None, &space.all_shards());
        let oldest: Vec<_> = oldest.iter().map(|(place, _)| place.created).collect();
        let expected: Vec<_> = (1..=500).map(at).collect();
        assert!(oldest == expected, "one step's, in their order");

        let after = Excess::EndOldest(After::Queue);
        assert_eq!(space.log_in(update(), &alice, limit(after)), Updated::Done);
        let counts = space.count(at(SESSIONS));
        assert_eq!((counts.live, counts.waiting), (3, u64::from(SESSIONS) - 2));
        for number in [0, SESSIONS - 1, SESSIONS] {
            let found = space.load(id(number), at(SESSIONS));
            assert!(found.is_some(), "the newest stay");
        }
    }
}
