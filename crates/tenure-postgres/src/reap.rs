//! Reaping: what is due becomes a tombstone in somebody's hands, or goes without one.

use std::time::Duration;

use sqlx::postgres::PgRow;
use tenure_store::{
    Claimed, Ended, Error, ErrorKind, Namespace, Purged, Result, SessionId, Timestamp,
};

use crate::db::Db;
use crate::due::{due, next_due};
use crate::job::{Needs, Single};
use crate::row::{columns, get, id, on_namespace, record, time, tombstone, with_namespace};

/// One step looks at no more rows, and returns about as many bytes of payload at most.
const MAX_ROWS: u32 = 1000;
const MAX_BYTES: i64 = 8 << 20;

/// Holds what is due.
pub(crate) struct Claim {
    pub(crate) ns: Namespace,
    pub(crate) lease: Duration,
    pub(crate) limit: u32,
    pub(crate) now: Timestamp,
}

/// Holds until `$6` what it takes; what was used meanwhile gets its later place. The earliest
/// cause is the reason; of a session that is over, one that has not come yet is never that. On
/// a tie its own times come before the reset.
const CLAIM: &str = concat!(
    due!("$3", ""),
    ", written AS (UPDATE tenure_session s SET \
     queue = CASE WHEN j.takes THEN -3 ELSE s.queue END, \
     due_at = CASE WHEN j.takes THEN $6 ELSE j.true_due END, \
     claims = least(s.claims, 2147483646) + j.takes::int, \
     unsettled = least(s.unsettled, 2147483646) + j.takes::int, \
     end_at = CASE WHEN j.takes THEN coalesce(s.end_at, j.true_due) END, \
     end_reason = CASE WHEN j.takes THEN coalesce(s.end_reason, CASE j.true_due \
     WHEN j.leaves_at THEN 4 \
     WHEN least(j.last_access + j.idle_timeout, 9007199254740992) THEN 2 \
     WHEN least(j.created + j.lifetime, 9007199254740992) THEN 3 ELSE 5 END) END \
     FROM judged j WHERE s.ctid = j.place RETURNING j.takes, j.true_due, ",
    columns!(),
    ") SELECT t.*, w.* FROM (SELECT (SELECT count(*) FROM candidate) AS candidates, \
     (SELECT count(*) FROM older) AS resets, ",
    next_due!("(n.epoch), (-1), (-3)"),
    " AS next_due) t LEFT JOIN written w ON true ORDER BY w.true_due, w.id"
);

impl Single for Claim {
    type Answer = Claimed;
    const NEEDS: Needs = Needs::Statement;

    async fn run(&self, db: &mut Db) -> Result<Claimed> {
        let limit = i64::from(self.limit.min(MAX_ROWS));
        let claim = on_namespace(CLAIM, &self.ns)
            .bind(self.now.as_millis())
            .bind(limit)
            .bind(MAX_BYTES)
            .bind(self.now.plus(self.lease).as_millis());
        let rows = db.rows(claim).await?;
        let mut ended = Vec::with_capacity(rows.len());
        let (mut written, mut next_due) = (0, None);
        for row in &rows {
            next_due = earlier(next_due, time(row, "next_due")?);
            match get::<Option<bool>>(row, "takes")? {
                Some(true) => ended.extend(readable(row)),
                Some(false) => {}
                None => continue,
            }
            next_due = earlier(next_due, time(row, "due_at")?);
            written += 1;
        }
        let first = rows.first();
        let count = |column| first.map_or(Ok(0), |row| get::<i64>(row, column));
        // Rows that somebody else has locked are passed over, not forgotten.
        let mut more = count("candidates")? == limit || count("candidates")? > written;
        if !more && count("resets")? > 1 {
            more = forget_resets(&self.ns, db).await? > 0 && count("resets")? >= 8;
        }
        Ok(Claimed {
            ended,
            more,
            next_due,
        })
    }
}

/// The others' turn must come; what cannot be read comes again after the lease, and perhaps
/// somebody has mended it by then.
fn readable(row: &PgRow) -> Option<Ended> {
    let read = || -> Result<Option<Ended>> {
        let (record, tombstone) = (record(row)?, tombstone(row)?);
        Ok(tombstone.map(|tombstone| Ended { record, tombstone }))
    };
    read().unwrap_or_else(|error| {
        let session: Option<SessionId> = id(row).ok();
        tracing::warn!(%error, ?session, "a session cannot be reaped");
        None
    })
}

fn earlier(one: Option<Timestamp>, other: Option<Timestamp>) -> Option<Timestamp> {
    one.into_iter().chain(other).min()
}

/// Removes what is over and what nobody holds.
pub(crate) struct Purge {
    pub(crate) ns: Namespace,
    pub(crate) limit: u32,
    pub(crate) now: Timestamp,
}

const PURGE: &str = concat!(
    due!("9007199254740992", "AND NOT n.hooks_expected "),
    ", removed AS (DELETE FROM tenure_session s USING judged j \
     WHERE j.takes AND s.ctid = j.place RETURNING 1), \
     moved AS (UPDATE tenure_session s SET due_at = j.true_due FROM judged j \
     WHERE NOT j.takes AND s.ctid = j.place RETURNING s.due_at) \
     SELECT (SELECT hooks_expected FROM n) AS hooks_expected, \
     (SELECT count(*) FROM candidate) AS candidates, (SELECT count(*) FROM older) AS resets, \
     (SELECT count(*) FROM removed) AS removed, (SELECT count(*) FROM moved) AS moved, \
     least((SELECT min(due_at) FROM moved), ",
    next_due!("(n.epoch), (-3)"),
    ") AS next_due"
);

impl Single for Purge {
    type Answer = Purged;
    const NEEDS: Needs = Needs::Statement;

    async fn run(&self, db: &mut Db) -> Result<Purged> {
        let limit = i64::from(self.limit.min(MAX_ROWS));
        let purge = on_namespace(PURGE, &self.ns)
            .bind(self.now.as_millis())
            .bind(limit)
            .bind(i64::MAX);
        let row = db.row(purge).await?;
        if get::<Option<bool>>(&row, "hooks_expected")? == Some(true) {
            let message = format!(
                "end hooks are expected for {}: run a reaper with hooks, or withdraw them",
                self.ns
            );
            return Err(Error::new(ErrorKind::Misconfigured, message));
        }
        let count = |column| get::<i64>(&row, column);
        let (candidates, removed) = (count("candidates")?, count("removed")?);
        let mut more = candidates == limit || candidates > removed + count("moved")?;
        if !more && count("resets")? > 1 {
            more = forget_resets(&self.ns, db).await? > 0 && count("resets")? >= 8;
        }
        Ok(Purged {
            removed: removed.unsigned_abs(),
            more,
            next_due: time(&row, "next_due")?,
        })
    }
}

/// Forgets the resets of which no session is left, but for the latest: a creation that was
/// under way during two of them may yet appear in an older epoch, and counts as ended by the
/// next later reset that is known.
async fn forget_resets(ns: &Namespace, db: &mut Db) -> Result<u64> {
    const FORGET: &str = concat!(
        with_namespace!(),
        ", spent AS MATERIALIZED (SELECT r.ns, r.epoch FROM n JOIN tenure_reset r ON r.ns = n.ns \
         WHERE r.epoch < (SELECT max(l.epoch) FROM tenure_reset l WHERE l.ns = n.ns) \
         AND ((SELECT t.queue FROM tenure_session t WHERE t.ns = n.ns AND t.queue >= 0 \
         ORDER BY t.queue LIMIT 1) <= r.epoch) IS NOT TRUE ORDER BY r.epoch FOR UPDATE OF r) \
         DELETE FROM tenure_reset r USING spent s WHERE r.ns = s.ns AND r.epoch = s.epoch"
    );
    db.run(on_namespace(FORGET, ns)).await
}
