//! When the reapers look at which of a shard's sessions.
//!
//! A live session lies where it would run out if it were not used again: a lower
//! bound. A touch leaves it there, so that it changes no queue; a reaper that gets to
//! it moves it on. Only what makes it end sooner moves it forward.

use std::collections::{BTreeMap, BTreeSet, HashSet};

use tenure_store::{SessionId, Timestamp, Tombstone};

use crate::epoch::Resets;
use crate::time::OrNever;

/// Which queue.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Queue {
    /// Of the sessions of an epoch that have not ended, those that never run out
    /// included: a reset makes them due all at once, without a write.
    Open(u32),
    /// Of the tombstones that wait to be claimed.
    Waiting,
    /// Of the tombstones that are held.
    Held,
}

/// Where in which queue.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) struct Place {
    pub(crate) queue: Queue,
    pub(crate) due: OrNever,
}

/// What somebody takes who goes through the queues.
#[derive(Clone, Copy)]
pub(crate) enum Taking {
    /// What is due.
    Due,
    /// That, and waiting tombstones before their time.
    Unheld,
}

type Line = BTreeSet<(OrNever, SessionId)>;

/// A shard's queues.
#[derive(Default, PartialEq, Eq)]
pub(crate) struct Queues {
    open: BTreeMap<u32, Line>,
    waiting: Line,
    held: Line,
}

impl Queues {
    /// Moves a session; from no place when it is new, to none when it is gone or a
    /// dead letter.
    pub(crate) fn relocate(&mut self, id: SessionId, from: Option<Place>, to: Option<Place>) {
        if from == to {
            return;
        }
        if let Some(Place { queue, due }) = from {
            self.line(queue).remove(&(due, id));
            if let Queue::Open(epoch) = queue
                && self.line(queue).is_empty()
            {
                self.open.remove(&epoch);
            }
        }
        if let Some(Place { queue, due }) = to {
            self.line(queue).insert((due, id));
        }
    }

    /// The session or tombstone to take first, and from when. What was reset is due
    /// since then, and at once if the clock that says since when is ahead of this one, as
    /// is a tombstone beyond the [horizon](Tombstone::horizon).
    /// Tombstones that are held again since they were `seen` are passed over.
    pub(crate) fn first(
        &self,
        taking: Taking,
        resets: &Resets,
        now: Timestamp,
        seen: &HashSet<SessionId>,
    ) -> Option<(OrNever, SessionId)> {
        let horizon = OrNever::from(Tombstone::horizon(now));
        let beyond = |line: &Line| {
            let &(due, id) = line.last()?;
            (due > horizon).then_some((OrNever::from(now), id))
        };
        let waiting = self.waiting.first().map(|&(from, id)| match taking {
            Taking::Due => (from, id),
            Taking::Unheld => (from.min(now.into()), id),
        });
        let open = self.open.iter().filter_map(|(epoch, line)| {
            let reset = resets.get(epoch).map(|at| (*at).min(now));
            line.first().map(|&(due, id)| (due.min(reset.into()), id))
        });
        let held = self.held.iter().find(|(_, id)| !seen.contains(id));
        open.chain(waiting)
            .chain(held.copied())
            .chain(beyond(&self.waiting))
            .chain(beyond(&self.held))
            .filter(|(due, _)| *due != OrNever::NEVER)
            .min()
    }

    /// The epochs of the sessions that have not ended.
    pub(crate) fn epochs(&self) -> impl Iterator<Item = u32> + '_ {
        self.open.keys().copied()
    }

    fn line(&mut self, queue: Queue) -> &mut Line {
        match queue {
            Queue::Open(epoch) => self.open.entry(epoch).or_default(),
            Queue::Waiting => &mut self.waiting,
            Queue::Held => &mut self.held,
        }
    }
}
