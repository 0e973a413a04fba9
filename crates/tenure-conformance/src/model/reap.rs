//! Claims and purges: judged rather than predicted, as the contract leaves open how many
//! sessions one of them looks at, and which.

use std::time::Duration;

use tenure_store::{
    Claimed, Ended, Entry, ErrorKind, Namespace, Phase, Purged, SessionId, State, Timestamp,
};

use super::{Fate, Judgement, Kept, Model, life, same};

impl Model {
    /// That each session of a claim could be claimed, came with the record, end and
    /// counters it should, and only once. Afterwards [`settle_in`](Self::settle_in)
    /// takes note of what else the claim turned into tombstones.
    pub(crate) fn check_claimed(
        &mut self,
        ns: &Namespace,
        lease: Duration,
        limit: u32,
        now: Timestamp,
        got: &Claimed,
    ) -> Judgement {
        if got.ended.len() > limit as usize {
            return Err(format!(
                "{} claimed for a limit of {limit}",
                got.ended.len()
            ));
        }
        for ended in &got.ended {
            let id = ended.record.id;
            let entry = self.inspect(ns, id, now);
            let Some(Entry { record, state }) = entry else {
                return Err(format!("{id} was claimed and does not exist"));
            };
            let mut tombstone = match state {
                State::Live => return Err(format!("{id} was claimed and is live")),
                State::Over(end) => life::tombstone(end),
                State::Ended(tombstone) if life::is_due(&tombstone, now) => tombstone,
                State::Ended(tombstone) => {
                    return Err(format!("{id} was claimed and is not due: {tombstone:?}"));
                }
            };
            life::hold(&mut tombstone, lease, now);
            let expected = Ended {
                record: record.clone(),
                tombstone: tombstone.clone(),
            };
            same("what was claimed", ended, &expected)?;
            let fate = Fate::Ended(tombstone);
            self.keep(ns, Kept { record, fate });
        }
        Ok(())
    }

    /// What a purge may remove; a claim may turn the first of them into tombstones.
    pub(crate) fn removable(&self, ns: &Namespace, now: Timestamp) -> Vec<SessionId> {
        let Some(space) = self.spaces.get(ns) else {
            return Vec::new();
        };
        let removable = space.entries(now).filter(|entry| match &entry.state {
            State::Live => false,
            State::Over(_) => true,
            State::Ended(tombstone) => match tombstone.phase {
                Phase::Waiting { .. } => true,
                Phase::Held { .. } => life::is_due(tombstone, now),
                Phase::Dead => false,
            },
        });
        removable.map(|entry| entry.record.id).collect()
    }

    /// What is over and has no tombstone yet.
    pub(crate) fn over(&self, ns: &Namespace, now: Timestamp) -> Vec<SessionId> {
        let mut over = self.removable(ns, now);
        over.retain(|id| {
            let entry = self.inspect(ns, *id, now);
            entry.is_some_and(|entry| matches!(entry.state, State::Over(_)))
        });
        over
    }

    /// Takes note of what a claim or a purge left of a session that was over: as it was,
    /// or a tombstone that waits, with the end it had.
    pub(crate) fn settle_in(
        &mut self,
        ns: &Namespace,
        id: SessionId,
        now: Timestamp,
        got: Option<Entry>,
    ) -> Judgement {
        let before = self.inspect(ns, id, now);
        if let (
            Some(Entry {
                record,
                state: State::Over(end),
            }),
            Some(after),
        ) = (before.clone(), &got)
        {
            let tombstone = life::tombstone(end);
            if after.state == State::Ended(tombstone.clone()) {
                same("the record of a tombstone", &after.record, &record)?;
                let fate = Fate::Ended(tombstone);
                self.keep(ns, Kept { record, fate });
                return Ok(());
            }
        }
        same("what a reaper left", &got, &before)
    }

    /// That nothing is left that was due if a claim says so, and that what is left is
    /// not due before the instant that it names.
    pub(crate) fn check_left(
        &self,
        ns: &Namespace,
        now: Timestamp,
        more: bool,
        next_due: Option<Timestamp>,
    ) -> Judgement {
        if more {
            return Ok(());
        }
        for (id, due) in self.dues(ns, now) {
            if due <= now {
                return Err(format!(
                    "{id} was due at {due:?}, and there is said to be no more"
                ));
            }
            if next_due.is_none_or(|next| due < next) {
                return Err(format!("{id} will be due at {due:?}, before {next_due:?}"));
            }
        }
        Ok(())
    }

    /// Whether hooks are expected.
    ///
    /// # Errors
    /// The kind of error of what refuses an unknown namespace.
    pub(crate) fn expects_hooks(&self, ns: &Namespace) -> Result<bool, ErrorKind> {
        let space = self.spaces.get(ns).ok_or(ErrorKind::NotOpened)?;
        Ok(space.hooks_expected)
    }

    /// Why a purge is refused, if it is.
    pub(crate) fn purge_refusal(&self, ns: &Namespace) -> Option<ErrorKind> {
        match self.expects_hooks(ns) {
            Ok(expected) => expected.then_some(ErrorKind::Misconfigured),
            Err(refusal) => Some(refusal),
        }
    }

    /// As [`check_left`](Self::check_left); a purge does not wait until
    /// a tombstone is due.
    pub(crate) fn check_left_by_purge(
        &self,
        ns: &Namespace,
        now: Timestamp,
        purged: Purged,
    ) -> Judgement {
        self.check_left(ns, now, purged.more, purged.next_due)?;
        let over = self.over(ns, now);
        let left = self.removable(ns, now);
        match left.into_iter().find(|id| !over.contains(id)) {
            Some(id) if !purged.more => Err(format!(
                "{id} is a tombstone that nobody holds, and there is said to be no more"
            )),
            _ => Ok(()),
        }
    }

    /// From when each session will be a reaper's business. One that was reset by a node
    /// whose clock is ahead is so at that instant or earlier; a tombstone that such a
    /// clock put off, now.
    fn dues(&self, ns: &Namespace, now: Timestamp) -> Vec<(SessionId, Timestamp)> {
        let Some(space) = self.spaces.get(ns) else {
            return Vec::new();
        };
        let due = |entry: Entry| {
            let due = match &entry.state {
                State::Live => life::runs_out(&entry.record).map(|end| end.at),
                State::Over(end) => Some(end.at),
                State::Ended(tombstone) if life::is_due(tombstone, now) => {
                    life::due(tombstone).map(|due| due.min(now))
                }
                State::Ended(tombstone) => life::due(tombstone),
            };
            due.map(|due| (entry.record.id, due))
        };
        space.entries(now).filter_map(due).collect()
    }

    fn keep(&mut self, ns: &Namespace, kept: Kept) {
        if let Some(space) = self.spaces.get_mut(ns) {
            space.sessions.insert(kept.record.id, kept);
        }
    }
}
