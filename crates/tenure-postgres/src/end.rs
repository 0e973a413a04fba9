//! A live session is ended by its user or an operator.

use std::collections::HashMap;

use tenure_store::{
    After, End, EndReason, Ended, Namespace, Result, SessionId, Timestamp, Tombstone,
};

use crate::db::Db;
use crate::fields::{each, each_id, each_time, in_order};
use crate::job::{Needs, Operation};
use crate::row::{by_key, live, on_namespace, place, record, record_columns, with_namespace_kept};

/// Ends a live session.
pub(crate) struct Finish {
    pub(crate) ns: Namespace,
    pub(crate) id: SessionId,
    pub(crate) rotation: Option<u32>,
    pub(crate) reason: EndReason,
    pub(crate) after: After,
    pub(crate) now: Timestamp,
}

/// The rotation is the one that the end is for, if it is for one.
macro_rules! is_rotation {
    () => {
        "(i.rotation IS NULL OR s.rotation = i.rotation)"
    };
}

/// Ends in one namespace: ids, instants, required rotations; reasons, queues, due times,
/// claims.
pub(crate) const END: &str = concat!(
    with_namespace_kept!(),
    " UPDATE tenure_session s SET queue = i.to_queue, due_at = i.due, end_reason = i.reason, \
     end_at = i.now, claims = i.held, unsettled = i.held FROM unnest($3::uuid[], $4::bigint[], \
     $5::int[], $6::smallint[], $7::bigint[], $8::bigint[], $9::int[]) \
     AS i (id, now, rotation, reason, to_queue, due, held) WHERE ",
    by_key!("i.id"),
    " AND ",
    live!("i.now"),
    " AND ",
    is_rotation!(),
    " RETURNING ",
    record_columns!()
);
pub(crate) const DISCARD: &str = concat!(
    with_namespace_kept!(),
    " DELETE FROM tenure_session s USING unnest($3::uuid[], $4::bigint[], $5::int[]) \
     AS i (id, now, rotation) WHERE ",
    by_key!("i.id"),
    " AND ",
    live!("i.now"),
    " AND ",
    is_rotation!(),
    " RETURNING ",
    record_columns!()
);

impl Operation for Finish {
    type Answer = Option<Ended>;
    const NEEDS: Needs = Needs::Statement;

    /// A statement writes a row once; and either ends or discards.
    fn joins(&self, other: &Self) -> bool {
        self.ns == other.ns && self.id != other.id && self.discards() == other.discards()
    }

    fn bytes(&self) -> usize {
        0
    }

    fn session(&self) -> Option<(Namespace, SessionId)> {
        Some((self.ns.clone(), self.id))
    }

    async fn run_all(ends: &[&Self], db: &mut Db) -> Result<Vec<Option<Ended>>> {
        let Some(first) = ends.first() else {
            return Ok(Vec::new());
        };
        let ordered = in_order(ends, |end| end.id);
        let on = |sql| {
            on_namespace(sql, &first.ns)
                .bind(each_id(&ordered, |end| end.id))
                .bind(each_time(&ordered, |end| end.now))
                .bind(each(&ordered, |end| end.rotation.map(u32::cast_signed)))
        };
        let place = |end: &Self| place(end.tombstone().phase);
        let rows = if first.discards() {
            db.rows(on(DISCARD)).await?
        } else {
            let end = on(END)
                .bind(each(&ordered, |end| i16::from(end.reason.code())))
                .bind(each(&ordered, |end| place(end).0))
                .bind(each(&ordered, |end| place(end).1))
                .bind(each(&ordered, |end| end.tombstone().claims.cast_signed()));
            db.rows(end).await?
        };
        let mut ended = HashMap::with_capacity(rows.len());
        for row in &rows {
            let record = record(row)?;
            ended.insert(record.id, record);
        }
        let answers = ends.iter().map(|end| {
            let record = ended.remove(&end.id)?;
            let tombstone = end.tombstone();
            Some(Ended { record, tombstone })
        });
        Ok(answers.collect())
    }
}

impl Finish {
    fn discards(&self) -> bool {
        self.after == After::Discard
    }

    fn tombstone(&self) -> Tombstone {
        let mut tombstone = Tombstone::new(End {
            reason: self.reason,
            at: self.now,
        });
        if let After::Hold(lease) = self.after {
            tombstone.claim(lease, self.now);
        }
        tombstone
    }
}
