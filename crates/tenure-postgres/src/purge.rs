//! Reaping without end hooks: what is due goes.

use tenure_store::{Error, ErrorKind, Namespace, Purged, Result, Timestamp, Tombstone};

use crate::db::Db;
use crate::due::{MAX_ROWS, candidates, firsts, forget_resets, next, still_due, with_floors};
use crate::floors::{Known, Unseen};
use crate::job::{Needs, Single};
use crate::row::{get, on_namespace, time, with_namespace};

/// Removes what is over and what nobody holds.
pub(crate) struct Purge {
    pub(crate) ns: Namespace,
    pub(crate) limit: u32,
    pub(crate) now: Timestamp,
    pub(crate) known: Known,
}

/// Nobody hears of what goes here, so that, other than for a claim, nothing is put in order
/// between the queues and no cause of an end is looked for: that was a third of what it cost.
/// What was used meanwhile gets its later place.
const PURGE: &str = concat!(
    with_namespace!(),
    ", head AS MATERIALIZED (SELECT q.* FROM n CROSS JOIN LATERAL (SELECT \
     t.ctid AS place, t.queue, t.due_at AS due FROM tenure_session t \
     WHERE t.ns = n.ns AND NOT n.hooks_expected AND t.queue BETWEEN 0 AND n.epoch - 1 \
     AND (t.queue, t.due_at) >= ($8, $9) ORDER BY t.queue, t.due_at, t.id LIMIT $4) q \
     UNION ALL ",
    candidates!("9007199254740992", "$13", ""),
    " WHERE NOT n.hooks_expected LIMIT $4), \
     locked AS MATERIALIZED (SELECT s.ctid AS place, s.expires_at, \
     s.queue <> n.epoch OR (s.expires_at <= $3) IS TRUE AS over \
     FROM n CROSS JOIN tenure_session s \
     WHERE s.ctid = ANY (ARRAY(SELECT place FROM head)) AND ",
    still_due!("9007199254740992", "$13"),
    " FOR UPDATE OF s SKIP LOCKED), \
     removed AS (DELETE FROM tenure_session s \
     WHERE s.ctid = ANY (ARRAY(SELECT place FROM locked WHERE over)) RETURNING 1), \
     moved AS (UPDATE tenure_session s SET due_at = l.expires_at FROM locked l \
     WHERE NOT l.over AND s.ctid = l.place RETURNING s.due_at), ",
    next!(),
    " SELECT (SELECT hooks_expected FROM n) AS hooks_expected, \
     (SELECT count(*) FROM head) AS candidates, \
     (SELECT count(*) FROM n JOIN tenure_reset r ON r.ns = n.ns) AS resets, \
     (SELECT count(*) FROM removed) AS removed, (SELECT count(*) FROM moved) AS moved, \
     least((SELECT min(due_at) FROM moved), (SELECT min(due_at) FROM next WHERE queue <> -1)) \
     AS next_due, ",
    firsts!()
);

impl Single for Purge {
    type Answer = Purged;
    const NEEDS: Needs = Needs::Statement;

    async fn run(&self, db: &mut Db) -> Result<Purged> {
        let limit = i64::from(self.limit.min(MAX_ROWS));
        let now = self.now.as_millis();
        let purge = on_namespace(PURGE, &self.ns).bind(now).bind(limit);
        let reading = self.known.begin(&self.ns);
        let purge = with_floors(purge, &reading.floors);
        let horizon = Tombstone::horizon(self.now).as_millis();
        let read = db.row(purge.bind(horizon)).await;
        let candidates = |row| get::<i64>(row, "candidates");
        let learnt = match &read {
            Ok(row) if candidates(row)? == limit => Some((row, Unseen::Unread)),
            Ok(row) => Some((row, Unseen::NoneUpTo(now))),
            Err(_) => None,
        };
        self.known.learn(&self.ns, &reading, learnt)?;
        let row = read?;
        let hooks_expected: Option<bool> = get(&row, "hooks_expected")?;
        if hooks_expected.ok_or_else(|| Error::not_opened(&self.ns))? {
            let message = format!(
                "end hooks are expected for {}: run a reaper with hooks, or withdraw them",
                self.ns
            );
            return Err(Error::new(ErrorKind::Misconfigured, message));
        }
        let count = |column| get::<i64>(&row, column);
        let (candidates, removed) = (count("candidates")?, count("removed")?);
        // Rows that somebody else has locked are passed over, not forgotten.
        let more = candidates == limit || candidates > removed + count("moved")?;
        if !more && count("resets")? > 1 {
            forget_resets(&self.ns, db).await?;
        }
        Ok(Purged {
            removed: removed.unsigned_abs(),
            more,
            next_due: time(&row, "next_due")?,
        })
    }
}
