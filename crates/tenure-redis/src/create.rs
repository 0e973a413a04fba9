//! A session is stored: a new one, or one that was in another store.

use tenure_store::{Epoch, Error, Imported, Namespace, Record, Result, Timestamp, Tombstone};

use crate::answer::{self, unexpected};
use crate::keys::Key;
use crate::record::{self, encode};
use crate::scripts::CREATE;
use crate::store::Core;

/// What is known of the session that is stored.
pub(crate) enum Fate {
    /// It may be live: it belongs to the namespace's present epoch, which has to be this
    /// one if it says which.
    Live(Option<Epoch>),
    /// It has ended.
    Ended(Tombstone),
}

impl Fate {
    pub(crate) fn tombstone(&self) -> Option<&Tombstone> {
        match self {
            Fate::Live(_) => None,
            Fate::Ended(tombstone) => Some(tombstone),
        }
    }
}

/// Stores a session if its id is free.
pub(crate) async fn create(
    core: &Core,
    ns: &Namespace,
    record: &Record,
    fate: &Fate,
) -> Result<Imported> {
    let (phase, due) = match fate {
        Fate::Live(_) => (0, record.expires_at().map(Timestamp::as_millis)),
        Fate::Ended(tombstone) => {
            let (phase, due) = record::phase(tombstone);
            (phase, Some(due))
        }
    };
    let epoch = match fate {
        Fate::Live(Some(epoch)) => epoch.get().to_string(),
        Fate::Live(None) | Fate::Ended(_) => String::new(),
    };
    let keys = [
        Key::Epoch,
        Key::Record(record.id),
        queue(phase),
        Key::Created,
        Key::Principals,
    ];
    let storing = CREATE
        .on(&core.shard(ns, record.id), keys)
        .arg(record.id.as_bytes())
        .arg(encode(record, fate.tombstone()))
        .arg(score(due))
        .arg(epoch);
    match answer::number(&core.servers.ask(storing).await?)? {
        -1 => Err(Error::not_opened(ns)),
        0 => Ok(Imported::Exists),
        1 => Ok(Imported::Done),
        2 => Ok(Imported::Reset),
        _ => Err(unexpected()),
    }
}

/// The queue in which a session of this phase stands.
pub(crate) fn queue(phase: u8) -> Key {
    match phase {
        0 => Key::Due,
        1 => Key::Waiting,
        2 => Key::Held,
        _ => Key::Dead,
    }
}

/// How a place in a queue is written; `None` for never.
fn score(due: Option<i64>) -> String {
    due.map_or_else(|| "+inf".to_owned(), |millis| millis.to_string())
}
