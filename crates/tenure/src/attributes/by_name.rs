//! Values by name: a sorted list, as a session has a handful of them.

use bytes::Bytes;

/// Values by name, in the order of the names. One allocation holds the list, and names that
/// came in a frame are slices of it: a tree would take one for its nodes and one for each
/// name, with every request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ByName<V>(Vec<(Bytes, V)>);

impl<V> ByName<V> {
    pub(crate) fn get(&self, name: &str) -> Option<&V> {
        let at = self.find(name).ok()?;
        Some(&self.0[at].1)
    }

    pub(crate) fn set(&mut self, name: &str, value: V) {
        self.set_shared(&Bytes::copy_from_slice(name.as_bytes()), value);
    }

    /// As [`set`](Self::set), under a name that somebody else has: nothing is copied.
    pub(crate) fn set_shared(&mut self, name: &Bytes, value: V) {
        match self.find(name) {
            Ok(at) => self.0[at].1 = value,
            Err(at) => self.0.insert(at, (name.clone(), value)),
        }
    }

    /// Adds a value whose name comes after all others; says whether it does.
    pub(crate) fn push(&mut self, name: Bytes, value: V) -> bool {
        let is_last = self.0.last().is_none_or(|(last, _)| *last < name);
        if is_last {
            self.0.push((name, value));
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

    pub(crate) fn iter(&self) -> impl Iterator<Item = (&Bytes, &V)> {
        self.0.iter().map(|(name, value)| (name, value))
    }

    /// The order of UTF-8 is the order of its bytes.
    fn find(&self, name: impl AsRef<[u8]>) -> Result<usize, usize> {
        let name = name.as_ref();
        self.0.binary_search_by(|(other, _)| (**other).cmp(name))
    }
}

impl<V> Default for ByName<V> {
    fn default() -> Self {
        Self(Vec::new())
    }
}
