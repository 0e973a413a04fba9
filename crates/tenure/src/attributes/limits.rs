//! How much a session may hold.

use bytes::Bytes;

use super::{Attributes, entry_len};
use crate::{Error, Result};

/// How much a session may hold. What goes beyond is refused with [`Error::Limit`], and
/// what was there before stays.
///
/// Every request loads the whole session, and every change writes the whole of it: what
/// is large, or belongs to more than one session, has a better place in a table of its
/// own.
///
/// ```
/// use tenure::Limits;
///
/// let limits = Limits { payload: 256 * 1024, ..Limits::default() };
/// assert_eq!(limits.attributes, 256);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// How many attributes; 256 by default.
    pub attributes: usize,
    /// How long an attribute's name, in bytes; 128 by default.
    pub name: usize,
    /// How large all attributes together, in bytes as a store gets them, encryption
    /// included; 64 KiB by default. More than [`MAX_PAYLOAD`](Self::MAX_PAYLOAD) counts
    /// as that, and a store may take less.
    pub payload: usize,
}

/// How much a session takes in its store.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Size {
    /// How many attributes.
    pub(super) count: usize,
    /// How many bytes of payload.
    pub(super) bytes: usize,
}

impl Size {
    /// That of these attributes, whose payload has so many bytes.
    pub(crate) fn new(attributes: &Attributes, bytes: usize) -> Self {
        Self {
            count: attributes.len(),
            bytes,
        }
    }
}

impl Limits {
    /// The largest payload that any limit allows: 16 MiB.
    pub const MAX_PAYLOAD: usize = 16 * 1024 * 1024;

    /// Whether this attribute may get this value, beside the others.
    ///
    /// # Errors
    /// `Limit`.
    pub(crate) fn check_set(
        &self,
        attributes: &Attributes,
        name: &str,
        value: &Bytes,
    ) -> Result<()> {
        check(
            "the length of an attribute's name in bytes",
            name.len(),
            self.name,
        )?;
        let (old, new) = (attributes.get(name), entry_len(name, value));
        let Some(old) = old.map(|old| entry_len(name, old)) else {
            self.check_count(attributes.len() + 1)?;
            // A count of 251 takes two bytes more than one of 250.
            return self.check_stored(attributes.stored_len() + new + 2);
        };
        if new <= old {
            return Ok(());
        }
        self.check_stored(attributes.stored_len() - old + new)
    }

    /// Whether these attributes may be stored in place of others: changes that were each
    /// within the limits may be beyond them together, once those of other requests are
    /// among them. What does not grow is taken, as the limits may have been lowered since.
    ///
    /// # Errors
    /// `Limit`.
    pub(crate) fn check_all(&self, attributes: &Attributes, stored: Size) -> Result<()> {
        if attributes.len() > stored.count {
            self.check_count(attributes.len())?;
        }
        if attributes.frame_len() > stored.bytes {
            self.check_stored(attributes.stored_len())?;
        }
        Ok(())
    }

    fn check_count(&self, count: usize) -> Result<()> {
        check("the number of attributes", count, self.attributes)
    }

    fn check_stored(&self, length: usize) -> Result<()> {
        check(
            "the size of all attributes in bytes",
            length,
            self.payload.min(Self::MAX_PAYLOAD),
        )
    }
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            attributes: 256,
            name: 128,
            payload: 64 * 1024,
        }
    }
}

fn check(what: &'static str, actual: usize, limit: usize) -> Result<()> {
    if actual > limit {
        return Err(Error::Limit {
            what,
            actual,
            limit,
        });
    }
    Ok(())
}
