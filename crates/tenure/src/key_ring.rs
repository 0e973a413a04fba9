//! Which keys a service has: a named primary that seals, and older ones that still open,
//! for ever or until a date.

use std::fmt;
use std::path::Path;
use std::sync::Arc;

use tenure_store::{Namespace, Timestamp};

use crate::key_set::SourceKey;
use crate::peek_right::PeekRight;
use crate::seal::Purpose;
use crate::{Error, MasterSecret, Result, ring_text, secret_text};

/// The keys of a service: a named primary, which seals whatever is new, and any number of
/// older ones that are still accepted. Cheap to clone.
///
/// A token or payload under an accepted key is sealed anew with the next request that
/// commits; one under a key that is not in the ring, or past its date, is as good as
/// lost. [Rotating keys](crate::guides::rotating_keys) says in which order to do what.
///
/// Names are for people, and appear in `Debug`; nothing is derived from them.
///
/// ```
/// use tenure::{KeyRing, MasterSecret, Timestamp};
///
/// let (new, old) = (MasterSecret::generate()?, MasterSecret::generate()?);
/// let until = Timestamp::from_millis(1_798_761_600_000)?; // the start of 2027
/// let ring = KeyRing::new("2026-11", new)?.accept_until("2026-05", old, until)?;
/// assert_eq!(ring.names().collect::<Vec<_>>(), ["2026-11", "2026-05"]);
/// # Ok::<(), tenure::Error>(())
/// ```
#[derive(Clone)]
pub struct KeyRing {
    primary: Arc<Named>,
    accepted: Vec<Arc<Named>>,
}

struct Named {
    name: Box<str>,
    secret: MasterSecret,
    /// From when on it opens nothing. The primary has none.
    until: Option<Timestamp>,
}

impl KeyRing {
    /// A ring of one key.
    ///
    /// # Errors
    /// `Key` for a name other than 1 to 64 characters of `A-Z a-z 0-9 . _ -`, and for one
    /// that is itself the text of a secret.
    pub fn new(name: &str, secret: MasterSecret) -> Result<Self> {
        Ok(Self {
            primary: Named::new(name, secret, None)?,
            accepted: Vec::new(),
        })
    }

    /// The same ring, which still opens what was sealed under this key.
    ///
    /// # Errors
    /// `Key` for a name outside the rules, and for a name or a secret that is in the ring
    /// already.
    pub fn accept(self, name: &str, secret: MasterSecret) -> Result<Self> {
        self.admit(Named::new(name, secret, None)?)
    }

    /// As [`accept`](Self::accept), up to an instant: exactly at it, and from then on, the
    /// key is as one that is not in the ring. Nobody has to be there to remove it.
    ///
    /// # Errors
    /// As [`accept`](Self::accept).
    pub fn accept_until(self, name: &str, secret: MasterSecret, until: Timestamp) -> Result<Self> {
        self.admit(Named::new(name, secret, Some(until))?)
    }

    /// The ring that a text describes: one key a line, the primary first.
    ///
    /// ```text
    /// # name   secret, as of `openssl rand -hex 32`
    /// 2026-11  <64 hexadecimal digits>
    /// 2026-05  <or 44 characters of base64> until 2027-01-01T00:00:00Z
    /// ```
    ///
    /// Words are separated by blanks. A secret is [text](MasterSecret::from_text) without
    /// blanks; an end date is UTC, to the second, as in the example. `#` begins a comment,
    /// and `;` separates keys as the end of a line does, for variables that hold only one
    /// line. Anything else is refused.
    ///
    /// # Errors
    /// `KeyLine`, which names the line and shows nothing of it: what stands in the wrong
    /// place may be a secret. `Key` if there is no key at all.
    pub fn from_text(text: &str) -> Result<Self> {
        ring_text::parse(text)
    }

    /// The ring that an environment variable holds, as [text](Self::from_text).
    ///
    /// # Errors
    /// As [`from_text`](Self::from_text); also `Key` if the variable is not set.
    pub fn from_env(variable: &str) -> Result<Self> {
        Self::from_text(&secret_text::from_env(variable)?)
    }

    /// The ring that a file holds, as [text](Self::from_text), at most 64 KiB of it. Reads
    /// the file at once, blocking: for the start of a service.
    ///
    /// A file that every user of the machine can read or write is used, with a warning in
    /// the log: container platforms mount secrets so, where there are no other users.
    ///
    /// # Errors
    /// As [`from_text`](Self::from_text); also `Key` if the file cannot be read.
    pub fn from_file(path: impl AsRef<Path>) -> Result<Self> {
        Self::from_text(&secret_text::from_file(path.as_ref())?)
    }

    /// The names of its keys, the primary first.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.keys().map(|key| &*key.name)
    }

    /// The right to [peek](crate::Peeker) into an application's sessions, for as long as
    /// it goes by the keys that are in this ring now.
    ///
    /// # Errors
    /// `Store` with `Invalid` for a name that no application has.
    pub fn peek_right(&self, application: &str) -> Result<PeekRight> {
        let ns = Namespace::sessions(application)?;
        let keys = self.source_keys(Purpose::Token, application).collect();
        Ok(PeekRight::new(ns, keys))
    }

    /// The keys of one purpose of one application, the primary first.
    pub(crate) fn source_keys(
        &self,
        purpose: Purpose,
        application: &str,
    ) -> impl Iterator<Item = SourceKey> {
        self.keys()
            .map(move |key| SourceKey::derive(&key.secret, purpose, application, key.until))
    }

    fn admit(mut self, key: Arc<Named>) -> Result<Self> {
        if self.keys().any(|other| other.name == key.name) {
            return Err(Error::Key("two keys have the same name; name each anew"));
        }
        if self
            .keys()
            .any(|other| other.secret.as_bytes() == key.secret.as_bytes())
        {
            return Err(Error::Key(
                "two keys have the same secret; accept the one that was in use before",
            ));
        }
        self.accepted.push(key);
        Ok(self)
    }

    fn keys(&self) -> impl Iterator<Item = &Named> {
        std::iter::once(&self.primary)
            .chain(&self.accepted)
            .map(|key| &**key)
    }
}

impl fmt::Debug for KeyRing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("KeyRing")?;
        f.debug_list().entries(self.names()).finish()
    }
}

impl Named {
    fn new(name: &str, secret: MasterSecret, until: Option<Timestamp>) -> Result<Arc<Self>> {
        let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"._-".contains(&byte);
        if !(1..=64).contains(&name.len()) || !name.bytes().all(allowed) {
            return Err(Error::Key(
                "a key's name has 1 to 64 characters of A-Z a-z 0-9 . _ -, and is not the secret",
            ));
        }
        // Names are printed. Two lines that became one have a secret where the name is.
        if MasterSecret::is_written_as(name) {
            return Err(Error::Key(
                "the name of a key is the text of a secret: was a line break lost? Give the key a \
                 name, and take another secret if this one was shown to anybody",
            ));
        }
        Ok(Arc::new(Self {
            name: name.into(),
            secret,
            until,
        }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::test_support::master;

    fn refusal(result: Result<KeyRing>) -> &'static str {
        match result {
            Err(Error::Key(why)) => why,
            other => panic!("expected a refused key, got {other:?}"),
        }
    }

    #[test]
    fn a_key_or_name_that_is_in_the_ring_already_is_refused() {
        let ring = KeyRing::new("new", master(1)).and_then(|ring| ring.accept("old", master(2)));
        let ring = ring.expect("two keys");
        for (name, seed) in [("new", 3), ("old", 3), ("other", 1), ("other", 2)] {
            refusal(ring.clone().accept(name, master(seed)));
            refusal(
                ring.clone()
                    .accept_until(name, master(seed), Timestamp::MAX),
            );
        }
        assert!(ring.accept("other", master(3)).is_ok());
    }

    #[test]
    fn a_name_outside_the_rules_is_refused() {
        for bad in ["", "two words", "é", "a\0", &"a".repeat(65)] {
            refusal(KeyRing::new(bad, master(1)));
        }
        assert!(KeyRing::new(&"a".repeat(64), master(1)).is_ok());
    }

    /// Names are printed.
    #[test]
    fn the_text_of_a_secret_is_no_name() {
        let bytes = crate::test_support::random_bytes(3);
        let hex = data_encoding::HEXLOWER.encode(&bytes);
        // Some that base64 writes without a sign that no name has; of 33 bytes with no padding.
        let base64 = |more: &[u8]| {
            (0..).find_map(|seed| {
                let bytes = [&crate::test_support::random_bytes(seed)[..], more].concat();
                let text = data_encoding::BASE64.encode(&bytes);
                let text = text.trim_end_matches('=');
                (!text.contains(['+', '/'])).then(|| text.to_owned())
            })
        };
        let [padded, whole] = [b"".as_slice(), b"x"].map(|more| base64(more).expect("many"));
        for secret in [hex.as_str(), &hex.to_uppercase(), &padded, &whole] {
            let told = refusal(KeyRing::new(secret, master(1)));
            assert!(told.contains("line break"), "{told}");
            let ring = KeyRing::new("new", master(1)).expect("a good name");
            refusal(ring.accept(secret, master(2)));
            let line = format!("{secret} {}", data_encoding::HEXLOWER.encode(&bytes));
            let refused = KeyRing::from_text(&line).expect_err("no name");
            assert!(!format!("{refused} {refused:?}").contains(&secret[..6]));
        }
    }

    #[test]
    fn debug_shows_names_and_nothing_else() {
        let ring = KeyRing::new("2026-11", master(1)).expect("a good name");
        let ring = ring.accept("2026-05", master(2)).expect("a good name");
        let shown = format!("{ring:?}");
        assert_eq!(shown, r#"KeyRing["2026-11", "2026-05"]"#);
    }
}
