//! Where random bytes come from: the operating system, or nowhere.

use std::fmt;

use crate::{Error, Result};

/// Where random bytes come from.
///
/// Session secrets, nonces and versions are drawn from it, so that whoever can guess
/// its bytes can guess sessions: outside of tests there is [`OsRandomness`] only.
pub trait Randomness: fmt::Debug + Send + Sync + 'static {
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
