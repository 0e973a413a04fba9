//! Records as they lie there, with what is needed to judge them.

use deadpool_redis::redis::Value;
use tenure_store::{Entry, Result, SessionId, Timestamp};

use crate::answer;
use crate::call::Call;
use crate::header::HEADER;
use crate::keys::{Key, Shard};
use crate::notes::Notes;
use crate::record::decode;
use crate::scripts::FETCH;

/// How much of each record is wanted.
pub(crate) enum Extent {
    /// All of it, until that is more than so many bytes.
    Whole(usize),
    Headers,
}

pub(crate) fn fetch(shard: &Shard, ids: &[SessionId], extent: Extent) -> Call {
    let records = ids.iter().map(|id| Key::Record(*id));
    let keys = [Key::Epoch, Key::Notes].into_iter().chain(records);
    let call = FETCH.on(shard, keys);
    match extent {
        Extent::Whole(bytes) => call.arg(-1).arg(bytes),
        Extent::Headers => call.arg(HEADER - 1).arg(usize::MAX),
    }
}

/// Records of a shard, and what is needed to judge them.
pub(crate) struct Fetched {
    epoch: u64,
    notes: Notes,
    /// Empty where there is none; `None` where there was no room.
    pub(crate) records: Vec<Option<Vec<u8>>>,
}

impl Fetched {
    pub(crate) fn from_value(value: Value) -> Result<Self> {
        let [epoch, notes, records] = answer::tuple(value)?;
        let records = answer::array(records)?.into_iter().map(answer::bytes);
        Ok(Self {
            epoch: answer::epoch(&epoch)?.unwrap_or_default(),
            notes: Notes::from_value(notes)?,
            records: records.collect::<Result<_>>()?,
        })
    }

    pub(crate) fn entry(&self, id: SessionId, bytes: Vec<u8>, now: Timestamp) -> Result<Entry> {
        Ok(decode(id, bytes)?.entry(self.epoch, &self.notes, now))
    }
}
