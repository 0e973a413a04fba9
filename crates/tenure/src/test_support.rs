//! Keys and random bytes that are the same in every test.

use sha2::{Digest, Sha256};
use tenure_store::{Namespace, Timestamp};

use crate::key_set::KeySet;
use crate::keys::NamespaceKeys;
use crate::payload::Sealing;
use crate::{Error, KeyRing, MasterSecret, Randomness, Result};

/// An instant like any other, for keys that have no date.
pub(crate) const NOW: Timestamp = Timestamp::MIN;

/// Bytes that count up from a start: what known answers are made with.
#[derive(Debug)]
pub(crate) struct Counting(pub(crate) u8);

impl Randomness for Counting {
    fn fill(&self, bytes: &mut [u8]) -> Result<()> {
        let mut next = self.0;
        for byte in bytes {
            *byte = next;
            next = next.wrapping_add(1);
        }
        Ok(())
    }
}

/// An operating system without random bytes.
#[derive(Debug)]
pub(crate) struct NoRandomness;

impl Randomness for NoRandomness {
    fn fill(&self, _: &mut [u8]) -> Result<()> {
        Err(Error::Randomness("none left".into()))
    }
}

/// 32 bytes that look random and are the same for the same seed: SHA-256 of its four
/// bytes, the lowest first.
pub(crate) fn random_bytes(seed: u32) -> [u8; 32] {
    Sha256::digest(seed.to_le_bytes()).into()
}

pub(crate) fn master(seed: u32) -> MasterSecret {
    MasterSecret::from_bytes(random_bytes(seed)).expect("a hash is no weak secret")
}

/// The keys of a namespace under a ring with the key of the first seed as its primary
/// and the others accepted.
pub(crate) fn keys(seeds: &[u32], ns: &Namespace) -> NamespaceKeys {
    let (primary, accepted) = seeds.split_first().expect("a ring has a key");
    let ring = KeyRing::new(&format!("key-{primary}"), master(*primary)).expect("a good name");
    let ring = accepted.iter().fold(ring, |ring, seed| {
        ring.accept(&format!("key-{seed}"), master(*seed))
            .expect("seeds differ")
    });
    NamespaceKeys::new(&ring, ns, Sealing::On)
}

/// Of those keys, the ones for tokens.
pub(crate) fn token_keys(seeds: &[u32], ns: &Namespace) -> KeySet {
    keys(seeds, ns).tokens
}

pub(crate) fn portal() -> Namespace {
    Namespace::sessions("portal").expect("a good name")
}
