//! What makes a session unguessable, and the one-way road from it to the session's id.

use std::fmt;

use sha2::{Digest, Sha256};
use tenure_store::SessionId;
use zeroize::{Zeroize, ZeroizeOnDrop};

use crate::{Randomness, Result};

const LABEL: &[u8] = b"tenure/v1/session id";

/// 16 random bytes. They live in the token only: the store is given their hash.
#[derive(Zeroize, ZeroizeOnDrop)]
pub(crate) struct Secret([u8; Self::LENGTH]);

impl Secret {
    pub(crate) const LENGTH: usize = 16;

    pub(crate) fn draw(random: &dyn Randomness) -> Result<Self> {
        let mut secret = Self([0; Self::LENGTH]);
        random.fill(&mut secret.0)?;
        Ok(secret)
    }

    pub(crate) fn from_bytes(bytes: &[u8; Self::LENGTH]) -> Self {
        Self(*bytes)
    }

    pub(crate) fn as_bytes(&self) -> &[u8; Self::LENGTH] {
        &self.0
    }

    /// The first half of a SHA-256 hash: whoever reads the store learns no secret, and
    /// the label keeps these hashes apart from all others.
    pub(crate) fn session_id(&self) -> SessionId {
        let hash = Sha256::new()
            .chain_update(LABEL)
            .chain_update(self.0)
            .finalize();
        let mut digest = [0; 16];
        digest.copy_from_slice(&hash[..16]);
        SessionId::from_digest(digest)
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(..)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::OsRandomness;
    use crate::test_support::NoRandomness;

    /// Counts 128 columns of bits at once: plane `p` holds bit `p` of each column's sum.
    #[derive(Default)]
    struct BitCounts([u128; 21]);

    impl BitCounts {
        fn add(&mut self, bits: u128) {
            let mut carry = bits;
            for plane in &mut self.0 {
                if carry == 0 {
                    break;
                }
                (*plane, carry) = (*plane ^ carry, *plane & carry);
            }
        }

        fn of(&self, column: u32) -> u32 {
            (0..).zip(&self.0).fold(0, |sum, (power, plane)| {
                sum | u32::from(plane >> column & 1 == 1) << power
            })
        }
    }

    #[test]
    fn a_million_secrets_never_repeat_and_each_bit_is_fair() {
        const MANY: u32 = 1_000_000;
        let mut counts = BitCounts::default();
        let mut seen = std::collections::HashSet::with_capacity(MANY as usize);
        for _ in 0..MANY {
            let secret = Secret::draw(&OsRandomness).expect("the system has random bytes");
            let bits = u128::from_le_bytes(*secret.as_bytes());
            counts.add(bits);
            assert!(seen.insert(bits), "a secret came twice");
        }
        for column in 0..128 {
            let ones = counts.of(column);
            assert!(
                (497_000..=503_000).contains(&ones),
                "bit {column} was set {ones} times"
            );
        }
    }

    #[test]
    fn without_random_bytes_there_is_no_secret() {
        assert!(matches!(
            Secret::draw(&NoRandomness),
            Err(crate::Error::Randomness(_))
        ));
    }

    #[test]
    fn debug_shows_nothing_of_a_secret() {
        assert_eq!(format!("{:?}", Secret([0x61; 16])), "Secret(..)");
    }
}
