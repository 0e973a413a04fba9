//! The one sealed form, of tokens and of payloads:
//! `version 1 | key id 3 | nonce 12 | ciphertext | tag 16`, under AES-256-GCM-SIV.
//!
//! The nonce is random. Should one ever repeat under a key, this cipher (RFC 8452) gives
//! away no more than whether two texts were the same.

use std::ops::Range;

use tenure_store::Namespace;

use crate::cipher::{Cipher, NONCE, TAG};
use crate::{Randomness, Result};

/// Which of a ring's keys sealed it. Computed from the key, so that no two nodes can
/// disagree.
pub(crate) type KeyId = [u8; 3];

/// What a key is for. Each purpose has a key of its own.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Purpose {
    Token,
    Payload,
}

impl Purpose {
    pub(crate) fn label(self) -> &'static [u8] {
        match self {
            Purpose::Token => b"tenure/v1/token",
            Purpose::Payload => b"tenure/v1/payload",
        }
    }
}

/// The version byte. A higher one may bring another cipher, with keys of its own as the
/// labels count versions too.
pub(crate) const VERSION: u8 = 1;

/// The version byte of a payload in the clear.
pub(crate) const PLAIN: u8 = 0;

const HEADER: usize = 4;

/// What comes before the ciphertext.
const FRONT: usize = HEADER + NONCE;

/// By how much sealing lengthens a text.
pub(crate) const OVERHEAD: usize = FRONT + TAG;

/// One key, for one purpose in one namespace. Its key schedule is wiped when dropped.
pub(crate) struct SealingKey {
    cipher: Cipher,
    header: [u8; HEADER],
    /// Label, header, kind of namespace, length-prefixed application: what is bound to
    /// every text, so that those of another namespace are noise.
    context: Bound,
}

impl SealingKey {
    pub(crate) fn new(purpose: Purpose, key: &[u8; 32], id: KeyId, ns: &Namespace) -> Self {
        let header = [VERSION, id[0], id[1], id[2]];
        let application = ns.application().as_bytes();
        let mut context = Bound {
            bytes: [0; Bound::LONGEST],
            length: 0,
        };
        context.push(purpose.label());
        context.push(&header);
        context.push(&[ns.kind().code()]);
        context.push(&length_prefix(application));
        context.push(application);
        Self {
            cipher: Cipher::new(key),
            header,
            context,
        }
    }

    pub(crate) fn id(&self) -> KeyId {
        let [_, id @ ..] = self.header;
        id
    }

    /// Turns a text into its sealed form, in place: nothing moves to another allocation
    /// if there is room for [`OVERHEAD`] more bytes. It opens only where the same bytes
    /// are given as `bound_to`.
    pub(crate) fn seal(
        &self,
        text: &mut Vec<u8>,
        bound_to: &[u8],
        random: &dyn Randomness,
    ) -> Result<()> {
        let length = text.len();
        text.reserve_exact(OVERHEAD);
        text.resize(length + OVERHEAD, 0);
        text.copy_within(..length, FRONT);
        let front = text
            .first_chunk_mut::<FRONT>()
            .expect("it was just made long enough");
        front[..HEADER].copy_from_slice(&self.header);
        random.fill(&mut front[HEADER..])?;
        let nonce = *front.last_chunk().expect("it ends with the nonce");
        let body = &mut text[FRONT..FRONT + length];
        let tag = self
            .cipher
            .seal(nonce, self.bound(bound_to).as_slice(), body);
        text[FRONT + length..].copy_from_slice(&tag);
        Ok(())
    }

    /// Decrypts a sealed form where it lies, and says where the text is in it. `None` if
    /// anything about it is wrong; what is there is then worth nothing.
    pub(crate) fn open(&self, sealed: &mut [u8], bound_to: &[u8]) -> Option<Range<usize>> {
        let end = sealed.len().checked_sub(TAG)?;
        let (front, body) = sealed.split_first_chunk_mut::<FRONT>()?;
        let nonce = *front.last_chunk::<NONCE>()?;
        let bound = self.bound(bound_to);
        self.cipher.open(nonce, bound.as_slice(), body)?;
        Some(FRONT..end)
    }

    fn bound(&self, bound_to: &[u8]) -> Bound {
        let mut bound = self.context;
        bound.push(bound_to);
        bound
    }
}

/// What is bound to a text: a few short parts, side by side on the stack.
#[derive(Clone, Copy)]
struct Bound {
    bytes: [u8; Self::LONGEST],
    length: usize,
}

impl Bound {
    /// The longest label, header, kind, length, the longest application, a session's id.
    const LONGEST: usize = 17 + HEADER + 2 + Namespace::MAX_APPLICATION + 16;

    fn push(&mut self, part: &[u8]) {
        let end = self.length + part.len();
        self.bytes[self.length..end].copy_from_slice(part);
        self.length = end;
    }

    fn as_slice(&self) -> &[u8] {
        &self.bytes[..self.length]
    }
}

/// The version and key id that a sealed form claims; `None` if it is too short to be one.
pub(crate) fn header(sealed: &[u8]) -> Option<(u8, KeyId)> {
    match *sealed {
        [version, a, b, c, ..] if sealed.len() >= OVERHEAD => Some((version, [a, b, c])),
        _ => None,
    }
}

/// Before a name that others follow, so that no two lists of names read the same.
pub(crate) fn length_prefix(application: &[u8]) -> [u8; 1] {
    [u8::try_from(application.len()).expect("an application's name has at most 64 bytes")]
}
