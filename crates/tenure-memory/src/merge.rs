//! One order out of the orders of several shards, without locking two of them at once.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

/// The first key of each shard that has one, to be taken smallest first. Whoever takes
/// one gives back the shard's next.
pub(crate) struct Merge<K> {
    heads: BinaryHeap<Reverse<(K, usize)>>,
}

impl<K: Ord> Merge<K> {
    /// The shards' first keys, in the order of the shards.
    pub(crate) fn new(firsts: impl Iterator<Item = Option<K>>) -> Self {
        let heads = firsts
            .enumerate()
            .filter_map(|(shard, first)| first.map(|key| Reverse((key, shard))))
            .collect();
        Self { heads }
    }

    /// The smallest key.
    pub(crate) fn first(&self) -> Option<&K> {
        self.heads.peek().map(|Reverse((key, _))| key)
    }

    /// Takes the smallest key, and the number of its shard.
    pub(crate) fn pop(&mut self) -> Option<(K, usize)> {
        self.heads.pop().map(|Reverse(head)| head)
    }

    /// Gives back a shard's next key, if it has one.
    pub(crate) fn push(&mut self, next: Option<K>, shard: usize) {
        self.heads.extend(next.map(|key| Reverse((key, shard))));
    }
}
