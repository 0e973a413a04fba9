//! Reaping with end hooks: what is due becomes a tombstone in somebody's hands.

use std::time::Duration;

use sqlx::postgres::PgRow;
use tenure_store::{Claimed, Ended, Error, Namespace, Result, SessionId, Timestamp, Tombstone};

use crate::db::Db;
use crate::due::{MAX_ROWS, candidates, firsts, forget_resets, next, still_due, with_floors};
use crate::floors::{Known, Unseen};
use crate::job::{Needs, Single};
use crate::row::{columns, get, id, on_namespace, record, time, tombstone, with_namespace};

/// One step returns about as many bytes of payload at most.
const MAX_BYTES: i64 = 8 << 20;

/// Holds what is due.
pub(crate) struct Claim {
    pub(crate) ns: Namespace,
    pub(crate) lease: Duration,
    pub(crate) limit: u32,
    pub(crate) now: Timestamp,
    pub(crate) known: Known,
}

/// Up to `$4` rows are looked at, up to `$13` bytes of payload come back, and what is taken is held
/// until `$14`; the horizon is `$15`.
///
/// - `older`: the epochs before the present one, and the resets that ended them; the first
///   eight, as the others' turn comes when these are through.
/// - `head`: the first of each queue.
/// - `candidate`: these merged, oldest first, by the instant before which nobody need look.
/// - `locked`: those of them that nobody else has locked, if they still are what they were.
/// - `judged`: whether it `takes` them, and from when they are truly due: the earliest cause of
///   an end, or later than anybody thought because they were used. What is due only behind the
///   last candidate is left for its turn.
/// - `written`: what was used meanwhile gets its later place. The earliest cause is the reason;
///   of a session that is over, one that has not come yet is never that. On a tie its own times
///   come before the reset.
const CLAIM: &str = concat!(
    with_namespace!(),
    ", older AS MATERIALIZED (SELECT r.ns, \
     coalesce(lag(r.epoch) OVER (ORDER BY r.epoch), -1) AS above, r.epoch AS upto, r.at \
     FROM n JOIN tenure_reset r ON r.ns = n.ns ORDER BY r.epoch LIMIT 8), \
     head AS MATERIALIZED (SELECT h.*, h.due AS rank FROM (",
    candidates!("$3", "$15", ", t.id, octet_length(t.payload) AS size"),
    ") h UNION ALL \
     SELECT q.*, least(q.due, o.at) FROM older o \
     CROSS JOIN LATERAL (SELECT t.ctid AS place, t.queue, t.due_at AS due, t.id, \
     octet_length(t.payload) AS size FROM tenure_session t WHERE t.ns = o.ns \
     AND t.queue > o.above AND t.queue <= o.upto AND (t.queue, t.due_at) >= ($8, $9) \
     ORDER BY t.queue, t.due_at, t.id LIMIT $4) q), \
     candidate AS MATERIALIZED (SELECT place, rank AS due, \
     sum(size) OVER (ORDER BY rank, id) - size AS bytes_before FROM head \
     ORDER BY rank, id LIMIT $4), \
     locked AS MATERIALIZED (SELECT s.ctid AS place, s.queue, n.epoch, s.due_at, \
     s.expires_at, s.last_access, s.idle_timeout, s.created, s.lifetime, s.leaves_at \
     FROM n CROSS JOIN tenure_session s \
     WHERE s.ctid = ANY (ARRAY(SELECT place FROM candidate WHERE bytes_before < $13)) AND ",
    still_due!("$3", "$15"),
    " FOR UPDATE OF s SKIP LOCKED), \
     judged AS MATERIALIZED (SELECT j.*, j.queue < 0 OR (j.queue < j.epoch \
     OR (j.expires_at <= $3) IS TRUE) AND (j.true_due <= (SELECT \
     CASE WHEN count(*) = $4 THEN max(due) END FROM candidate)) IS NOT FALSE AS takes \
     FROM (SELECT l.*, CASE WHEN l.queue < 0 THEN l.due_at \
     ELSE least(l.expires_at, o.at) END AS true_due \
     FROM locked l LEFT JOIN older o ON l.queue > o.above AND l.queue <= o.upto) j), \
     written AS (UPDATE tenure_session s SET \
     queue = CASE WHEN j.takes THEN -3 ELSE s.queue END, \
     due_at = CASE WHEN j.takes THEN $14 ELSE j.true_due END, \
     claims = least(s.claims, 2147483646) + j.takes::int, \
     unsettled = least(s.unsettled, 2147483646) + j.takes::int, \
     end_at = CASE WHEN j.takes THEN coalesce(s.end_at, j.true_due) END, \
     end_reason = CASE WHEN j.takes THEN coalesce(s.end_reason, CASE j.true_due \
     WHEN j.leaves_at THEN 4 \
     WHEN least(j.last_access + j.idle_timeout, 9007199254740992) THEN 2 \
     WHEN least(j.created + j.lifetime, 9007199254740992) THEN 3 ELSE 5 END) END \
     FROM judged j WHERE s.ctid = j.place RETURNING j.takes, j.true_due, ",
    columns!(),
    "), ",
    next!(),
    " SELECT t.*, w.* FROM (SELECT (SELECT count(*) FROM candidate) AS candidates, \
     (SELECT count(*) FROM older) AS resets, (SELECT hooks_expected FROM n) AS hooks_expected, \
     (SELECT min(due_at) FROM next) AS next_due, ",
    firsts!(),
    ") t LEFT JOIN written w ON true ORDER BY w.true_due, w.id"
);

impl Single for Claim {
    type Answer = Claimed;
    const NEEDS: Needs = Needs::Statement;

    async fn run(&self, db: &mut Db) -> Result<Claimed> {
        let limit = i64::from(self.limit.min(MAX_ROWS));
        let now = self.now.as_millis();
        let claim = on_namespace(CLAIM, &self.ns).bind(now).bind(limit);
        let reading = self.known.begin(&self.ns);
        let claim = with_floors(claim, &reading.floors)
            .bind(MAX_BYTES)
            .bind(Tombstone::held_until(self.lease, self.now).as_millis())
            .bind(Tombstone::horizon(self.now).as_millis());
        let read = db.rows(claim).await;
        let first = read.as_ref().ok().and_then(|rows| rows.first());
        let first = first.map(|row| (row, Unseen::NoneUpTo(now)));
        self.known.learn(&self.ns, &reading, first)?;
        let rows = read?;
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
        let hooks_expected = first.map_or(Ok(None), |row| get(row, "hooks_expected"))?;
        let hooks_expected = hooks_expected.ok_or_else(|| Error::not_opened(&self.ns))?;
        let count = |column| first.map_or(Ok(0), |row| get::<i64>(row, column));
        // Rows that somebody else has locked are passed over, not forgotten.
        let mut more = count("candidates")? == limit || count("candidates")? > written;
        if !more && count("resets")? > 1 {
            more = forget_resets(&self.ns, db).await? > 0 && count("resets")? >= 8;
        }
        Ok(Claimed {
            ended,
            more,
            hooks_expected,
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
