//! What is due in a namespace. In the statements `$3` is now, `$4` how many rows may be looked at,
//! and `$5` to `$12` are the queues' [floors](crate::floors).

use tenure_store::{Namespace, Result};

use crate::db::{Db, Statement};
use crate::floors::Floors;
use crate::row::{on_namespace, with_namespace};

/// One step looks at no more rows.
pub(crate) const MAX_ROWS: u32 = 1000;

/// What stands in the queues of the present epoch, of waiting tombstones up to the given instant,
/// and of those that were held: its `place` and what else is asked of `t`. And those tombstones
/// beyond the horizon, that a clock wrote which was ahead, without a queue, as no floor is learnt
/// from them. Each part reads as many entries of the index at most, so that it costs the same
/// however many sessions are live.
///
/// A row is found again by its place in the table: looking its id up, in an index that is all
/// over memory, was a quarter of what a removal costs. Places go as a list, as for each that is
/// joined the server asks the kernel how long the table is. Who changes a row puts it in another
/// place; then it is left for the next time, as is one that somebody else has locked. Reapers
/// wait for nobody, and so may lock rows in any order.
macro_rules! candidates {
    ($waiting:literal, $horizon:literal, $more:literal) => {
        concat!(
            "SELECT q.* FROM n CROSS JOIN LATERAL (VALUES \
             (n.epoch, $3, $5::bigint, n.epoch), (-1, ",
            $waiting,
            ", $6, -1), (-3, $3, $7, -3), (-1, 9007199254740992, greatest(",
            $horizon,
            ", ",
            $waiting,
            ") + 1, NULL), (-3, 9007199254740992, ",
            $horizon,
            " + 1, NULL)) AS a (queue, upto, floor, known_as) \
             CROSS JOIN LATERAL (SELECT t.ctid AS place, a.known_as AS queue, t.due_at AS due",
            $more,
            " FROM tenure_session t WHERE t.ns = n.ns AND t.queue = a.queue \
             AND t.due_at >= a.floor AND t.due_at <= a.upto ORDER BY t.due_at, t.id LIMIT $4) q"
        )
    };
}
/// Whether the session `s` still is what a candidate is. Sessions of older epochs are due whenever
/// anybody looks.
macro_rules! still_due {
    ($waiting:literal, $horizon:literal) => {
        concat!(
            "(s.queue + 0 BETWEEN 0 AND n.epoch - 1 OR s.queue + 0 = -1 AND s.due_at <= ",
            $waiting,
            " OR s.queue + 0 IN (n.epoch, -3) AND s.due_at <= $3 \
             OR s.queue + 0 IN (-1, -3) AND s.due_at > ",
            $horizon,
            ")"
        )
    };
}
/// Of the rows that a statement read as `head`, where each queue's first was; and the first
/// instants behind `$3` at which something in these queues is due.
macro_rules! firsts {
    () => {
        "(SELECT epoch FROM n) AS epoch, \
         (SELECT min(due) FROM head WHERE queue = (SELECT epoch FROM n)) AS first_live, \
         (SELECT min(due) FROM head WHERE queue = -1) AS first_waiting, \
         (SELECT min(due) FROM head WHERE queue = -3) AS first_held, \
         (SELECT min(queue) FROM head WHERE queue BETWEEN 0 AND (SELECT epoch - 1 FROM n)) \
         AS first_older, (SELECT due FROM head WHERE queue BETWEEN 0 AND (SELECT epoch - 1 FROM n) \
         ORDER BY queue, due LIMIT 1) AS first_older_due, \
         (SELECT due_at FROM next WHERE queue >= 0) AS next_live, \
         (SELECT due_at FROM next WHERE queue = -1) AS next_waiting, \
         (SELECT due_at FROM next WHERE queue = -3) AS next_held"
    };
}
macro_rules! next {
    () => {
        "next AS MATERIALIZED (SELECT a.queue, q.due_at FROM n CROSS JOIN LATERAL (VALUES \
         (n.epoch, $10::bigint), (-1, $11), (-3, $12)) AS a (queue, floor) \
         CROSS JOIN LATERAL (SELECT t.due_at FROM tenure_session t \
         WHERE t.ns = n.ns AND t.queue = a.queue AND t.due_at > greatest($3, a.floor) \
         ORDER BY t.due_at LIMIT 1) q)"
    };
}
pub(crate) use {candidates, firsts, next, still_due};

/// The floors, behind what comes before them in the statements here.
pub(crate) fn with_floors<'q>(statement: Statement<'q>, floors: &Floors) -> Statement<'q> {
    let Floors { due, older, later } = *floors;
    let [live, waiting, held] = due;
    let [later_live, later_waiting, later_held] = later;
    statement
        .bind(live)
        .bind(waiting)
        .bind(held)
        .bind(older.0)
        .bind(older.1)
        .bind(later_live)
        .bind(later_waiting)
        .bind(later_held)
}

/// Forgets the resets of which no session is left, but for the latest: a creation that was
/// under way during two of them may yet appear in an older epoch, and counts as ended by the
/// next later reset that is known.
pub(crate) async fn forget_resets(ns: &Namespace, db: &mut Db) -> Result<u64> {
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
