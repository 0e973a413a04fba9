//! From a ring to keys: HKDF-SHA-256 gives each application keys of its own, one for each
//! purpose, and each set of them knows which key seals and which still open.

use std::fmt;

use hkdf::Hkdf;
use sha2::Sha256;
use tenure_store::{Namespace, Timestamp};
use zeroize::Zeroizing;

use crate::MasterSecret;
use crate::seal::{KeyId, Purpose, SealingKey, length_prefix};

/// What one master secret gives one application for one purpose.
pub(crate) struct SourceKey {
    pub(crate) id: KeyId,
    pub(crate) bytes: Zeroizing<[u8; 32]>,
    /// From when on it opens nothing.
    pub(crate) until: Option<Timestamp>,
}

impl SourceKey {
    /// What is bound to a kind of namespace is bound when it is sealed: the same key
    /// serves an application's sessions and visitors.
    pub(crate) fn derive(
        secret: &MasterSecret,
        purpose: Purpose,
        application: &str,
        until: Option<Timestamp>,
    ) -> Self {
        let hkdf = Hkdf::<Sha256>::new(Some(b"tenure"), secret.as_bytes());
        let expand = |label: &[u8], bytes: &mut [u8]| {
            let application = application.as_bytes();
            let info = [label, &length_prefix(application), application];
            hkdf.expand_multi_info(&info, bytes)
                .expect("HKDF-SHA-256 gives up to 8,160 bytes");
        };
        let mut key = Self {
            id: [0; 3],
            bytes: Zeroizing::new([0; 32]),
            until,
        };
        // Public: it stands at the head of everything sealed.
        expand(b"tenure/v1/key id", &mut key.id);
        expand(purpose.label(), &mut *key.bytes);
        key
    }
}

/// Whether what a key sealed is to be sealed anew.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum KeyAge {
    Primary,
    /// The ring has a newer one.
    Accepted,
}

/// The keys of one purpose in one namespace: the first seals, all open, those with a date
/// only before it.
pub(crate) struct KeySet(Vec<(SealingKey, Option<Timestamp>)>);

impl KeySet {
    /// The set of these keys, the primary first.
    pub(crate) fn new<'a>(
        purpose: Purpose,
        ns: &Namespace,
        keys: impl IntoIterator<Item = &'a SourceKey>,
    ) -> Self {
        let key = |key: &SourceKey| {
            let sealing = SealingKey::new(purpose, &key.bytes, key.id, ns);
            (sealing, key.until)
        };
        Self(keys.into_iter().map(key).collect())
    }

    /// The key that seals.
    pub(crate) fn primary(&self) -> &SealingKey {
        let (key, _) = self.0.first().expect("a ring has a primary");
        key
    }

    /// The keys with this id that open something at this instant: none, or one. Once in
    /// some 16 million rings two keys have the same, and both are then tried, so that
    /// neither's tokens are lost.
    pub(crate) fn with_id(
        &self,
        id: KeyId,
        now: Timestamp,
    ) -> impl Iterator<Item = (KeyAge, &SealingKey)> {
        let ages = std::iter::once(KeyAge::Primary).chain(std::iter::repeat(KeyAge::Accepted));
        ages.zip(&self.0)
            .filter(move |(_, (key, until))| key.id() == id && until.is_none_or(|at| now < at))
            .map(|(age, (key, _))| (age, key))
    }

    pub(crate) fn len(&self) -> usize {
        self.0.len()
    }
}

impl fmt::Debug for KeySet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "KeySet({})", self.len())
    }
}

#[cfg(test)]
mod tests {
    use aes::Aes256Enc;
    use zeroize::ZeroizeOnDrop;

    use super::*;
    use crate::KeyRing;
    use crate::test_support::{keys, master, portal};

    fn source(seed: u32, purpose: Purpose, application: &str) -> SourceKey {
        SourceKey::derive(&master(seed), purpose, application, None)
    }

    #[test]
    fn each_application_and_each_purpose_has_keys_of_its_own() {
        let id = |seed, name| source(seed, Purpose::Token, name).id;
        assert_ne!(id(1, "portal"), id(1, "shop"));
        assert_ne!(id(1, "portal"), id(2, "portal"));
        assert_eq!(id(1, "portal"), id(1, "portal"));

        let key = |name, purpose| *source(1, purpose, name).bytes;
        assert_ne!(key("portal", Purpose::Token), key("shop", Purpose::Token));
        assert_ne!(
            key("portal", Purpose::Token),
            key("portal", Purpose::Payload)
        );
    }

    #[test]
    fn names_change_no_key() {
        let rename = |name| {
            let ring = KeyRing::new(name, master(1)).expect("a good name");
            let first = ring.source_keys(Purpose::Token, "portal").next();
            *first.expect("a primary").bytes
        };
        assert_eq!(rename("one"), rename("two"));
    }

    #[test]
    fn a_key_opens_before_its_date_and_not_from_it_on() {
        let at = |millis| Timestamp::from_millis_clamped(millis);
        let ring = KeyRing::new("new", master(1)).expect("a good name");
        let ring = ring.accept_until("old", master(2), at(1000));
        let sources: Vec<_> = ring
            .expect("two keys")
            .source_keys(Purpose::Token, "portal")
            .collect();
        let set = KeySet::new(Purpose::Token, &portal(), &sources);
        let opens = |source: &SourceKey, now| set.with_id(source.id, at(now)).count() == 1;
        assert!(opens(&sources[1], -1) && opens(&sources[1], 999));
        assert!(!opens(&sources[1], 1000) && !opens(&sources[1], 1001));
        assert!(opens(&sources[0], 1000), "the primary has no date");
    }

    #[test]
    fn debug_shows_a_number_and_nothing_else() {
        let keys = keys(&[1, 2], &portal());
        assert_eq!(
            format!("{keys:?}"),
            "NamespaceKeys { tokens: KeySet(2), payloads: KeySet(2), sealing: On }"
        );
    }

    /// Compiles only if the key schedules in use are wiped.
    #[test]
    fn key_schedules_are_wiped() {
        fn is_wiped<T: ZeroizeOnDrop>() {}
        is_wiped::<Aes256Enc>();
    }
}
