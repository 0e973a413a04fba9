//! How many sessions a principal has, and which of them make room for one more.

use tenure_store::{Change, EndReason, Excess, Field, SessionId, State, Timestamp};

use super::Space;

impl Space {
    /// Whether a change that logs somebody in is within its limit, after the oldest
    /// sessions have ended if that is how it is kept.
    pub(super) fn admits(&mut self, id: SessionId, change: &Change, now: Timestamp) -> bool {
        let (Field::Set(principal), Some(limit)) = (&change.principal, change.principal_limit)
        else {
            return true;
        };
        let mut others: Vec<_> = self
            .entries(now)
            .filter(|entry| {
                entry.state == State::Live
                    && entry.record.id != id
                    && entry.record.principal.as_ref() == Some(principal)
            })
            .map(|entry| (entry.record.created, entry.record.id))
            .collect();
        others.sort_unstable();
        match limit.excess {
            Excess::Refuse => (others.len() as u64) < u64::from(limit.sessions),
            Excess::EndOldest(after) => {
                others.reverse();
                for (_, oldest) in others.into_iter().skip(limit.sessions as usize - 1) {
                    self.end_live(oldest, EndReason::Displaced, after, now);
                }
                true
            }
        }
    }
}
