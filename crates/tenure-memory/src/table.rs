//! Where a shard's sessions lie: side by side, found by id through a table of numbers.
//!
//! A map that had the sessions in it would keep up to half of its places empty, at the
//! price of a session each; one that pointed to them would cost each load a second
//! detour through memory, which is most of what a load costs.

use std::hash::BuildHasher;

use foldhash::fast::RandomState;
use hashbrown::HashTable;
use hashbrown::hash_table::Entry;
use tenure_store::SessionId;

use crate::record::Session;

/// So many sessions lie in one piece, so that one more never moves all of them. A power
/// of two: a vector that grows to it has exactly this much room.
const CHUNK: usize = 64;

/// A shard's sessions by id.
#[derive(Default)]
pub(crate) struct Table {
    /// All full but the last.
    chunks: Vec<Vec<Session>>,
    /// Each session's number.
    numbers: HashTable<u32>,
    hasher: RandomState,
}

impl Table {
    pub(crate) fn get(&self, id: SessionId) -> Option<&Session> {
        let number = self.number(id)?;
        Some(at(&self.chunks, number))
    }

    pub(crate) fn get_mut(&mut self, id: SessionId) -> Option<&mut Session> {
        let number = self.number(id)?;
        Some(at_mut(&mut self.chunks, number))
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &Session> {
        self.chunks.iter().flatten()
    }

    /// Adds a session, and gives it back as it lies there; `None` if its id is taken.
    pub(crate) fn insert(&mut self, session: Session) -> Option<&Session> {
        let Self {
            chunks,
            numbers,
            hasher,
        } = self;
        let number = u32::try_from(numbers.len())
            .expect("no memory has room for 2^32 sessions in one of 64 shards");
        let id = session.id();
        let entry = numbers.entry(
            hasher.hash_one(id),
            |number| at(chunks, *number).id() == id,
            |number| hasher.hash_one(at(chunks, *number).id()),
        );
        let Entry::Vacant(place) = entry else {
            return None;
        };
        place.insert(number);
        if chunks.last().is_none_or(|chunk| chunk.len() == CHUNK) {
            // Where there are few sessions the first piece grows with them.
            let room = if chunks.is_empty() { 1 } else { CHUNK };
            chunks.push(Vec::with_capacity(room));
        }
        let chunk = chunks.last_mut()?;
        chunk.push(session);
        chunk.last()
    }

    /// Removes a session; the last one takes its number.
    pub(crate) fn remove(&mut self, id: SessionId) -> Option<Session> {
        let hash = self.hasher.hash_one(id);
        let found = |number: &u32| at(&self.chunks, *number).id() == id;
        let (number, _) = self.numbers.find_entry(hash, found).ok()?.remove();
        let chunk = self.chunks.last_mut()?;
        let last = chunk.pop()?;
        if chunk.is_empty() {
            self.chunks.pop();
        }
        if last.id() == id {
            return Some(last);
        }
        let hash = self.hasher.hash_one(last.id());
        let moved = std::mem::replace(at_mut(&mut self.chunks, number), last);
        let last_number = u32::try_from(self.numbers.len()).unwrap_or(u32::MAX);
        if let Some(renumbered) = self.numbers.find_mut(hash, |n| *n == last_number) {
            *renumbered = number;
        }
        Some(moved)
    }

    fn number(&self, id: SessionId) -> Option<u32> {
        let hash = self.hasher.hash_one(id);
        let found = |number: &u32| at(&self.chunks, *number).id() == id;
        self.numbers.find(hash, found).copied()
    }
}

fn at(chunks: &[Vec<Session>], number: u32) -> &Session {
    let number = number as usize;
    &chunks[number / CHUNK][number % CHUNK]
}

fn at_mut(chunks: &mut [Vec<Session>], number: u32) -> &mut Session {
    let number = number as usize;
    &mut chunks[number / CHUNK][number % CHUNK]
}
