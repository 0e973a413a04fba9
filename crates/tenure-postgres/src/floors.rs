//! From where reapers read their queues, while what they have removed lies in the way.
//!
//! As long as anybody has an old snapshot open, such as a backup, the server keeps what was removed
//! in its indexes, and whoever reads a queue from its beginning passes over all of it. So reapers
//! remember where the first entries were, once reading from the beginning takes long. That is read
//! again now and then, in a twentieth of the time at most: another node may have put something
//! in front. While it is quick nothing is remembered, and nothing is overlooked for a moment.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use sqlx::postgres::PgRow;
use tenure_store::{Namespace, Result};
use tokio::time::Instant;

use crate::row::get;

/// Reading takes long from this part of the deadline on.
const LONG: u32 = 64;
/// How many times as long it then is until it is done again.
const SELDOM: u32 = 20;

/// Where to begin, in each queue; what comes before is gone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Floors {
    /// In the present epoch's, in the waiting tombstones' and in the held ones'.
    pub(crate) due: [i64; 3],
    /// In those of the epochs before: queue and instant.
    pub(crate) older: (i64, i64),
    /// For what is due later, in the first three.
    pub(crate) later: [i64; 3],
}

impl Floors {
    const NONE: Self = Self {
        due: [i64::MIN; 3],
        older: (-1, i64::MAX),
        later: [i64::MIN; 3],
    };
}

/// What is known of each namespace's queues.
#[derive(Clone, Debug)]
pub(crate) struct Known {
    long: Duration,
    queues: Arc<Mutex<HashMap<Namespace, Queues>>>,
}

#[derive(Clone, Copy, Debug)]
struct Queues {
    epoch: i64,
    floors: Floors,
    /// Until when they are not read from the beginning.
    until: Instant,
}

/// One reading of a namespace's queues.
pub(crate) struct Reading {
    pub(crate) floors: Floors,
    is_whole: bool,
    begun: Instant,
}

impl Known {
    /// Nothing yet.
    pub(crate) fn new(deadline: Duration) -> Self {
        Self {
            long: deadline / LONG,
            queues: Arc::default(),
        }
    }

    /// From where to read now.
    pub(crate) fn begin(&self, ns: &Namespace) -> Reading {
        let begun = Instant::now();
        let known = self.queues.lock().unwrap_or_else(PoisonError::into_inner);
        let floors = known.get(ns).filter(|queues| begun < queues.until);
        Reading {
            floors: floors.map_or(Floors::NONE, |queues| queues.floors),
            is_whole: floors.is_none(),
            begun,
        }
    }

    /// Learns from what was read, or that nothing could be.
    pub(crate) fn learn(
        &self,
        ns: &Namespace,
        reading: &Reading,
        read: Option<(&PgRow, Unseen)>,
    ) -> Result<()> {
        let took = reading.begun.elapsed();
        let found = read.map(|(row, unseen)| found(row, reading, unseen));
        let found = found.transpose()?;
        let mut known = self.queues.lock().unwrap_or_else(PoisonError::into_inner);
        let before = known.remove(ns);
        if reading.is_whole && took < self.long {
            return Ok(());
        }
        let until = if reading.is_whole {
            Instant::now() + took * SELDOM
        } else {
            before.map_or_else(Instant::now, |before| before.until)
        };
        // What could not be read is where it was before, if that is known.
        let queues = match (found, before) {
            (Some((epoch, floors)), Some(before)) if epoch != before.epoch => Queues {
                epoch,
                floors,
                // Of another epoch nothing is known.
                until: Instant::now(),
            },
            (Some((epoch, floors)), _) => Queues {
                epoch,
                floors,
                until,
            },
            (None, Some(before)) => Queues { until, ..before },
            (None, None) => return Ok(()),
        };
        known.insert(ns.clone(), queues);
        Ok(())
    }
}

/// What it means that no entry of a queue was read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Unseen {
    /// None is due at this instant.
    NoneUpTo(i64),
    /// Others were enough.
    Unread,
}

/// The namespace's epoch, and where the first entries were.
fn found(row: &PgRow, reading: &Reading, unseen: Unseen) -> Result<(i64, Floors)> {
    let [live, waiting, held] = reading.floors.due;
    let first = |name, before| {
        let without = match unseen {
            Unseen::NoneUpTo(now) => now,
            Unseen::Unread => before,
        };
        Ok(get::<Option<i64>>(row, name)?.unwrap_or(without))
    };
    let later = |name| Ok(get::<Option<i64>>(row, name)?.map_or(i64::MAX, |due| due - 1));
    let epoch = get::<Option<i64>>(row, "epoch")?.unwrap_or(0);
    let older = get::<Option<i64>>(row, "first_older")?;
    let floors = Floors {
        due: [
            first("first_live", live)?,
            first("first_waiting", waiting)?,
            first("first_held", held)?,
        ],
        older: match (older, get::<Option<i64>>(row, "first_older_due")?, unseen) {
            (Some(queue), Some(due), _) => (queue, due),
            // Those that never run out come last, and have no instant to compare.
            (Some(queue), None, _) => (queue - 1, i64::MAX),
            (None, _, Unseen::NoneUpTo(_)) => (epoch - 1, i64::MAX),
            (None, _, Unseen::Unread) => reading.floors.older,
        },
        later: [
            later("next_live")?,
            later("next_waiting")?,
            later("next_held")?,
        ],
    };
    Ok((epoch, floors))
}
