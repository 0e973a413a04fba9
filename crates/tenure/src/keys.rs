//! The keys that one namespace uses now. They can be exchanged at any time: whoever is
//! about to seal or open something asks for them anew.

use std::fmt;
use std::sync::Arc;

use arc_swap::{ArcSwap, Guard};
use tenure_store::Namespace;

use crate::KeyRing;
use crate::key_set::KeySet;
use crate::payload::Sealing;
use crate::seal::Purpose;

/// What seals and opens the tokens and payloads of one namespace, derived once for each
/// ring.
#[derive(Debug)]
pub(crate) struct NamespaceKeys {
    pub(crate) tokens: KeySet,
    pub(crate) payloads: KeySet,
    pub(crate) sealing: Sealing,
}

impl NamespaceKeys {
    pub(crate) fn new(ring: &KeyRing, ns: &Namespace, sealing: Sealing) -> Self {
        let set = |purpose| {
            let keys: Vec<_> = ring.source_keys(purpose, ns.application()).collect();
            KeySet::new(purpose, ns, &keys)
        };
        Self {
            tokens: set(Purpose::Token),
            payloads: set(Purpose::Payload),
            sealing,
        }
    }
}

/// Holds the keys in use. Whoever asks for them writes nothing that threads share.
pub(crate) struct Keys {
    ns: Namespace,
    sealing: Sealing,
    current: ArcSwap<NamespaceKeys>,
}

impl Keys {
    pub(crate) fn new(ring: &KeyRing, ns: &Namespace, sealing: Sealing) -> Self {
        Self {
            ns: ns.clone(),
            sealing,
            current: ArcSwap::from_pointee(NamespaceKeys::new(ring, ns, sealing)),
        }
    }

    /// The keys of this moment. They stay whole whatever is exchanged meanwhile; what
    /// waits for something asks again afterwards.
    pub(crate) fn current(&self) -> Guard<Arc<NamespaceKeys>> {
        self.current.load()
    }

    pub(crate) fn exchange(&self, ring: &KeyRing) {
        let next = Arc::new(NamespaceKeys::new(ring, &self.ns, self.sealing));
        self.current.store(next);
        tracing::info!(namespace = %self.ns, keys = ?ring, "the keys were exchanged");
    }
}

impl fmt::Debug for Keys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Keys").field(&self.current()).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::secret::Secret;
    use crate::test_support::{Counting, NOW, master, portal};

    #[test]
    fn what_was_taken_stays_whole_when_the_keys_are_exchanged() {
        let ring = |seed| KeyRing::new("a", master(seed)).expect("a good name");
        let keys = Keys::new(&ring(1), &portal(), Sealing::On);
        let before = keys.current();
        keys.exchange(&ring(2));
        let secret = Secret::draw(&Counting(0)).expect("it counts");
        let token = before.tokens.seal_token(&secret, 0, &Counting(0));
        let token = token.expect("sealed");
        assert!(before.tokens.open_token(token.as_str(), NOW).is_some());
        let after = keys.current();
        assert!(after.tokens.open_token(token.as_str(), NOW).is_none());
    }
}
