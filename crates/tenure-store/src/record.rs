//! What a store keeps of a session.

use std::fmt;

use bytes::Bytes;

use crate::{End, EndReason, Error, Principal, Result, SessionId, Timeout, Timestamp};

/// What a store keeps of a session that has not ended. Its payload is opaque.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record {
    /// Which session.
    pub id: SessionId,
    /// When it was started.
    pub created: Timestamp,
    /// The latest access; not before `created`, unless a clock was wrong.
    pub last_access: Timestamp,
    /// How many accesses there were, the start included; at most 2^53.
    pub accesses: u64,
    /// How long it lives without an access; `None` for ever.
    pub idle_timeout: Option<Timeout>,
    /// How long it lives at all; `None` for ever.
    pub lifetime: Option<Timeout>,
    /// When it ends because its browser went away, unless an access comes first.
    pub leaves_at: Option<Timestamp>,
    /// Who logged in.
    pub principal: Option<Principal>,
    /// Which token of this session is good.
    pub rotation: Rotation,
    /// What compare-and-set compares.
    pub version: Version,
    /// The attributes, opaque to stores.
    pub payload: Payload,
}

impl Record {
    /// The instant from which the session is no longer live by its own times:
    /// `min(last_access + idle_timeout, created + lifetime, leaves_at)`; `None` if it
    /// never runs out. A reset may have ended it earlier.
    pub fn expires_at(&self) -> Option<Timestamp> {
        self.expiry().map(|end| end.at)
    }

    /// Whether it is live at `now` by its own times.
    pub fn is_live(&self, now: Timestamp) -> bool {
        self.expires_at().is_none_or(|at| now < at)
    }

    /// How and when it runs out by its own times. Of several causes the earliest
    /// counts; on a tie, leaving before idleness before lifetime.
    pub fn expiry(&self) -> Option<End> {
        let causes = [
            (EndReason::Left, self.leaves_at),
            (
                EndReason::IdleTimeout,
                self.idle_timeout.map(|t| t.after(self.last_access)),
            ),
            (
                EndReason::Lifetime,
                self.lifetime.map(|t| t.after(self.created)),
            ),
        ];
        causes
            .into_iter()
            .filter_map(|(reason, at)| at.map(|at| End { reason, at }))
            .min_by_key(|end| end.at)
    }

    /// How it was over at `now`, given the instant at which its application was reset
    /// under it, if it was; `None` if it is live. The earliest cause counts; on a tie,
    /// its own times before the reset.
    pub fn end_by(&self, reset: Option<Timestamp>, now: Timestamp) -> Option<End> {
        let reset = reset.map(|at| End {
            reason: EndReason::ApplicationReset,
            at,
        });
        let expiry = self
            .expiry()
            .filter(|end| end.at <= now || reset.is_some_and(|reset| end.at <= reset.at));
        [expiry, reset]
            .into_iter()
            .flatten()
            .min_by_key(|end| end.at)
    }

    /// Notes an access: the last one moves on to `now` but never back, the count goes
    /// up, a leave is taken back.
    pub fn access(&mut self, now: Timestamp) {
        self.last_access = self.last_access.max(now);
        self.accesses = self.accesses.saturating_add(1);
        self.leaves_at = None;
    }
}

/// The opaque 64-bit value that compare-and-set compares. Whoever writes draws the
/// next one at random.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Version(u64);

impl Version {
    /// The version with this value.
    pub fn new(value: u64) -> Self {
        Self(value)
    }

    /// Its value.
    pub fn get(self) -> u64 {
        self.0
    }
}

/// Which of a session's tokens is good: the one that carries this number, and for a
/// while perhaps the one before it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Rotation {
    number: u32,
    previous_until: Option<Timestamp>,
}

impl Rotation {
    /// The largest number: 24 bits.
    pub const MAX: u32 = (1 << 24) - 1;

    /// The number, and the instant until which the previous number still reads.
    ///
    /// # Errors
    /// `Invalid` for a number beyond 24 bits.
    pub fn new(number: u32, previous_until: Option<Timestamp>) -> Result<Self> {
        if number > Self::MAX {
            return Err(Error::invalid("a rotation number has at most 24 bits"));
        }
        Ok(Self {
            number,
            previous_until,
        })
    }

    /// The number that the good token carries.
    pub fn number(self) -> u32 {
        self.number
    }

    /// Until when, exclusively, the token with the previous number still reads.
    pub fn previous_until(self) -> Option<Timestamp> {
        self.previous_until
    }
}

/// A session's attributes as one opaque string of bytes; `Debug` shows its length.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Payload(Bytes);

impl Payload {
    /// A payload of these bytes. Copies nothing.
    pub fn new(bytes: impl Into<Bytes>) -> Self {
        Self(bytes.into())
    }

    /// The bytes.
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// The bytes, shared. Copies nothing.
    pub fn into_bytes(self) -> Bytes {
        self.0
    }

    /// How many bytes.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there are none. An empty payload is a payload.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl fmt::Debug for Payload {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Payload({} bytes)", self.0.len())
    }
}
