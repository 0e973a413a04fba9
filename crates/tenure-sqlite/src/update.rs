//! A live session is changed, if it still has the version that was read.

use rusqlite::params;
use tenure_store::{
    Access, Change, Field, Namespace, Payload, Principal, Result, Rotation, SessionId, Timeout,
    Timestamp, Updated, Version,
};

use crate::db::Db;
use crate::job::Operation;
use crate::payload;
use crate::row::{live, this};

/// Changes a live session that has the expected version.
pub(crate) struct Update {
    pub(crate) ns: Namespace,
    pub(crate) id: SessionId,
    pub(crate) expected: Version,
    pub(crate) change: Change,
    pub(crate) now: Timestamp,
}

impl Operation for Update {
    type Answer = Updated;

    fn bytes(&self) -> usize {
        let payload = self.change.payload.as_ref();
        payload.map_or(0, Payload::len)
    }

    fn run(&self, db: &Db) -> Result<Updated> {
        let change = &self.change;
        let Some(ns) = db.number(&self.ns)? else {
            return Ok(Updated::Gone);
        };
        let Some(number) = self.apply(ns, db)? else {
            return Ok(match self.has_expected_version(ns, db)? {
                Some(_) => Updated::Changed,
                None => Updated::Gone,
            });
        };
        if let Some(payload) = &change.payload {
            payload::replace_apart(number, payload, db)?;
        }
        // Apart, as both are in indexes, and most changes leave them alone.
        if change.principal != Field::Keep {
            let principal = value(&change.principal).map(Principal::as_str);
            db.execute(
                "UPDATE session SET principal = ?2 WHERE number = ?1",
                params![number, principal],
            )?;
        }
        if self.changes_times() {
            db.execute(
                "UPDATE session SET due_at = expires_at WHERE number = ?1 AND expires_at < due_at",
                [number],
            )?;
        }
        Ok(Updated::Done)
    }
}

impl Update {
    /// Changes what is in no index; says which row it was.
    fn apply(&self, ns: i64, db: &Db) -> Result<Option<i64>> {
        let change = &self.change;
        let rotation = change.rotation;
        db.first(
            concat!(
                "UPDATE session SET version = ?5, \
                 last_access = iif(?6, max(last_access, ?3), last_access), \
                 accesses = accesses + ?6, \
                 leaves_at = CASE WHEN ?7 THEN ?8 WHEN ?6 THEN NULL ELSE leaves_at END, \
                 idle_timeout = iif(?9, ?10, idle_timeout), \
                 lifetime = iif(?11, ?12, lifetime), \
                 rotation = ifnull(?13, rotation), \
                 previous_until = iif(?13 IS NULL, previous_until, ?14), \
                 bytes = iif(?15, ?16, bytes) WHERE ",
                this!(),
                " AND ",
                live!(),
                " AND version = ?4 RETURNING number"
            ),
            params![
                ns,
                self.id.as_bytes(),
                self.now.as_millis(),
                self.expected.get().cast_signed(),
                change.version.get().cast_signed(),
                change.access == Access::Counts,
                change.leaves_at != Field::Keep,
                value(&change.leaves_at).map(|at| at.as_millis()),
                change.idle_timeout != Field::Keep,
                value(&change.idle_timeout).copied().map(Timeout::as_millis),
                change.lifetime != Field::Keep,
                value(&change.lifetime).copied().map(Timeout::as_millis),
                rotation.map(Rotation::number),
                rotation
                    .and_then(Rotation::previous_until)
                    .map(Timestamp::as_millis),
                change.payload.is_some(),
                change.payload.as_ref().and_then(payload::inline),
            ],
            |row| row.get(),
        )
    }

    /// Whether the session has the version that was read; `None` if it is not live.
    pub(crate) fn has_expected_version(&self, ns: i64, db: &Db) -> Result<Option<bool>> {
        db.first(
            concat!(
                "SELECT version = ?4 FROM session WHERE ",
                this!(),
                " AND ",
                live!()
            ),
            params![
                ns,
                self.id.as_bytes(),
                self.now.as_millis(),
                self.expected.get().cast_signed(),
            ],
            |row| row.get(),
        )
    }

    /// Whether it may make the session end sooner.
    fn changes_times(&self) -> bool {
        let change = &self.change;
        change.idle_timeout != Field::Keep
            || change.lifetime != Field::Keep
            || change.leaves_at != Field::Keep
    }
}

fn value<T>(field: &Field<T>) -> Option<&T> {
    match field {
        Field::Set(value) => Some(value),
        Field::Keep | Field::Clear => None,
    }
}
