//! Whose sessions: an application's, or its visitors'.

use std::fmt;
use std::sync::Arc;

use crate::{Error, Result};

/// What a [`Namespace`] holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[non_exhaustive]
pub enum Kind {
    /// Sessions: short-lived, ended by time-out, logout or reset.
    Sessions,
    /// Visitors: long-lived attributes of a browser, beside its sessions.
    Visitors,
}

impl Kind {
    /// The number that stores write for it. It never changes.
    pub fn code(self) -> u8 {
        match self {
            Kind::Sessions => 1,
            Kind::Visitors => 2,
        }
    }

    /// The kind with this [code](Self::code), if there is one.
    pub fn from_code(code: u8) -> Option<Self> {
        [Kind::Sessions, Kind::Visitors]
            .into_iter()
            .find(|kind| kind.code() == code)
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Kind::Sessions => "sessions",
            Kind::Visitors => "visitors",
        })
    }
}

/// The sessions of one application, or its visitors: the unit that is reset, reaped,
/// listed and counted. No operation on one namespace ever sees another.
///
/// An application's name is case-sensitive and has 1 to 64 characters of
/// `A-Z a-z 0-9 . _ -`.
///
/// ```
/// use tenure_store::Namespace;
///
/// let portal = Namespace::sessions("portal")?;
/// assert_eq!(portal.application(), "portal");
/// assert_ne!(portal, Namespace::visitors("portal")?);
/// assert!(Namespace::sessions("no spaces").is_err());
/// # Ok::<(), tenure_store::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Namespace {
    kind: Kind,
    application: Arc<str>,
}

impl Namespace {
    /// The longest name of an application, in bytes.
    pub const MAX_APPLICATION: usize = 64;

    /// An application's sessions.
    ///
    /// # Errors
    /// `Invalid` for a name outside the rules.
    pub fn sessions(application: &str) -> Result<Self> {
        Self::new(Kind::Sessions, application)
    }

    /// An application's visitors.
    ///
    /// # Errors
    /// `Invalid` for a name outside the rules.
    pub fn visitors(application: &str) -> Result<Self> {
        Self::new(Kind::Visitors, application)
    }

    /// A namespace of this kind.
    ///
    /// # Errors
    /// `Invalid` for a name outside the rules.
    pub fn new(kind: Kind, application: &str) -> Result<Self> {
        let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"._-".contains(&byte);
        let length = application.len();
        if length == 0 || length > Self::MAX_APPLICATION || !application.bytes().all(allowed) {
            return Err(Error::invalid(
                "an application's name has 1 to 64 characters of A-Z a-z 0-9 . _ -",
            ));
        }
        Ok(Self {
            kind,
            application: application.into(),
        })
    }

    /// Sessions or visitors.
    pub fn kind(&self) -> Kind {
        self.kind
    }

    /// The application's name.
    pub fn application(&self) -> &str {
        &self.application
    }
}

impl fmt::Display for Namespace {
    /// `portal/sessions`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.application, self.kind)
    }
}

/// Which generation of a namespace's sessions is the present one, in a store's own
/// numbers. It means nothing to anybody else, nor for another id: it is read with
/// [`epoch`](crate::SessionStore::epoch), and good for one
/// [`import`](crate::SessionStore::import) of that id in that store.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Epoch(u64);

impl Epoch {
    /// The epoch with this number, by the store that hands it out.
    pub fn new(number: u64) -> Self {
        Self(number)
    }

    /// The number.
    pub fn get(self) -> u64 {
        self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_outside_the_rules_is_refused() {
        let longest = "a".repeat(64);
        for good in ["a", "Portal.2_x-y", longest.as_str()] {
            assert!(Namespace::sessions(good).is_ok(), "{good}");
        }
        let too_long = "a".repeat(65);
        for bad in [
            "",
            " ",
            "a b",
            "a/b",
            "a:b",
            "é",
            "a\0",
            "{a}",
            too_long.as_str(),
        ] {
            assert!(Namespace::sessions(bad).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn every_kind_is_found_by_its_code() {
        for kind in [Kind::Sessions, Kind::Visitors] {
            assert_eq!(Kind::from_code(kind.code()), Some(kind));
        }
        assert_eq!(Kind::from_code(0), None);
    }
}
