//! Values by name: a sorted list, as a session has a handful of them.

use std::fmt;

use bytes::Bytes;

/// Values by name, in the order of the names. One allocation holds the list and its names:
/// a tree would take one for its nodes and one for each name, with every request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ByName<V>(Vec<(Name, V)>);

impl<V> ByName<V> {
    pub(crate) fn get(&self, name: &str) -> Option<&V> {
        let at = self.find(name).ok()?;
        Some(&self.0[at].1)
    }

    pub(crate) fn set(&mut self, name: impl AsRef<[u8]>, value: V) {
        match self.find(&name) {
            Ok(at) => self.0[at].1 = value,
            Err(at) => self.0.insert(at, (Name::new(name.as_ref()), value)),
        }
    }

    /// Adds a value whose name comes after all others; says whether it does.
    pub(crate) fn push(&mut self, name: &str, value: V) -> bool {
        let last = self.0.last();
        let is_last = last.is_none_or(|(last, _)| last.as_ref() < name.as_bytes());
        if is_last {
            self.0.push((Name::new(name.as_bytes()), value));
        }
        is_last
    }

    pub(crate) fn remove(&mut self, name: impl AsRef<[u8]>) -> Option<V> {
        let at = self.find(name).ok()?;
        Some(self.0.remove(at).1)
    }

    pub(crate) fn clear(&mut self) {
        self.0.clear();
    }

    pub(crate) fn len(&self) -> usize {
        self.0.len()
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = (&Name, &V)> {
        self.0.iter().map(|(name, value)| (name, value))
    }

    fn find(&self, name: impl AsRef<[u8]>) -> Result<usize, usize> {
        let name = name.as_ref();
        self.0
            .binary_search_by(|(other, _)| other.as_ref().cmp(name))
    }
}

impl<V> Default for ByName<V> {
    fn default() -> Self {
        Self(Vec::new())
    }
}

/// A name, as its bytes: their order is that of the text.
#[derive(Clone)]
pub(crate) enum Name {
    /// In place, as nearly all are.
    Short {
        length: u8,
        bytes: [u8; SHORT],
    },
    Long(Bytes),
}

/// So many bytes lie in place without making a [`Name`] larger.
const SHORT: usize = 23;
const _: () = assert!(size_of::<Name>() == size_of::<Bytes>());

impl Name {
    fn new(name: &[u8]) -> Self {
        let mut bytes = [0; SHORT];
        match (u8::try_from(name.len()), bytes.get_mut(..name.len())) {
            (Ok(length), Some(place)) => {
                place.copy_from_slice(name);
                Self::Short { length, bytes }
            }
            _ => Self::Long(Bytes::copy_from_slice(name)),
        }
    }

    pub(crate) fn as_str(&self) -> &str {
        str::from_utf8(self.as_ref()).expect("it was made of text")
    }
}

impl AsRef<[u8]> for Name {
    fn as_ref(&self) -> &[u8] {
        match self {
            Self::Short { length, bytes } => &bytes[..usize::from(*length)],
            Self::Long(bytes) => bytes,
        }
    }
}

impl PartialEq for Name {
    fn eq(&self, other: &Self) -> bool {
        self.as_ref() == other.as_ref()
    }
}

impl Eq for Name {}

impl fmt::Debug for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.as_str().fmt(f)
    }
}
