//! What every request does: load and touch.

use sqlx::SqliteConnection;
use tenure_store::{Namespace, Record, Result, SessionId, Timestamp};

use crate::error::from_driver;
use crate::fields::{Fields, each, json};
use crate::job::Operation;
use crate::row::{columns, get, ids, record, whole_payload};

/// Reads a live session.
pub(crate) struct Load {
    pub(crate) ns: Namespace,
    pub(crate) id: SessionId,
    pub(crate) now: Timestamp,
}

impl Operation for Load {
    type Answer = Option<Record>;
    const ATOMIC: bool = true;

    fn joins(&self, _: &Self) -> bool {
        true
    }

    fn bytes(&self) -> usize {
        0
    }

    async fn run_all(loads: &[&Self], db: &mut SqliteConnection) -> Result<Vec<Option<Record>>> {
        let rows = sqlx::query(concat!(
            "SELECT given.key AS place, ",
            columns!(),
            ", payload.bytes FROM ",
            each!(),
            " CROSS JOIN session ON session.ns = namespace.ns \
             AND session.id = unhex(given.value ->> 2) \
             LEFT JOIN payload ON payload.number = session.number \
             WHERE session.queue = namespace.epoch \
             AND (session.expires_at <= given.value ->> 3) IS NOT TRUE"
        ))
        .bind(json(
            loads
                .iter()
                .map(|load| Fields::of(&load.ns, load.id).instant(load.now)),
        ))
        .fetch_all(db)
        .await
        .map_err(from_driver)?;
        let mut found = vec![None; loads.len()];
        for row in rows {
            let place = usize::try_from(get::<i64>(&row, "place")?).ok();
            if let Some(answer) = place.and_then(|place| found.get_mut(place)) {
                *answer = Some(record(&row, whole_payload(&row)?)?);
            }
        }
        Ok(found)
    }
}

/// Notes an access to a live session.
pub(crate) struct Touch {
    pub(crate) ns: Namespace,
    pub(crate) id: SessionId,
    pub(crate) now: Timestamp,
}

impl Operation for Touch {
    type Answer = bool;
    const ATOMIC: bool = true;

    /// A statement writes a row once; and it says which by their ids alone.
    fn joins(&self, other: &Self) -> bool {
        self.id != other.id
    }

    fn bytes(&self) -> usize {
        0
    }

    /// Writes no column that is in an index: most of what a write costs is the number of
    /// pages it changes.
    async fn run_all(touches: &[&Self], db: &mut SqliteConnection) -> Result<Vec<bool>> {
        let rows = sqlx::query(concat!(
            "UPDATE session SET last_access = max(session.last_access, touch.now), \
             accesses = session.accesses + 1, leaves_at = NULL \
             FROM (SELECT ns, epoch, unhex(value ->> 2) AS id, value ->> 3 AS now FROM ",
            each!(),
            ") AS touch WHERE session.ns = touch.ns AND session.id = touch.id \
             AND session.queue = touch.epoch \
             AND (session.expires_at <= touch.now) IS NOT TRUE RETURNING id"
        ))
        .bind(json(touches.iter().map(|touch| {
            Fields::of(&touch.ns, touch.id).instant(touch.now)
        })))
        .fetch_all(db)
        .await
        .map_err(from_driver)?;
        let found = ids(&rows)?;
        Ok(touches
            .iter()
            .map(|touch| found.contains(&touch.id))
            .collect())
    }
}
