//! What a shard remembers of its namespace: whether hooks are expected, and its resets.

use std::collections::BTreeMap;

use deadpool_redis::redis::Value;
use tenure_store::{Result, Timestamp};

use crate::answer;

/// The hash [`Key::Notes`](crate::keys::Key::Notes).
#[derive(Debug, Default)]
pub(crate) struct Notes {
    /// For each older epoch that may have sessions left, when it was reset.
    resets: BTreeMap<u64, Timestamp>,
}

impl Notes {
    pub(crate) fn from_value(value: Value) -> Result<Self> {
        let mut resets = BTreeMap::new();
        for pair in answer::array(value)?.chunks_exact(2) {
            let [field, at] = pair else { continue };
            let field = answer::text(field)?;
            if let Some(epoch) = field.strip_prefix('r').and_then(|text| text.parse().ok()) {
                resets.insert(epoch, answer::instant(at)?);
            }
        }
        Ok(Self { resets })
    }

    /// When the sessions of an older epoch ended.
    pub(crate) fn reset(&self, epoch: u64) -> Option<Timestamp> {
        self.resets.get(&epoch).copied()
    }

    /// The older epochs that may have sessions left.
    pub(crate) fn epochs(&self) -> impl Iterator<Item = u64> {
        self.resets.keys().copied()
    }
}
