//! A live session is ended by its user or an operator.

use rusqlite::params;
use tenure_store::{
    After, End, EndReason, Ended, Namespace, Result, SessionId, Timestamp, Tombstone,
};

use crate::db::Db;
use crate::job::Operation;
use crate::row::{bytes, live, place, record_columns, this};

/// Ends a live session.
pub(crate) struct Finish {
    pub(crate) ns: Namespace,
    pub(crate) id: SessionId,
    pub(crate) rotation: Option<u32>,
    pub(crate) reason: EndReason,
    pub(crate) after: After,
    pub(crate) now: Timestamp,
}

impl Operation for Finish {
    type Answer = Option<Ended>;

    fn run(&self, db: &Db) -> Result<Option<Ended>> {
        let Some(ns) = db.number(&self.ns)? else {
            return Ok(None);
        };
        let tombstone = self.tombstone();
        let (queue, due) = place(tombstone.phase);
        let found = db.first(
            concat!(
                "UPDATE session SET queue = ?4, due_at = ?5, end_reason = ?6, end_at = ?3, \
                 claims = ?7, unsettled = ?7 WHERE ",
                this!(),
                " AND ",
                live!(),
                " AND (?8 IS NULL OR rotation = ?8) RETURNING number, ",
                bytes!(),
                ", ",
                record_columns!()
            ),
            params![
                ns,
                self.id.as_bytes(),
                self.now.as_millis(),
                queue,
                due,
                self.reason.code(),
                tombstone.claims,
                self.rotation,
            ],
            |row| {
                let number: i64 = row.get()?;
                let payload = row.payload()?;
                Ok((number, row.record(payload)?))
            },
        )?;
        let Some((number, record)) = found else {
            return Ok(None);
        };
        if self.after == After::Discard {
            db.execute("DELETE FROM session WHERE number = ?1", [number])?;
        }
        Ok(Some(Ended { record, tombstone }))
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
}
