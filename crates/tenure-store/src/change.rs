//! What an update does to a record.

use crate::{
    After, Error, Payload, Principal, Record, Result, Rotation, Timeout, Timestamp, Version,
};

/// Whether an operation is use that keeps the session alive.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Access {
    /// It is: as a touch.
    Counts,
    /// It is not: moves no time, counts nothing, takes back no leave.
    Passive,
}

/// What becomes of a field that may be absent.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Field<T> {
    /// It stays as it is.
    #[default]
    Keep,
    /// It becomes absent.
    Clear,
    /// It gets this value.
    Set(T),
}

impl<T> Field<T> {
    /// Set to `Some`'s value, cleared by `None`.
    pub fn from_option(value: Option<T>) -> Self {
        value.map_or(Field::Clear, Field::Set)
    }

    /// Does it to a field.
    pub fn apply_to(&self, field: &mut Option<T>)
    where
        T: Clone,
    {
        match self {
            Field::Keep => {}
            Field::Clear => *field = None,
            Field::Set(value) => *field = Some(value.clone()),
        }
    }
}

/// How many live sessions a principal may have in a namespace, and what becomes of one
/// too many.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct PrincipalLimit {
    /// How many, the one that is being updated included; at least 1.
    pub sessions: u32,
    /// What becomes of one too many.
    pub excess: Excess,
}

/// What becomes of a principal's sessions when there would be too many.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Excess {
    /// The oldest of the others end, in the order of (created, id), for
    /// [`EndReason::Displaced`](crate::EndReason::Displaced). [`After::Hold`] is
    /// `Invalid` here.
    EndOldest(After),
    /// The update is refused as [`Updated::Full`].
    Refuse,
}

/// What an [`update`](crate::SessionStore::update) writes: the next version and any
/// of the fields. First the access, if it counts as one, then the fields: so an access
/// that sets `leaves_at` leaves it set.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Change {
    /// The version that the record has afterwards. Drawn at random by the caller, so
    /// that after a lost answer a load tells whether the change happened.
    pub version: Version,
    /// Whether it counts as an access.
    pub access: Access,
    /// The new payload, if it changes.
    pub payload: Option<Payload>,
    /// Who logged in, or out.
    pub principal: Field<Principal>,
    /// How many live sessions the principal may have afterwards. Means nothing unless
    /// the change sets a principal.
    pub principal_limit: Option<PrincipalLimit>,
    /// The new idle time-out.
    pub idle_timeout: Field<Timeout>,
    /// The new lifetime, still counted from the start.
    pub lifetime: Field<Timeout>,
    /// The new rotation, if it changes.
    pub rotation: Option<Rotation>,
    /// When the session ends because its browser went away.
    pub leaves_at: Field<Timestamp>,
}

impl Change {
    /// A change of nothing but the version.
    pub fn new(version: Version, access: Access) -> Self {
        Self {
            version,
            access,
            payload: None,
            principal: Field::Keep,
            principal_limit: None,
            idle_timeout: Field::Keep,
            lifetime: Field::Keep,
            rotation: None,
            leaves_at: Field::Keep,
        }
    }

    /// Who is to be held to which limit, if anybody.
    ///
    /// # Errors
    /// `Invalid` for a limit of no sessions, and for [`After::Hold`]: nobody can hold
    /// the ends of many.
    pub fn limited(&self) -> Result<Option<(&Principal, PrincipalLimit)>> {
        let (Field::Set(principal), Some(limit)) = (&self.principal, self.principal_limit) else {
            return Ok(None);
        };
        if limit.sessions == 0 {
            return Err(Error::invalid("a principal may have at least 1 session"));
        }
        if let Excess::EndOldest(After::Hold(_)) = limit.excess {
            return Err(Error::invalid(
                "nobody can hold the ends of many: queue or discard them",
            ));
        }
        Ok(Some((principal, limit)))
    }

    /// Does it to a record. What its limit does to other sessions is not done here.
    pub fn apply_to(&self, record: &mut Record, now: Timestamp) {
        self.apply_beside_payload(record, now);
        if let Some(payload) = &self.payload {
            record.payload = payload.clone();
        }
    }

    /// As [`apply_to`](Self::apply_to), but leaves the payload as it is: for whoever keeps
    /// that elsewhere, or not at all.
    pub fn apply_beside_payload(&self, record: &mut Record, now: Timestamp) {
        if self.access == Access::Counts {
            record.access(now);
        }
        record.version = self.version;
        self.principal.apply_to(&mut record.principal);
        self.idle_timeout.apply_to(&mut record.idle_timeout);
        self.lifetime.apply_to(&mut record.lifetime);
        if let Some(rotation) = self.rotation {
            record.rotation = rotation;
        }
        self.leaves_at.apply_to(&mut record.leaves_at);
    }
}

/// What became of a [`create`](crate::SessionStore::create).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[must_use]
pub enum Created {
    /// The session is stored.
    Done,
    /// The id is taken, by a live session, one that ran out, a tombstone or a dead
    /// letter. What was there is unchanged.
    Exists,
}

/// What became of an [`update`](crate::SessionStore::update).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[must_use]
pub enum Updated {
    /// The change is stored.
    Done,
    /// The session is live but has another version than the expected one. Nothing of the
    /// change was written; load and try again.
    Changed,
    /// The session is not live, and never will be again. Nothing of the change was written.
    Gone,
    /// The session is live and has the expected version, but its principal has as many
    /// other live sessions as it may have in all. Nothing was written.
    Full,
}

/// What became of an [`import`](crate::SessionStore::import).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[must_use]
pub enum Imported {
    /// The entry is stored.
    Done,
    /// The id is taken, whatever the epoch. What was there is unchanged.
    Exists,
    /// The namespace was reset since the epoch was read, and the entry was live: it is
    /// refused, as the reset may have been meant for it. Nothing was written; read the
    /// epoch again, then the session where it came from.
    Reset,
}
