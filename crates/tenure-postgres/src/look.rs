//! What operators see. Nothing here writes.

use tenure_store::{
    Counts, Cursor, Entry, Filter, Namespace, Page, Principal, Result, SessionId, Status,
    Timestamp, Tombstone,
};

use crate::db::Db;
use crate::job::{Needs, Single};
use crate::row::{
    by_key, columns, cursor, entry, get, on_namespace, on_session, time, uuid, with_namespace,
};

/// A page looks at no more entries, and none behind one that takes it over so many bytes of
/// payload.
const MAX_ENTRIES: u32 = 1000;
const MAX_BYTES: usize = 8 << 20;

/// All that [`entry`] reads, of a session `s` in `n`.
macro_rules! entries {
    ($($from:tt)*) => {
        concat!(
            " SELECT ",
            columns!(),
            ", n.epoch, (SELECT r.at FROM tenure_reset r WHERE r.ns = s.ns \
             AND r.epoch >= s.queue AND s.queue >= 0 ORDER BY r.epoch LIMIT 1) AS reset_at \
             FROM n ",
            $($from)*
        )
    };
}

/// One session, whatever became of it.
pub(crate) struct Inspect {
    pub(crate) ns: Namespace,
    pub(crate) id: SessionId,
    pub(crate) now: Timestamp,
}

impl Single for Inspect {
    type Answer = Option<Entry>;
    const NEEDS: Needs = Needs::Reading;

    async fn run(&self, db: &mut Db) -> Result<Option<Entry>> {
        const INSPECT: &str = concat!(
            with_namespace!(),
            entries!("JOIN tenure_session s ON ", by_key!("$3"))
        );
        let rows = db.rows(on_session(INSPECT, &self.ns, self.id)).await?;
        rows.first().map(|row| entry(row, self.now)).transpose()
    }
}

/// A page of sessions.
pub(crate) struct List {
    pub(crate) ns: Namespace,
    pub(crate) filter: Filter,
    pub(crate) now: Timestamp,
}

/// The sessions behind (`$3`, `$4`) that were created before `$5`: `$6` of them, but none
/// behind `$7` bytes.
macro_rules! page {
    // In an order that an index of the queues does not have, and in words that keep the one away
    // that has it and holds everything else.
    (queue $and:literal) => {
        page!($and, "t.created + 0")
    };
    ($and:literal) => {
        page!($and, "t.created")
    };
    ($and:literal, $created:literal) => {
        concat!(
            with_namespace!(),
            ", looked AS MATERIALIZED (SELECT t.id, \
             sum(size) OVER (ORDER BY created, id) - size AS bytes_before \
             FROM n CROSS JOIN LATERAL ( \
             SELECT t.id, t.created, octet_length(t.payload) AS size \
             FROM tenure_session t WHERE t.ns = n.ns",
            $and,
            " AND (",
            $created,
            ", t.id) > ($3, $4) AND ",
            $created,
            " < $5 ORDER BY ",
            $created,
            ", t.id LIMIT $6) t)",
            entries!(
                "CROSS JOIN looked l JOIN tenure_session s ON ",
                by_key!("l.id"),
                " WHERE l.bytes_before < $7 ORDER BY s.created, s.id"
            )
        )
    };
}

impl Single for List {
    type Answer = Page;
    const NEEDS: Needs = Needs::Reading;

    async fn run(&self, db: &mut Db) -> Result<Page> {
        let filter = &self.filter;
        // What has ended is found by its queue, which holds nothing else; what is live or ran
        // out is one page after the other.
        let sql = match (&filter.principal, filter.status) {
            (Some(_), _) => page!(" AND t.principal = $8"),
            (None, Some(Status::Dead)) => page!(queue " AND t.queue = -2"),
            (None, Some(Status::Waiting)) => page!(queue " AND t.queue IN (-1, -3)"),
            (None, Some(Status::Held)) => page!(queue " AND t.queue = -3"),
            (None, Some(Status::Live | Status::Over) | None) => page!(""),
        };
        // The place before all that start there: a time comes before its first id.
        let start = (
            filter.created.start.as_millis() - 1,
            sqlx::types::Uuid::max(),
        );
        let after = filter.after.map(|at| (at.created.as_millis(), uuid(at.id)));
        let (created, id) = after.map_or(start, |after| after.max(start));
        let limit = i64::from(filter.limit.min(MAX_ENTRIES));
        let mut list = on_namespace(sql, &self.ns)
            .bind(created)
            .bind(id)
            .bind(filter.created.end.as_millis())
            .bind(limit)
            .bind(i64::try_from(MAX_BYTES).unwrap_or(i64::MAX));
        if let Some(principal) = &filter.principal {
            list = list.bind(Principal::as_str(principal));
        }
        let rows = db.rows(list).await?;

        let mut page = Page {
            entries: Vec::with_capacity(rows.len()),
            next: None,
        };
        let mut bytes = 0;
        for row in &rows {
            bytes += get::<&[u8]>(row, "payload")?.len();
            match entry(row, self.now) {
                Ok(entry) if filter.matches(&entry, self.now) => page.entries.push(entry),
                Ok(_) => {}
                // One damaged record must not hide the others.
                Err(error) => tracing::warn!(%error, "a session is left out of a list"),
            }
        }
        let is_full = i64::try_from(rows.len()) == Ok(limit) || bytes >= MAX_BYTES;
        if let Some(last) = rows.last().filter(|_| is_full) {
            page.next = Some(cursor(last)?);
        }
        Ok(page)
    }
}

/// How many sessions there are: of the next ones behind a place, so that nobody waits for all.
pub(crate) struct Count {
    pub(crate) ns: Namespace,
    pub(crate) now: Timestamp,
    /// Those up to this place are counted.
    pub(crate) from: Option<Cursor>,
}

/// What one step counted.
pub(crate) struct Counted {
    pub(crate) counts: Counts,
    /// From where to go on; `None` if nothing is left.
    pub(crate) next: Option<Cursor>,
}

/// How many sessions one step counts.
const STEP: i64 = 20_000;

/// Of the `$6` sessions behind (`$4`, `$5`).
const COUNT: &str = concat!(
    with_namespace!(),
    ", standing AS MATERIALIZED (SELECT s.queue, s.due_at, s.created, s.id, \
     CASE WHEN s.queue >= 0 THEN least(s.expires_at, CASE WHEN s.queue <> n.epoch THEN \
     (SELECT r.at FROM tenure_reset r WHERE r.ns = s.ns AND r.epoch >= s.queue \
     ORDER BY r.epoch LIMIT 1) END) END AS ends, \
     s.queue >= 0 AND (s.queue <> n.epoch OR (s.expires_at <= $3) IS TRUE) AS over \
     FROM n CROSS JOIN LATERAL (SELECT s.* FROM tenure_session s WHERE s.ns = n.ns \
     AND (s.created, s.id) > ($4, $5) ORDER BY s.created, s.id LIMIT $6) s), \
     sums AS (SELECT count(*) AS looked_at, count(*) FILTER (WHERE queue >= 0 AND NOT over) AS live, \
     count(*) FILTER (WHERE over) AS over, \
     count(*) FILTER (WHERE queue = -1 OR queue = -3 AND (due_at <= $3 OR due_at > $7)) AS waiting, \
     count(*) FILTER (WHERE queue = -3 AND due_at > $3 AND due_at <= $7) AS held, \
     count(*) FILTER (WHERE queue = -2) AS dead, \
     min(CASE WHEN over THEN ends WHEN queue IN (-1, -3) AND due_at <= $3 THEN due_at END) \
     AS oldest FROM standing) \
     SELECT sums.*, l.created, l.id FROM sums LEFT JOIN LATERAL (SELECT created, id FROM standing \
     ORDER BY created DESC, id DESC LIMIT 1) l ON true"
);

impl Single for Count {
    type Answer = Counted;
    const NEEDS: Needs = Needs::Reading;

    async fn run(&self, db: &mut Db) -> Result<Counted> {
        // Before every instant there is, no id matters.
        let (created, id) = self
            .from
            .map_or((i64::MIN, sqlx::types::Uuid::nil()), |from| {
                (from.created.as_millis(), uuid(from.id))
            });
        let count = on_namespace(COUNT, &self.ns)
            .bind(self.now.as_millis())
            .bind(created)
            .bind(id)
            .bind(STEP)
            .bind(Tombstone::horizon(self.now).as_millis());
        let row = db.row(count).await?;
        let number = |column| get::<i64>(&row, column).map(i64::unsigned_abs);
        let is_short = get::<i64>(&row, "looked_at")? < STEP;
        Ok(Counted {
            counts: Counts {
                live: number("live")?,
                over: number("over")?,
                waiting: number("waiting")?,
                held: number("held")?,
                dead: number("dead")?,
                oldest_due: time(&row, "oldest")?,
            },
            next: if is_short { None } else { Some(cursor(&row)?) },
        })
    }
}

impl Counted {
    /// Adds what the steps before counted.
    pub(crate) fn and(&mut self, before: &Counts) {
        let counts = &mut self.counts;
        counts.live += before.live;
        counts.over += before.over;
        counts.waiting += before.waiting;
        counts.held += before.held;
        counts.dead += before.dead;
        counts.oldest_due = counts.oldest_due.into_iter().chain(before.oldest_due).min();
    }
}
