//! A principal gets one more session, and never more than it may have.

use std::sync::MutexGuard;

use tenure_store::{Cursor, End, EndReason, Excess, Principal, PrincipalLimit, Updated};

use crate::session::{Update, finish};
use crate::shard::Shard;
use crate::space::Space;

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
        let mut shards = self.all_shards();
        let own = self.number_of(update.id);
        // Asked once: a reset that comes meanwhile comes after all of this.
        if let Some(refusal) = update.refusal(&shards[own], &self.epochs) {
            return refusal;
        }
        let mut others = self.others(&shards, &update, principal);
        let most = usize::try_from(limit.sessions - 1).unwrap_or(usize::MAX);
        let excess = others.len().saturating_sub(most);
        match limit.excess {
            Excess::Refuse if excess > 0 => return Updated::Full,
            Excess::Refuse => {}
            Excess::EndOldest(after) => {
                let end = End {
                    reason: EndReason::Displaced,
                    at: update.now,
                };
                others.sort_unstable();
                for (oldest, shard) in others.drain(..excess) {
                    finish(&mut shards[shard], oldest.id, end, after);
                }
            }
        }
        update.carry_out(&mut shards[own])
    }

    /// The principal's live sessions but the one that is being updated, each with the
    /// number of its shard.
    fn others(
        &self,
        shards: &[MutexGuard<'_, Shard>],
        update: &Update<'_>,
        principal: &Principal,
    ) -> Vec<(Cursor, usize)> {
        let epoch = self.epochs.present();
        let mut others = Vec::new();
        for (number, shard) in shards.iter().enumerate() {
            let theirs = shard.index().of(principal).filter(|place| {
                place.id != update.id
                    && shard.get(place.id).is_some_and(|session| {
                        session.principal() == Some(principal) && session.is_live(epoch, update.now)
                    })
            });
            others.extend(theirs.map(|place| (place, number)));
        }
        others
    }
}
