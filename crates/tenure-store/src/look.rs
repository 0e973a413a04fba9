//! What an operator sees: entries, pages, counts, and the store itself.

use std::ops::Range;

use crate::{End, Principal, Record, SessionId, Timestamp, Tombstone};

/// A session as it lies in a store, whatever became of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// Its record, the payload included.
    pub record: Record,
    /// What became of it.
    pub state: State,
}

/// What became of a session.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum State {
    /// It is live.
    Live,
    /// It ran out, or its application was reset, and no reaper has come by yet.
    Over(End),
    /// It ended, and its end hook has not succeeded yet: waiting, held or dead.
    Ended(Tombstone),
}

impl Entry {
    /// The entry's status at `now`.
    pub fn status(&self, now: Timestamp) -> Status {
        match &self.state {
            State::Live => Status::Live,
            State::Over(_) => Status::Over,
            State::Ended(tombstone) if tombstone.due().is_none() => Status::Dead,
            State::Ended(tombstone) if tombstone.is_held(now) => Status::Held,
            State::Ended(_) => Status::Waiting,
        }
    }
}

/// Where a session stands, in one word.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Status {
    /// Live.
    Live,
    /// Ran out or was reset, and not reaped yet.
    Over,
    /// Ended, its hook waiting to be run, or run again.
    Waiting,
    /// Ended, its hook in the hands of somebody whose lease still runs.
    Held,
    /// A dead letter.
    Dead,
}

impl Status {
    /// All of them.
    pub const ALL: [Status; 5] = [
        Status::Live,
        Status::Over,
        Status::Waiting,
        Status::Held,
        Status::Dead,
    ];
}

/// Which sessions a [`list`](crate::SessionStore::list) shows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Filter {
    /// Only those with this status.
    pub status: Option<Status>,
    /// Only those of this principal.
    pub principal: Option<Principal>,
    /// Only those created from its start and before its end.
    pub created: Range<Timestamp>,
    /// Only those behind this place: the last page's [`next`](Page::next).
    pub after: Option<Cursor>,
    /// At most so many on a page; at least 1.
    pub limit: u32,
}

impl Filter {
    /// All sessions, so many on a page.
    ///
    /// The range leaves out the very last instant there is, 2^53 ms.
    pub fn all(limit: u32) -> Self {
        Self {
            status: None,
            principal: None,
            created: Timestamp::MIN..Timestamp::MAX,
            after: None,
            limit,
        }
    }

    /// Whether an entry passes, but for place and limit.
    pub fn matches(&self, entry: &Entry, now: Timestamp) -> bool {
        self.status.is_none_or(|status| status == entry.status(now))
            && self.created.contains(&entry.record.created)
            && (self.principal.is_none() || self.principal == entry.record.principal)
    }
}

/// A place in the order of a list: (created, id).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Cursor {
    /// The creation time of the last session seen.
    pub created: Timestamp,
    /// Its id.
    pub id: SessionId,
}

impl Cursor {
    /// The place of a record.
    pub fn of(record: &Record) -> Self {
        Self {
            created: record.created,
            id: record.id,
        }
    }
}

/// One page of a list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Page {
    /// In the order of (created, id). May be fewer than the limit, or none, on any
    /// page.
    pub entries: Vec<Entry>,
    /// Where the next page begins; `None` ends the scan, nothing else does.
    pub next: Option<Cursor>,
}

/// How many sessions a namespace has, by [`Status`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Counts {
    /// Live ones.
    pub live: u64,
    /// Over, not reaped.
    pub over: u64,
    /// Ended, waiting for a reaper.
    pub waiting: u64,
    /// Ended, in the hands of a reaper.
    pub held: u64,
    /// Dead letters.
    pub dead: u64,
    /// The earliest instant from which something over or waiting could have been
    /// reaped: how far behind the reapers are. `None` if nothing waits for them.
    pub oldest_due: Option<Timestamp>,
}

impl Counts {
    /// Counts one more.
    pub fn add(&mut self, entry: &Entry, now: Timestamp) {
        let due = match &entry.state {
            State::Live => None,
            State::Over(end) => Some(end.at),
            State::Ended(tombstone) => tombstone.due().filter(|due| *due <= now),
        };
        let status = entry.status(now);
        *self.of_mut(status) += 1;
        if let Some(due) = due {
            self.oldest_due = Some(self.oldest_due.map_or(due, |oldest| oldest.min(due)));
        }
    }

    /// How many have this status.
    pub fn of(mut self, status: Status) -> u64 {
        *self.of_mut(status)
    }

    fn of_mut(&mut self, status: Status) -> &mut u64 {
        match status {
            Status::Live => &mut self.live,
            Status::Over => &mut self.over,
            Status::Waiting => &mut self.waiting,
            Status::Held => &mut self.held,
            Status::Dead => &mut self.dead,
        }
    }
}

/// What a store says of itself.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Description {
    /// `memory`, `sqlite`, `postgres`, `redis`, or a third party's name.
    pub backend: &'static str,
    /// The version of the server or library underneath.
    pub version: String,
    /// The server's own clock, where there is a server: tells how far it is from `now`.
    pub clock: Option<Timestamp>,
    /// What an acknowledged write survives.
    pub durability: Durability,
    /// The settings that decide it, in the backend's own words.
    pub settings: String,
    /// Whether the server may drop sessions to make room.
    pub eviction: Eviction,
    /// The largest payload it takes, in bytes.
    pub payload_limit: usize,
    /// The version of the stored schema, where there is one.
    pub schema_applied: Option<u32>,
    /// The version of the schema that this code works with.
    pub schema_expected: Option<u32>,
}

impl Description {
    /// A description with the fields that every store has.
    pub fn new(backend: &'static str, version: impl Into<String>, payload_limit: usize) -> Self {
        Self {
            backend,
            version: version.into(),
            clock: None,
            durability: Durability::Volatile,
            settings: String::new(),
            eviction: Eviction::Never,
            payload_limit,
            schema_applied: None,
            schema_expected: None,
        }
    }
}

/// What an acknowledged write survives; each includes the ones before it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[non_exhaustive]
pub enum Durability {
    /// Nothing: it lives in one process's memory.
    Volatile,
    /// It is in the latest snapshot, if one was taken since.
    Snapshot,
    /// The death of the store's process, but not a power cut.
    Process,
    /// A power cut: it is on disk before it is acknowledged.
    Disk,
}

/// Whether a server may drop sessions to make room.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Eviction {
    /// Never: when it is full, writes are refused.
    Never,
    /// It may, and the library refuses to work with it.
    Possible,
}
