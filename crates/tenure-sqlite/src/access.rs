//! What every request does: load and touch.

use sqlx::SqliteConnection;
use tenure_store::{Namespace, Record, Result, SessionId, Timestamp};

use crate::error::from_driver;
use crate::fields::{Fields, each, json, text};
use crate::job::Operation;
use crate::row::{get, ids, on_namespace, record, record_columns, whole_payload};

/// Reads a live session.
pub(crate) struct Load {
    pub(crate) ns: Namespace,
    pub(crate) id: SessionId,
    pub(crate) now: Timestamp,
}

impl Operation for Load {
    type Answer = Option<Record>;
    const ATOMIC: bool = true;

    fn joins(&self, other: &Self) -> bool {
        self.ns == other.ns
    }

    fn bytes(&self) -> usize {
        0
    }

    /// Ids alone go in, and each caller's instant is held against what comes out: a list of
    /// texts is cheaper to take apart than a list of lists.
    async fn run_all(loads: &[&Self], db: &mut SqliteConnection) -> Result<Vec<Option<Record>>> {
        let mut found = vec![None; loads.len()];
        let Some(first) = loads.first() else {
            return Ok(found);
        };
        let load = on_namespace(
            concat!(
                "SELECT given.key AS place, ",
                record_columns!(),
                ", payload.bytes FROM json_each(?3) AS given CROSS JOIN session \
                 ON session.ns = (SELECT ns FROM namespace WHERE kind = ?1 AND application = ?2) \
                 AND session.id = unhex(given.value) \
                 LEFT JOIN payload ON payload.number = session.number WHERE session.queue = \
                 (SELECT epoch FROM namespace WHERE kind = ?1 AND application = ?2)"
            ),
            &first.ns,
        );
        let ids = loads.iter().map(|load| text(load.id));
        let rows = load.bind(json(ids)).fetch_all(db).await;
        for row in rows.map_err(from_driver)? {
            let place = usize::try_from(get::<i64>(&row, "place")?).unwrap_or(usize::MAX);
            if let Some((load, answer)) = loads.get(place).zip(found.get_mut(place)) {
                let found = record(&row, whole_payload(&row)?)?;
                *answer = Some(found).filter(|found| found.is_live(load.now));
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
