//! What reapers and operators ask of a store, and what they get.

use crate::{Ended, Timestamp};

/// Whether end hooks are expected for a namespace's sessions.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Hooks {
    /// They are: ended sessions are kept for them, and
    /// [`purge`](crate::SessionStore::purge) is refused.
    Expected,
    /// This caller has none, and says nothing about others: what was expected stays
    /// expected.
    Unstated,
    /// They are no longer. An operator's decision.
    Withdrawn,
}

/// What a [`claim`](crate::SessionStore::claim) got.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Claimed {
    /// Tombstones that are now held by the caller, each with its
    /// [ticket](Ended::ticket).
    pub ended: Vec<Ended>,
    /// Whether there may be more to claim at once.
    pub more: bool,
    /// Whether end hooks are [expected](Hooks::Expected) everywhere in the namespace. If
    /// not, a [purge](crate::SessionStore::purge) by somebody who has none may remove
    /// what ends: a caller who has hooks [opens](crate::SessionStore::open) the
    /// namespace again and says so.
    pub hooks_expected: bool,
    /// No session or tombstone that the store knew of is due before this instant;
    /// `None` if there is nothing that will ever be due. Ends and changes that come
    /// later may be due sooner.
    pub next_due: Option<Timestamp>,
}

/// What a [`purge`](crate::SessionStore::purge) did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Purged {
    /// How many sessions and tombstones it removed.
    pub removed: u64,
    /// Whether there may be more to remove at once.
    pub more: bool,
    /// As [`Claimed::next_due`].
    pub next_due: Option<Timestamp>,
}

/// What an operator does with a tombstone that nobody holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Resolve {
    /// Back to the reapers at once, its failures forgotten.
    Requeue,
    /// Gone, its hook never run to success.
    Discard,
}
