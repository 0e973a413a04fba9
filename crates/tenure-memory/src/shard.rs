//! A part of a namespace's sessions, with what finds them: whatever changes here, its
//! queues and its index are right when the lock is given back.

use tenure_store::{Created, SessionId, Timestamp};

use crate::index::Index;
use crate::queue::Queues;
use crate::record::Session;
use crate::table::Table;

/// The sessions whose ids fall here.
#[derive(Default)]
pub(crate) struct Shard {
    sessions: Table,
    queues: Queues,
    index: Index,
}

impl Shard {
    pub(crate) fn get(&self, id: SessionId) -> Option<&Session> {
        self.sessions.get(id)
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &Session> {
        self.sessions.iter()
    }

    pub(crate) fn queues(&self) -> &Queues {
        &self.queues
    }

    pub(crate) fn index(&self) -> &Index {
        &self.index
    }

    /// Adds a session, if its id is free.
    pub(crate) fn insert(&mut self, session: Session) -> Created {
        let Some(session) = self.sessions.insert(session) else {
            return Created::Exists;
        };
        self.queues.relocate(session.id(), None, session.place());
        self.index.insert(session.cursor(), session.principal());
        Created::Done
    }

    /// Changes a session in any way that leaves its id and creation time.
    pub(crate) fn change<R>(
        &mut self,
        id: SessionId,
        change: impl FnOnce(&mut Session) -> R,
    ) -> Option<R> {
        let session = self.sessions.get_mut(id)?;
        let (place, principal) = (session.place(), session.principal().cloned());
        let result = change(session);
        self.queues.relocate(id, place, session.place());
        self.index
            .rename(session.cursor(), principal.as_ref(), session.principal());
        Some(result)
    }

    /// Notes an access to a live session. No access makes a session end sooner or
    /// belong to somebody else, so that neither queues nor index are looked at.
    pub(crate) fn touch(&mut self, id: SessionId, epoch: u32, now: Timestamp) -> bool {
        let Some(session) = self.sessions.get_mut(id) else {
            return false;
        };
        let live = session.is_live(epoch, now);
        if live {
            session.access(now);
        }
        live
    }

    /// Removes a session, or its tombstone.
    pub(crate) fn remove(&mut self, id: SessionId) -> Option<Session> {
        let session = self.sessions.remove(id)?;
        self.queues.relocate(id, session.place(), None);
        self.index.remove(session.cursor(), session.principal());
        Some(session)
    }

    /// That table, queues and index are those of the sessions here, and nothing else.
    #[cfg(test)]
    pub(crate) fn check(&self) {
        let mut right = Self::default();
        for session in self.iter() {
            let found = self.get(session.id()).expect("it is in the table");
            assert!(std::ptr::eq(found, session));
            right.queues.relocate(session.id(), None, session.place());
            right.index.insert(session.cursor(), session.principal());
        }
        assert!(self.queues == right.queues);
        assert!(self.index.is_like(&right.index));
    }
}
