//! What every request does: load and touch.

use rusqlite::params;
use tenure_store::{Namespace, Record, Result, SessionId, Timestamp};

use crate::db::Db;
use crate::job::Operation;
use crate::row::{bytes, live, record_columns, this};

/// Reads a live session.
#[derive(Clone)]
pub(crate) struct Load {
    pub(crate) ns: Namespace,
    pub(crate) id: SessionId,
    pub(crate) now: Timestamp,
}

impl Operation for Load {
    type Answer = Option<Record>;

    /// One statement with the namespace's name in it: a transaction around two would be most of
    /// what a load costs.
    fn run(&self, db: &Db) -> Result<Option<Record>> {
        db.first(
            concat!(
                "SELECT ",
                bytes!(),
                ", ",
                record_columns!(),
                " FROM namespace CROSS JOIN session ON session.ns = namespace.ns \
                 WHERE namespace.kind = ?1 AND namespace.application = ?2 AND session.id = ?3 \
                 AND session.queue = namespace.epoch \
                 AND (session.expires_at <= ?4) IS NOT TRUE"
            ),
            params![
                self.ns.kind().code(),
                self.ns.application(),
                self.id.as_bytes(),
                self.now.as_millis(),
            ],
            |row| {
                let payload = row.whole_payload()?;
                row.record(payload)
            },
        )
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

    /// Writes no column that is in an index: most of what a write costs is the number of
    /// pages it changes.
    fn run(&self, db: &Db) -> Result<bool> {
        let Some(ns) = db.number(&self.ns)? else {
            return Ok(false);
        };
        let touched = db.execute(
            concat!(
                "UPDATE session SET last_access = max(last_access, ?3), \
                 accesses = accesses + 1, leaves_at = NULL WHERE ",
                this!(),
                " AND ",
                live!()
            ),
            params![ns, self.id.as_bytes(), self.now.as_millis()],
        )?;
        Ok(touched > 0)
    }
}
