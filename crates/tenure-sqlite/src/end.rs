//! A live session is ended by its user or an operator.

use std::collections::HashMap;

use sqlx::SqliteConnection;
use tenure_store::{
    After, End, EndReason, Ended, Namespace, Record, Result, SessionId, Timestamp, Tombstone,
};

use crate::error::from_driver;
use crate::fields::{Fields, each, json};
use crate::job::Operation;
use crate::row::{columns, get, payload, place, record};

/// Ends a live session.
pub(crate) struct Finish {
    pub(crate) ns: Namespace,
    pub(crate) id: SessionId,
    pub(crate) reason: EndReason,
    pub(crate) after: After,
    pub(crate) now: Timestamp,
}

impl Operation for Finish {
    type Answer = Option<Ended>;
    const ATOMIC: bool = false;

    /// A statement writes a row once; and what has ended is told by the ids alone.
    fn joins(&self, other: &Self) -> bool {
        self.id != other.id
    }

    fn bytes(&self) -> usize {
        0
    }

    async fn run_all(ends: &[&Self], db: &mut SqliteConnection) -> Result<Vec<Option<Ended>>> {
        let rows = sqlx::query(concat!(
            "UPDATE session SET queue = finish.queue, due_at = finish.due_at, \
             end_reason = finish.reason, end_at = finish.now, claims = finish.claims, \
             unsettled = finish.claims FROM (SELECT ns, epoch, unhex(value ->> 2) AS id, \
             value ->> 3 AS now, value ->> 4 AS reason, value ->> 5 AS queue, \
             value ->> 6 AS due_at, value ->> 7 AS claims FROM ",
            each!(),
            ") AS finish WHERE session.ns = finish.ns AND session.id = finish.id \
             AND session.queue = finish.epoch \
             AND (session.expires_at <= finish.now) IS NOT TRUE RETURNING ",
            columns!(),
            ", (SELECT bytes FROM payload WHERE payload.number = session.number) AS bytes"
        ))
        .bind(json(ends.iter().map(|end| end.fields())))
        .fetch_all(&mut *db)
        .await
        .map_err(from_driver)?;
        let mut ended = HashMap::new();
        for row in &rows {
            let record = record(row, payload(row)?)?;
            ended.insert(record.id, (get::<i64>(row, "number")?, record));
        }

        let mut answers: Vec<Option<Ended>> = Vec::with_capacity(ends.len());
        let mut discarded: Vec<i64> = Vec::new();
        for end in ends {
            let found: Option<(i64, Record)> = ended.remove(&end.id);
            answers.push(found.map(|(number, record)| {
                if end.after == After::Discard {
                    discarded.push(number);
                }
                let tombstone = end.tombstone();
                Ended { record, tombstone }
            }));
        }
        if !discarded.is_empty() {
            sqlx::query("DELETE FROM session WHERE number IN (SELECT value FROM json_each(?1))")
                .bind(json(discarded))
                .execute(db)
                .await
                .map_err(from_driver)?;
        }
        Ok(answers)
    }
}

impl Finish {
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

    fn fields(&self) -> Fields {
        let tombstone = self.tombstone();
        let (queue, due) = place(tombstone.phase);
        Fields::of(&self.ns, self.id)
            .instant(self.now)
            .number(self.reason.code())
            .number(queue)
            .number(due)
            .number(tombstone.claims)
    }
}
