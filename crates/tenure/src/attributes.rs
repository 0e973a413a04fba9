//! The user's named values, and the frame in which they are stored: one format byte, then
//! bincode. The one file that knows bincode.
//!
//! Values stay encoded until somebody reads them: a request pays for the attributes it
//! uses, and what did not change is written back as it came.

mod by_name;
#[cfg(test)]
mod forms;
mod guard;
mod limits;
mod name;
mod value;

use std::fmt;

use bincode::config::{Config, standard};
use bincode::de::{BorrowDecode, BorrowDecoder, Decode};
use bincode::enc::{Encode, Encoder};
use bincode::error::{DecodeError, EncodeError};
use bytes::{Buf, Bytes};

pub(crate) use by_name::ByName;
pub use limits::Limits;
pub(crate) use limits::Size;
pub use name::{AnyAttribute, Attribute, AttributeName};
pub(crate) use value::{decode_value, encode_value};

use crate::seal::OVERHEAD;
use crate::{Error, Result};

/// The format that is written.
const FORMAT: u8 = 1;

/// How many writers' latest atomic updates are remembered.
const RECENT: usize = 8;
/// What one of them takes in a frame: writer and version.
const UPDATE_LEN: usize = 12;

/// Named values, each still encoded, in the order of their names.
#[derive(Clone, Default)]
pub(crate) struct Attributes {
    values: ByName<Bytes>,
    /// The latest atomic update of each of the latest writers, the oldest first: whoever
    /// lost the store's answer finds here whether its update happened, even if others wrote
    /// since. One for each writer is enough, as a writer has one under way at a time.
    recent: Vec<Update>,
}

impl Attributes {
    /// Reads a frame. The values are slices of it.
    ///
    /// # Errors
    /// `Unreadable` for a frame that is damaged, or of a format to come.
    pub(crate) fn decode(mut frame: Bytes) -> Result<Self> {
        match frame.try_get_u8() {
            // A format that is no longer written keeps its arm here: sessions outlive
            // releases.
            Ok(FORMAT) => Self::decode_body(frame),
            Ok(newer) if newer > FORMAT => Err(Error::Unreadable("a newer version wrote them")),
            _ => Err(DAMAGED),
        }
    }

    fn decode_body(body: Bytes) -> Result<Self> {
        let bytes = body.clone();
        match bincode::borrow_decode_from_slice_with_context(&bytes, config(), body) {
            Ok((attributes, length)) if length == bytes.len() => Ok(attributes),
            _ => Err(DAMAGED),
        }
    }

    /// The frame, with room to be sealed in place.
    pub(crate) fn encode(&self) -> Vec<u8> {
        let mut frame = Vec::with_capacity(self.frame_len() + OVERHEAD);
        frame.push(FORMAT);
        bincode::encode_into_std_write(self, &mut frame, config())
            .expect("a vector takes any number of bytes");
        frame
    }

    pub(crate) fn get(&self, name: &str) -> Option<&Bytes> {
        self.values.get(name)
    }

    /// Any value is taken: whoever has limits has [checked](Limits::check_set) them.
    pub(crate) fn set(&mut self, name: impl AsRef<[u8]>, value: Bytes) {
        self.values.set(name, value);
    }

    pub(crate) fn remove(&mut self, name: impl AsRef<[u8]>) -> Option<Bytes> {
        self.values.remove(name)
    }

    /// Removes all values. Which updates happened is still known.
    pub(crate) fn clear(&mut self) {
        self.values.clear();
    }

    pub(crate) fn names(&self) -> impl Iterator<Item = &str> {
        self.values.iter().map(|(name, _)| name.as_str())
    }

    pub(crate) fn len(&self) -> usize {
        self.values.len()
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.values.is_empty()
    }

    /// Remembers that this writer's write of this version holds an atomic update.
    pub(crate) fn note_update(&mut self, writer: u32, version: u64) {
        self.recent.retain(|update| update.writer != writer);
        if self.recent.len() == RECENT {
            self.recent.remove(0);
        }
        self.recent.push(Update { writer, version });
    }

    /// Whether the write of this version is one of the latest updates.
    pub(crate) fn was_updated_by(&self, version: u64) -> bool {
        self.recent.iter().any(|update| update.version == version)
    }

    /// Whether an update of this writer that was made on `before` would be remembered here,
    /// if it had happened. Not if so many others wrote since that it may have been
    /// forgotten, or the writer itself, which it does only where it is not `alone`.
    pub(crate) fn shows_updates_since(&self, before: &Self, writer: u32, alone: bool) -> bool {
        let is_of_others = |update: &&Update| update.writer != writer;
        let mut olders = before.recent.iter().filter(is_of_others);
        let others = self.recent.iter().filter(is_of_others);
        others.eq(olders.clone())
            || alone
                && (self.recent.len() < RECENT || olders.any(|older| self.recent.contains(older)))
    }

    /// How many bytes a store gets for them at most: the frame, with room for all the
    /// updates it may come to remember, sealed.
    fn stored_len(&self) -> usize {
        let room = (RECENT - self.recent.len()) * UPDATE_LEN;
        self.frame_len() + room + OVERHEAD
    }

    fn frame_len(&self) -> usize {
        let entries = self.values.iter();
        let values: usize = entries.map(|(name, value)| entry_len(name, value)).sum();
        let updates = length_len(self.recent.len()) + self.recent.len() * UPDATE_LEN;
        1 + length_len(self.values.len()) + values + updates
    }
}

/// One atomic update.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Update {
    writer: u32,
    version: u64,
}

impl fmt::Debug for Attributes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Attributes({})", self.values.len())
    }
}

const DAMAGED: Error = Error::Unreadable("they are damaged");

/// Every length is counted as eight bytes against bincode's limit, though short ones take
/// one: far above the largest payload, this never refuses what was written.
fn config() -> impl Config {
    standard().with_limit::<{ 16 * Limits::MAX_PAYLOAD }>()
}

/// How many bytes one value takes in a frame.
fn entry_len(name: impl AsRef<[u8]>, value: &Bytes) -> usize {
    let (name, value) = (name.as_ref().len(), value.len());
    length_len(name) + name + length_len(value) + value
}

/// How many bytes a length takes in a frame.
fn length_len(length: usize) -> usize {
    match length {
        0..=250 => 1,
        251..=0xffff => 3,
        0x1_0000..=0xffff_ffff => 5,
        _ => 9,
    }
}

impl Encode for Attributes {
    fn encode<E: Encoder>(&self, encoder: &mut E) -> Result<(), EncodeError> {
        self.values.len().encode(encoder)?;
        for (name, value) in self.values.iter() {
            (name.as_ref(), &value[..]).encode(encoder)?;
        }
        self.recent.len().encode(encoder)?;
        for update in &self.recent {
            // Both are random: the form of a number that is short for small ones would
            // only lengthen them.
            update.writer.to_le_bytes().encode(encoder)?;
            update.version.to_le_bytes().encode(encoder)?;
        }
        Ok(())
    }
}

impl<'de> BorrowDecode<'de, Bytes> for Attributes {
    /// The context is what is being decoded. Nothing is allocated on the word
    /// of a length: each is believed only as far as there are bytes.
    fn borrow_decode<D: BorrowDecoder<'de, Context = Bytes>>(
        decoder: &mut D,
    ) -> Result<Self, DecodeError> {
        let mut attributes = Self::default();
        for _ in 0..usize::decode(decoder)? {
            let (name, value) = <(&str, &[u8])>::borrow_decode(decoder)?;
            let value = decoder.context().slice_ref(value);
            if !attributes.values.push(name, value) {
                return Err(DecodeError::Other("names are in order, and each is once"));
            }
        }
        let recent = usize::decode(decoder)?;
        if recent > RECENT {
            return Err(DecodeError::Other("too many updates are remembered"));
        }
        for _ in 0..recent {
            attributes.recent.push(Update {
                writer: u32::from_le_bytes(<[u8; 4]>::decode(decoder)?),
                version: u64::from_le_bytes(<[u8; 8]>::decode(decoder)?),
            });
        }
        Ok(attributes)
    }
}

#[cfg(test)]
mod tests;
