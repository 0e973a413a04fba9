//! What every request does: load and touch.

use tenure_store::{Namespace, Record, Result, SessionId, Timestamp};

use crate::db::Db;
use crate::fields::{each_id, each_time, in_order};
use crate::job::{Needs, Operation};
use crate::row::{by_key, get, ids, live, on_namespace, record, record_columns, with_namespace};

/// Reads a live session.
pub(crate) struct Load {
    pub(crate) ns: Namespace,
    pub(crate) id: SessionId,
    pub(crate) now: Timestamp,
}

/// Loads of one namespace: ids, instants.
pub(crate) const LOAD: &str = concat!(
    with_namespace!(),
    " SELECT i.place, ",
    record_columns!(),
    " FROM unnest($3::uuid[], $4::bigint[]) WITH ORDINALITY AS i (id, now, place) \
     JOIN tenure_session s ON ",
    by_key!("i.id"),
    " WHERE ",
    live!("i.now")
);

impl Operation for Load {
    type Answer = Option<Record>;
    const NEEDS: Needs = Needs::Reading;

    fn joins(&self, other: &Self) -> bool {
        self.ns == other.ns
    }

    fn bytes(&self) -> usize {
        0
    }

    async fn run_all(loads: &[&Self], db: &mut Db) -> Result<Vec<Option<Record>>> {
        let mut found = vec![None; loads.len()];
        let Some(first) = loads.first() else {
            return Ok(found);
        };
        let load = on_namespace(LOAD, &first.ns)
            .bind(each_id(loads, |load| load.id))
            .bind(each_time(loads, |load| load.now));
        for row in db.rows(load).await? {
            // Places count from 1.
            let place = usize::try_from(get::<i64>(&row, "place")?.saturating_sub(1)).ok();
            if let Some(answer) = place.and_then(|place| found.get_mut(place)) {
                *answer = Some(record(&row)?);
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

/// Touches of one namespace: ids, instants. Writes no column that is in an index, so that
/// the new version of the row finds room beside the old one and no index learns of it.
pub(crate) const TOUCH: &str = concat!(
    with_namespace!(),
    " UPDATE tenure_session s SET last_access = greatest(s.last_access, i.now), \
     accesses = s.accesses + 1, leaves_at = NULL \
     FROM unnest($3::uuid[], $4::bigint[]) AS i (id, now) WHERE ",
    by_key!("i.id"),
    " AND ",
    live!("i.now"),
    " RETURNING s.id"
);

impl Operation for Touch {
    type Answer = bool;
    const NEEDS: Needs = Needs::Statement;

    /// A statement writes a row once.
    fn joins(&self, other: &Self) -> bool {
        self.ns == other.ns && self.id != other.id
    }

    fn bytes(&self) -> usize {
        0
    }

    fn session(&self) -> Option<(Namespace, SessionId)> {
        Some((self.ns.clone(), self.id))
    }

    async fn run_all(touches: &[&Self], db: &mut Db) -> Result<Vec<bool>> {
        let Some(first) = touches.first() else {
            return Ok(Vec::new());
        };
        let ordered = in_order(touches, |touch| touch.id);
        let touch = on_namespace(TOUCH, &first.ns)
            .bind(each_id(&ordered, |touch| touch.id))
            .bind(each_time(&ordered, |touch| touch.now));
        let touched = ids(&db.rows(touch).await?)?;
        let answers = touches.iter().map(|touch| touched.contains(&touch.id));
        Ok(answers.collect())
    }
}
