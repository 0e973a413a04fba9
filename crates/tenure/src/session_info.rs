//! What an operator sees of one session, whatever became of it.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use serde::de::DeserializeOwned;
use tenure_store::{
    Cursor, End, Entry, Principal, SessionId, State, Status, Timeout, Timestamp, Tombstone,
};

use crate::attributes::{AttributeName, Attributes, decode_value};
use crate::core::Core;
use crate::hook;
use crate::{Result, Sessions};

/// A session as it lies in the store: live, over, or ended and waiting for its end hook.
///
/// It is a picture of the moment at which it was looked at. Nothing in it opens the
/// session: there is no token in a store.
#[derive(Clone)]
pub struct SessionInfo {
    core: Arc<Core>,
    entry: Entry,
    status: Status,
}

impl SessionInfo {
    pub(crate) fn new(sessions: &Sessions, entry: Entry, now: Timestamp) -> Self {
        Self {
            core: Arc::clone(&sessions.core),
            status: entry.status(now),
            entry,
        }
    }

    /// Its id.
    pub fn id(&self) -> SessionId {
        self.entry.record.id
    }

    /// Where it stands.
    pub fn status(&self) -> Status {
        self.status
    }

    /// When it was started.
    pub fn created(&self) -> Timestamp {
        self.entry.record.created
    }

    /// The last access on record.
    pub fn last_access(&self) -> Timestamp {
        self.entry.record.last_access
    }

    /// The number of accesses on record, the start included.
    pub fn accesses(&self) -> u64 {
        self.entry.record.accesses
    }

    /// How long it lives without an access; `None` for ever.
    pub fn idle_timeout(&self) -> Option<Duration> {
        self.entry.record.idle_timeout.map(Timeout::as_duration)
    }

    /// How long it lives at all; `None` for ever.
    pub fn lifetime(&self) -> Option<Duration> {
        self.entry.record.lifetime.map(Timeout::as_duration)
    }

    /// When it ends because its browser went away; `None` if it is not
    /// [leaving](crate::Session::leave).
    pub fn leaves_at(&self) -> Option<Timestamp> {
        self.entry.record.leaves_at
    }

    /// When it runs out if nothing happens, or did or would have; `None` for never.
    pub fn expires_at(&self) -> Option<Timestamp> {
        self.entry.record.expires_at()
    }

    /// Who has logged in, if anybody.
    pub fn principal(&self) -> Option<&Principal> {
        self.entry.record.principal.as_ref()
    }

    /// How often its token was replaced, by log-ins and
    /// [rotations](crate::Session::rotate).
    pub fn rotations(&self) -> u32 {
        self.entry.record.rotation.number()
    }

    /// Why and when it ended, or ran out; `None` for a live one.
    pub fn end(&self) -> Option<End> {
        match &self.entry.state {
            State::Live => None,
            State::Over(end) => Some(*end),
            State::Ended(tombstone) => Some(tombstone.end),
        }
    }

    /// How many attempts at its end hook were begun since it ended, or was requeued. While
    /// a node holds it, the one that is under way or about to begin is counted; so is one
    /// whose node died, as nobody can tell whether it had begun.
    pub fn attempts(&self) -> u32 {
        self.tombstone().map_or(0, hook::attempts)
    }

    /// What its end hook said when it last failed; `None` if it never did.
    pub fn last_failure(&self) -> Option<&str> {
        let failure = self.tombstone()?.last_failure.as_ref()?;
        Some(failure.as_str())
    }

    /// From when its end hook may be run next; `None` if it has not ended, or is a dead
    /// letter.
    pub fn hook_due(&self) -> Option<Timestamp> {
        self.tombstone()?.due()
    }

    /// How many bytes its attributes take in the store.
    pub fn stored_len(&self) -> usize {
        self.entry.record.payload.len()
    }

    /// The value of an attribute; `None` if there is none. Decrypted at each call, and at
    /// no other time.
    ///
    /// # Errors
    /// `Unreadable` if the attributes are damaged, or under a key that is not in the ring:
    /// all else that is known of the session is good all the same. `Attribute` if the
    /// value is of another type.
    pub fn get<T: DeserializeOwned>(&self, name: impl AttributeName<T>) -> Result<Option<T>> {
        let name = name.name();
        let attributes = self.attributes()?;
        attributes
            .get(name)
            .map(|value| decode_value(name, value))
            .transpose()
    }

    /// The names of its attributes, in order. Decrypted at each call.
    ///
    /// # Errors
    /// `Unreadable`, as [`get`](Self::get).
    pub fn names(&self) -> Result<Vec<String>> {
        let attributes = self.attributes()?;
        Ok(attributes.names().map(str::to_owned).collect())
    }

    /// Its place in the order of lists: `after` this a [`Filter`](crate::Filter) goes on.
    pub fn cursor(&self) -> Cursor {
        Cursor::of(&self.entry.record)
    }

    fn attributes(&self) -> Result<Attributes> {
        self.core.open(&mut self.entry.record.clone())
    }

    fn tombstone(&self) -> Option<&Tombstone> {
        match &self.entry.state {
            State::Ended(tombstone) => Some(tombstone),
            State::Live | State::Over(_) => None,
        }
    }
}

impl fmt::Debug for SessionInfo {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SessionInfo")
            .field("id", &self.id())
            .field("status", &self.status)
            .field("created", &self.created())
            .field("last_access", &self.last_access())
            .finish_non_exhaustive()
    }
}
