//! A live session is ended by its user or an operator.

use std::collections::HashMap;

use tenure_store::{
    After, End, EndReason, Ended, Namespace, Result, SessionId, Timestamp, Tombstone,
};

use crate::db::Db;
use crate::fields::{each, each_id, each_time};
use crate::job::{Needs, Operation};
use crate::row::{by_key, columns, live, on_namespace, place, record, with_namespace_kept};

/// Ends a live session.
pub(crate) struct Finish {
    pub(crate) ns: Namespace,
    pub(crate) id: SessionId,
    pub(crate) reason: EndReason,
    pub(crate) after: After,
    pub(crate) now: Timestamp,
}

/// The live ones of the sessions `$3` at the instants `$4`, with what `$fields` adds.
macro_rules! locked {
    ($arrays:literal, $fields:literal) => {
        concat!(
            with_namespace_kept!(),
            ", locked AS MATERIALIZED (SELECT s.ns, s.id",
            $fields,
            " FROM n CROSS JOIN unnest($3::uuid[], $4::bigint[]",
            $arrays,
            ") AS i (id, now",
            $fields,
            ") JOIN tenure_session s ON ",
            by_key!("n.ns", "i.id"),
            " WHERE ",
            live!("i.now"),
            " ORDER BY s.id FOR UPDATE OF s) "
        )
    };
}

/// Ends in one namespace: ids, instants; reasons, queues, due times, claims.
pub(crate) const END: &str = concat!(
    locked!(
        ", $5::smallint[], $6::bigint[], $7::bigint[], $8::int[], $4::bigint[]",
        ", reason, to_queue, due, held, at"
    ),
    "UPDATE tenure_session s SET queue = l.to_queue, due_at = l.due, end_reason = l.reason, \
     end_at = l.at, claims = l.held, unsettled = l.held FROM locked l \
     WHERE ",
    by_key!("l.ns", "l.id"),
    " RETURNING ",
    columns!()
);
pub(crate) const DISCARD: &str = concat!(
    locked!("", ""),
    "DELETE FROM tenure_session s USING locked l WHERE ",
    by_key!("l.ns", "l.id"),
    " RETURNING ",
    columns!()
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

    async fn run_all(ends: &[&Self], db: &mut Db) -> Result<Vec<Option<Ended>>> {
        let Some(first) = ends.first() else {
            return Ok(Vec::new());
        };
        let on = |sql| {
            on_namespace(sql, &first.ns)
                .bind(each_id(ends, |end| end.id))
                .bind(each_time(ends, |end| end.now))
        };
        let place = |end: &Self| place(end.tombstone().phase);
        let rows = if first.discards() {
            db.rows(on(DISCARD)).await?
        } else {
            let end = on(END)
                .bind(each(ends, |end| i16::from(end.reason.code())))
                .bind(each(ends, |end| place(end).0))
                .bind(each(ends, |end| place(end).1))
                .bind(each(ends, |end| end.tombstone().claims.cast_signed()));
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
