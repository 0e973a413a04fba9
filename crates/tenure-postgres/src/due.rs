//! What is due in a namespace: its queues merged, oldest first, by looking at no more rows
//! than allowed. The statements of [`reap`](crate::reap) begin with this.

/// Finds what is due and locks it. `$3` is now, `$4` how many rows may be looked at, `$5` how
/// many bytes of payload may come back; waiting tombstones count up to the given instant.
/// Other conditions on the locked rows can be added.
///
/// - `older`: the epochs before the present one, and the resets that ended them; the first
///   eight, as the others' turn comes when these are through.
/// - `candidate`: up to `$4` rows by the instant before which nobody need look. Each part reads
///   as many entries of the index at most, so that it costs the same however many sessions are
///   live.
/// - `locked`: those of them that nobody else has locked, if that instant still is what it was.
///   Sessions of older epochs are due whenever anybody looks. A row is found by its place in
///   the table, as `candidate` has just been there: looking its id up again, in an index that
///   is all over memory, was a quarter of what a removal costs. Who changed a row meanwhile has
///   put it in another place; then it is left for the next time.
/// - `judged`: whether it `takes` them, and from when they are truly due: the earliest cause of
///   an end, or later than anybody thought because they were used. What is due only behind the
///   last candidate is left for its turn.
macro_rules! due {
    ($waiting:literal, $and:literal) => {
        concat!(
            crate::row::with_namespace!(),
            ", older AS MATERIALIZED (SELECT r.ns, \
             coalesce(lag(r.epoch) OVER (ORDER BY r.epoch), -1) AS above, r.epoch AS upto, r.at \
             FROM n JOIN tenure_reset r ON r.ns = n.ns ORDER BY r.epoch LIMIT 8), \
             candidate AS MATERIALIZED (SELECT place, due, \
             sum(size) OVER (ORDER BY due, id) - size AS bytes_before FROM ( \
             SELECT q.place, q.id, q.due, q.size FROM n \
             CROSS JOIN LATERAL (VALUES (n.epoch, $3), (-1, ",
            $waiting,
            "), (-3, $3)) AS a (queue, upto) \
             CROSS JOIN LATERAL (SELECT t.ctid AS place, t.id, t.due_at AS due, \
             octet_length(t.payload) AS size FROM tenure_session t WHERE t.ns = n.ns \
             AND t.queue = a.queue AND t.due_at <= a.upto ORDER BY t.due_at, t.id LIMIT $4) q \
             UNION ALL \
             SELECT q.place, q.id, least(q.due, o.at), q.size FROM older o \
             CROSS JOIN LATERAL (SELECT t.ctid AS place, t.id, t.due_at AS due, \
             octet_length(t.payload) AS size FROM tenure_session t WHERE t.ns = o.ns \
             AND t.queue > o.above AND t.queue <= o.upto \
             ORDER BY t.queue, t.due_at, t.id LIMIT $4) q \
             ) c ORDER BY due, id LIMIT $4), \
             locked AS MATERIALIZED (SELECT s.ctid AS place, s.queue, n.epoch, s.due_at, \
             s.expires_at, s.last_access, s.idle_timeout, s.created, s.lifetime, s.leaves_at \
             FROM n CROSS JOIN candidate c JOIN tenure_session s ON s.ctid = c.place \
             WHERE c.bytes_before < $5 AND (s.queue + 0 BETWEEN 0 AND n.epoch - 1 \
             OR s.queue + 0 = -1 AND s.due_at <= ",
            $waiting,
            " OR s.queue + 0 IN (n.epoch, -3) AND s.due_at <= $3) ",
            $and,
            "ORDER BY s.id FOR UPDATE OF s SKIP LOCKED), \
             judged AS MATERIALIZED (SELECT j.*, j.queue < 0 OR (j.queue < j.epoch \
             OR (j.expires_at <= $3) IS TRUE) AND (j.true_due <= (SELECT \
             CASE WHEN count(*) = $4 THEN max(due) END FROM candidate)) IS NOT FALSE AS takes \
             FROM (SELECT l.*, CASE WHEN l.queue < 0 THEN l.due_at \
             ELSE least(l.expires_at, o.at) END AS true_due \
             FROM locked l LEFT JOIN older o ON l.queue > o.above AND l.queue <= o.upto) j)"
        )
    };
}
/// The first instant behind `$3` at which something in these queues is due.
macro_rules! next_due {
    ($queues:literal) => {
        concat!(
            "(SELECT min(q.due_at) FROM n CROSS JOIN LATERAL (VALUES ",
            $queues,
            ") AS a (queue) CROSS JOIN LATERAL (SELECT t.due_at FROM tenure_session t \
             WHERE t.ns = n.ns AND t.queue = a.queue AND t.due_at > $3 \
             ORDER BY t.due_at LIMIT 1) q)"
        )
    };
}
pub(crate) use {due, next_due};
