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

/// A ring without the world's key.
pub(crate) fn new_alone() -> KeyRing {
    ring("2027-01", 8)
}

/// The ring after a new key became the primary.
pub(crate) fn new_then_old() -> KeyRing {
    let both = new_alone().accept("2026-11", secret(7));
    both.expect("two good keys")
}

/// The ring before that.
pub(crate) fn old_then_new() -> KeyRing {
    let both = ring("2026-11", 7).accept("2027-01", secret(8));
    both.expect("two good keys")
}
