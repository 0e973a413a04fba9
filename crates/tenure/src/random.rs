//! Where random bytes come from: the operating system, or nowhere.

use std::fmt;
use std::sync::{Mutex, PoisonError};

use zeroize::Zeroize as _;

use crate::{Error, Result};

/// Where random bytes come from.
///
/// Session secrets, nonces and versions are drawn from it, so that whoever can guess
/// its bytes can guess sessions: outside of tests there is [`OsRandomness`] only.
pub trait Randomness: fmt::Debug + Send + Sync {
    /// Fills all of `bytes`.
    ///
    /// # Errors
    /// [`Error::Randomness`] if there are none; the call for which they were drawn then
    /// fails, and what is in `bytes` is used for nothing.
    fn fill(&self, bytes: &mut [u8]) -> Result<()>;
}

/// The operating system's random bytes. If it has none that is an error: nothing weaker
/// takes their place.
///
/// ```
/// use tenure::{OsRandomness, Randomness};
///
/// let mut bytes = [0; 32];
/// OsRandomness.fill(&mut bytes)?;
/// assert_ne!(bytes, [0; 32]);
/// # Ok::<(), tenure::Error>(())
/// ```
#[derive(Clone, Copy, Debug, Default)]
pub struct OsRandomness;

impl Randomness for OsRandomness {
    fn fill(&self, bytes: &mut [u8]) -> Result<()> {
        getrandom::fill(bytes).map_err(|error| Error::Randomness(error.into()))
    }
}

/// A secret, a version and two nonces: all that a session needs up to its first token.
const LOT: usize = 16 + 8 + 12 + 12;

/// Random bytes for one handle, none longer than a lot and drawn by the lot: a system call
/// for each would be a good part of what a request costs.
///
/// Each byte is handed out once, and wiped as it goes; what is left goes with the handle.
/// Handles share nothing, and a process that forks copies no more of this than it copies
/// of their secrets: a handle is to be used on one side of a fork only.
#[derive(Debug, Default)]
pub(crate) struct Reserve(Mutex<Lot>);

struct Lot {
    bytes: [u8; LOT],
    used: usize,
}

impl Default for Lot {
    /// Nothing is drawn before somebody asks.
    fn default() -> Self {
        Self {
            bytes: [0; LOT],
            used: LOT,
        }
    }
}

impl Reserve {
    /// What is in reserve, filled up from this source. It is lent, not kept: a count of
    /// its holders would be written by all threads, with each request.
    pub(crate) fn over<'a>(&'a self, source: &'a dyn Randomness) -> impl Randomness + 'a {
        Reserved {
            reserve: self,
            source,
        }
    }
}

#[derive(Debug)]
struct Reserved<'a> {
    reserve: &'a Reserve,
    source: &'a dyn Randomness,
}

impl Randomness for Reserved<'_> {
    fn fill(&self, bytes: &mut [u8]) -> Result<()> {
        let Reserve(lot) = self.reserve;
        let lot = &mut *lot.lock().unwrap_or_else(PoisonError::into_inner);
        if lot.bytes.len() - lot.used < bytes.len() {
            // What is left of it is given up, also if there is no other.
            lot.used = LOT;
            self.source.fill(&mut lot.bytes)?;
            lot.used = 0;
        }
        let handed_out = &mut lot.bytes[lot.used..][..bytes.len()];
        bytes.copy_from_slice(handed_out);
        handed_out.zeroize();
        lot.used += bytes.len();
        Ok(())
    }
}

impl fmt::Debug for Lot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Lot(..)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::test_support::NoRandomness;

    /// Counts up from one lot to the next.
    #[derive(Debug, Default)]
    struct Endless(Mutex<u8>);

    impl Randomness for Endless {
        fn fill(&self, bytes: &mut [u8]) -> Result<()> {
            let mut next = self.0.lock().expect("nobody panics");
            for byte in bytes {
                *byte = *next;
                *next += 1;
            }
            Ok(())
        }
    }

    fn take<const N: usize>(random: &impl Randomness) -> [u8; N] {
        let mut bytes = [0; N];
        random.fill(&mut bytes).expect("there are some");
        bytes
    }

    #[test]
    fn no_byte_is_handed_out_twice_and_none_stays() {
        let (reserve, source) = (Reserve::default(), Endless::default());
        let random = reserve.over(&source);
        let handed_out = [take::<16>(&random), take(&random)].concat();
        assert_eq!(handed_out, (0..32).collect::<Vec<_>>());
        assert_eq!(take(&random), [32, 33, 34, 35, 36, 37, 38, 39]);
        assert_eq!(reserve.0.lock().unwrap().bytes[..40], [0; 40]);
        // Of what is too little nothing is used.
        assert_eq!(
            take(&random),
            [48, 49, 50, 51, 52, 53, 54, 55, 56, 57, 58, 59]
        );
    }

    #[test]
    fn a_failed_draw_leaves_nothing_to_hand_out() {
        let reserve = Reserve::default();
        for _ in 0..2 {
            let refused = reserve.over(&NoRandomness).fill(&mut [0; 8]);
            assert!(matches!(refused, Err(Error::Randomness(_))));
        }
    }

    #[test]
    fn debug_shows_nothing_of_a_reserve() {
        let reserve = Reserve::default();
        take::<16>(&reserve.over(&OsRandomness));
        assert!(format!("{reserve:?}").contains("data: Lot(..)"));
    }
}
