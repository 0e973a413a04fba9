//! Reaping: what is due becomes a tombstone in somebody's hands, or goes without one.

use std::time::Duration;

use rusqlite::params;
use tenure_store::{
    Claimed, End, Ended, Error, ErrorKind, Namespace, Purged, Result, Timestamp, Tombstone,
};

use crate::db::Db;
use crate::due::{Looked, Queues, Reach};
use crate::job::Operation;
use crate::row::{HELD, bytes};

/// One step looks at no more rows, and returns about as many bytes of payload at most.
const MAX_ROWS: u32 = 1000;
const MAX_BYTES: u64 = 8 << 20;

/// Holds what is due.
pub(crate) struct Claim {
    pub(crate) ns: Namespace,
    pub(crate) lease: Duration,
    pub(crate) limit: u32,
    pub(crate) now: Timestamp,
}

impl Operation for Claim {
    type Answer = Claimed;

    fn run(&self, db: &Db) -> Result<Claimed> {
        let mut ended = Vec::new();
        let until = Tombstone::held_until(self.lease, self.now);
        let mut queues = Queues::find(&self.ns, db)?;
        if queues.is_due(Reach::Claimable, self.now) {
            let limit = self.limit.min(MAX_ROWS);
            let mut looked = queues.look(Reach::Claimable, limit, self.now, db)?;
            // The others' turn must come, and perhaps somebody mends these.
            let damaged = looked.damaged.iter();
            looked
                .later
                .extend(damaged.map(|number| (*number, until.as_millis())));
            postpone(&looked.later, db)?;
            ended = self.hold(looked, db)?;
            queues.refresh(db)?;
        }
        queues.forget_resets(db)?;
        Ok(Claimed {
            ended,
            more: queues.is_more_due(self.now, until),
            hooks_expected: queues.hooks_expected,
            next_due: queues.next_due(),
        })
    }
}

impl Claim {
    fn hold(&self, looked: Looked, db: &Db) -> Result<Vec<Ended>> {
        let until = Tombstone::held_until(self.lease, self.now).as_millis();
        let (mut held, mut bytes) = (Vec::with_capacity(looked.ended.len()), 0);
        for mut ripe in looked.ended {
            let End { reason, at } = ripe.ended.tombstone.end;
            let payload = db.first(
                concat!(
                    "UPDATE session SET queue = ?2, due_at = ?3, end_reason = ?4, end_at = ?5, \
                     claims = claims + 1, unsettled = unsettled + 1 WHERE number = ?1 RETURNING ",
                    bytes!()
                ),
                params![ripe.number, HELD, until, reason.code(), at.as_millis()],
                |row| row.payload(),
            )?;
            ripe.ended.tombstone.claim(self.lease, self.now);
            ripe.ended.record.payload = payload.unwrap_or_default();
            held.push(ripe.ended);
            bytes += ripe.size;
            if bytes >= MAX_BYTES {
                break;
            }
        }
        Ok(held)
    }
}

/// Removes what is over and what nobody holds.
pub(crate) struct Purge {
    pub(crate) ns: Namespace,
    pub(crate) limit: u32,
    pub(crate) now: Timestamp,
}

impl Operation for Purge {
    type Answer = Purged;

    fn run(&self, db: &Db) -> Result<Purged> {
        let mut removed = 0;
        let mut queues = Queues::find(&self.ns, db)?;
        if queues.hooks_expected {
            let message = format!(
                "end hooks are expected for {}: run a reaper with hooks, or withdraw them",
                self.ns
            );
            return Err(Error::new(ErrorKind::Misconfigured, message));
        }
        if queues.is_due(Reach::Unheld, self.now) {
            let limit = self.limit.min(MAX_ROWS);
            let looked = queues.look(Reach::Unheld, limit, self.now, db)?;
            postpone(&looked.later, db)?;
            let ended = looked.ended.iter().map(|ripe| ripe.number);
            for number in ended.chain(looked.damaged) {
                removed += db.execute("DELETE FROM session WHERE number = ?1", [number])?;
            }
            queues.refresh(db)?;
        }
        queues.forget_resets(db)?;
        Ok(Purged {
            removed,
            more: queues.is_due(Reach::Unheld, self.now),
            next_due: queues.next_due(),
        })
    }
}

/// Moves `due_at` on: lazily, here, so that no touch ever has to.
fn postpone(later: &[(i64, i64)], db: &Db) -> Result<()> {
    for (number, due) in later {
        db.execute(
            "UPDATE session SET due_at = ?2 WHERE number = ?1",
            [number, due],
        )?;
    }
    Ok(())
}
