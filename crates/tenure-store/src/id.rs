//! Which session, and whose.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use uuid::Uuid;

use crate::{Error, Result};

/// A session's id: a UUID of version 8 ([RFC 9562]), made by the library from a hash
/// of the session's secret.
///
/// It may be logged and shown: nobody can make a token of it. Stores take it as they
/// get it; only the pair of [`Namespace`](crate::Namespace) and id is unique.
///
/// [RFC 9562]: https://www.rfc-editor.org/rfc/rfc9562#section-5.8
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct SessionId(Uuid);

impl SessionId {
    /// The id with these 122 bits; version and variant are put in their places.
    pub fn from_digest(digest: [u8; 16]) -> Self {
        Self(uuid::Builder::from_custom_bytes(digest).into_uuid())
    }

    /// The id that was stored as these bytes.
    pub fn from_bytes(bytes: [u8; 16]) -> Self {
        Self(Uuid::from_bytes(bytes))
    }

    /// The 16 bytes to store.
    pub fn as_bytes(&self) -> &[u8; 16] {
        self.0.as_bytes()
    }
}

impl fmt::Display for SessionId {
    /// Hyphenated lower-case hexadecimal, 36 characters.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.hyphenated().fmt(f)
    }
}

impl fmt::Debug for SessionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl FromStr for SessionId {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let uuid = Uuid::try_parse(text).map_err(|error| {
            Error::invalid("a session id is a UUID such as a list shows it").with_source(error)
        })?;
        Ok(Self(uuid))
    }
}

/// Whose session it is, once somebody logged in: opaque text of 1 to 256 bytes
/// without NUL. Compared byte for byte, and redacted in `Debug`.
///
/// ```
/// use tenure_store::Principal;
///
/// let alice = Principal::new("alice")?;
/// assert_eq!(alice.as_str(), "alice");
/// assert_eq!(format!("{alice:?}"), "Principal(5 bytes)");
/// assert!(Principal::new("").is_err());
/// # Ok::<(), tenure_store::Error>(())
/// ```
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Principal(Arc<str>);

impl Principal {
    /// The longest principal, in bytes.
    pub const MAX: usize = 256;

    /// A principal of this name.
    ///
    /// # Errors
    /// `Invalid` if it is empty, longer than 256 bytes, or has a NUL in it.
    pub fn new(name: &str) -> Result<Self> {
        if name.is_empty() || name.len() > Self::MAX || name.contains('\0') {
            return Err(Error::invalid(
                "a principal is text of 1 to 256 bytes without NUL",
            ));
        }
        Ok(Self(name.into()))
    }

    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Principal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Principal({} bytes)", self.0.len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_survives_text_and_bytes() {
        let id = SessionId::from_digest([0xff; 16]);
        assert_eq!(id.to_string(), "ffffffff-ffff-8fff-bfff-ffffffffffff");
        assert_eq!(id.to_string().parse::<SessionId>().expect("parses"), id);
        assert_eq!(SessionId::from_bytes(*id.as_bytes()), id);
        assert!("alice".parse::<SessionId>().is_err());
    }

    #[test]
    fn a_principal_outside_the_rules_is_refused() {
        assert!(Principal::new(&"é".repeat(128)).is_ok());
        for bad in [String::new(), "a\0b".to_owned(), "é".repeat(129)] {
            assert!(Principal::new(&bad).is_err());
        }
    }
}
