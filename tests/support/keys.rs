//! Strong keys that are the same in every run.

use tenure::{KeyRing, MasterSecret};

/// The secret of this seed.
pub(crate) fn secret(seed: u8) -> MasterSecret {
    let bytes: Vec<u8> = (0..32u8)
        .map(|i| i.wrapping_mul(31) ^ seed.wrapping_mul(77))
        .collect();
    MasterSecret::from_bytes(bytes).expect("strong enough")
}

/// A ring of one key, the secret of this seed.
pub(crate) fn ring(name: &str, seed: u8) -> KeyRing {
    KeyRing::new(name, secret(seed)).expect("a ring")
}
