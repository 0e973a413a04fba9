//! What operators see. Nothing here writes.

use rusqlite::{Rows, params};
use tenure_store::{
    Counts, Entry, Filter, Namespace, Page, Result, SessionId, Timestamp, Tombstone,
};

use crate::db::Db;
use crate::error::from_driver;
use crate::job::Operation;
use crate::row::{Columns, bytes, record_columns, tombstone_columns, when};

/// A page holds at most so many entries, and one that takes it over so many bytes of
/// payload.
const MAX_ENTRIES: u32 = 1000;
const MAX_BYTES: usize = 8 << 20;

/// A session's place in a list, and all that [`Columns::entry`] reads.
macro_rules! entries {
    () => {
        concat!(
            "SELECT session.created, session.id, namespace.epoch, reset.at, ",
            bytes!(),
            ", ",
            record_columns!(),
            ", ",
            tombstone_columns!(),
            " FROM namespace CROSS JOIN session ON session.ns = namespace.ns \
             LEFT JOIN reset ON reset.ns = session.ns AND reset.epoch = session.queue \
             WHERE namespace.ns = ?1 "
        )
    };
}

/// One session, whatever became of it.
#[derive(Clone)]
pub(crate) struct Inspect {
    pub(crate) ns: Namespace,
    pub(crate) id: SessionId,
    pub(crate) now: Timestamp,
}

impl Operation for Inspect {
    type Answer = Option<Entry>;

    fn run(&self, db: &Db) -> Result<Option<Entry>> {
        let _together = db.snapshot()?;
        let Some(ns) = db.number(&self.ns)? else {
            return Ok(None);
        };
        db.first(
            concat!(entries!(), "AND session.id = ?2"),
            params![ns, self.id.as_bytes()],
            |row| {
                row.cursor()?;
                row.entry(self.now)
            },
        )
    }
}

/// A page of sessions.
pub(crate) struct List {
    pub(crate) ns: Namespace,
    pub(crate) filter: Filter,
    pub(crate) now: Timestamp,
}

/// The sessions behind (`?2`, `?3`) that were created before `?4`, in their order.
macro_rules! page {
    ($of:literal) => {
        concat!(
            entries!(),
            "AND (session.created, session.id) > (?2, ?3) AND session.created < ?4 ",
            $of,
            "ORDER BY session.created, session.id LIMIT ?5"
        )
    };
}

impl Operation for List {
    type Answer = Page;

    fn run(&self, db: &Db) -> Result<Page> {
        let _together = db.snapshot()?;
        let Some(ns) = db.number(&self.ns)? else {
            return Ok(Page {
                entries: Vec::new(),
                next: None,
            });
        };
        let filter = &self.filter;
        // No id sorts before the empty one: a place before all that start there.
        let start = (filter.created.start, Vec::new());
        let after = filter
            .after
            .map(|after| (after.created, after.id.as_bytes().to_vec()));
        let (created, id) = after.map_or(start.clone(), |after| after.max(start));
        let (created, end) = (created.as_millis(), filter.created.end.as_millis());
        let limit = filter.limit.min(MAX_ENTRIES);
        match &filter.principal {
            Some(principal) => db.rows(
                page!("AND session.principal = ?6 "),
                params![ns, created, id, end, limit, principal.as_str()],
                |rows| self.read(rows, limit),
            ),
            None => db.rows(page!(""), params![ns, created, id, end, limit], |rows| {
                self.read(rows, limit)
            }),
        }
    }
}

impl List {
    fn read(&self, rows: &mut Rows<'_>, limit: u32) -> Result<Page> {
        let mut page = Page {
            entries: Vec::new(),
            next: None,
        };
        let (mut looked_at, mut bytes) = (0, 0);
        while let Some(row) = rows.next().map_err(from_driver)? {
            looked_at += 1;
            let mut row = Columns::of(row);
            let cursor = row.cursor()?;
            match row.entry(self.now) {
                Ok(entry) if self.filter.matches(&entry, self.now) => {
                    bytes += entry.record.payload.len();
                    page.entries.push(entry);
                }
                Ok(_) => {}
                // One damaged record must not hide the others.
                Err(error) => tracing::warn!(%error, "a session is left out of a list"),
            }
            if looked_at == limit || bytes >= MAX_BYTES {
                page.next = Some(cursor);
                break;
            }
        }
        Ok(page)
    }
}

/// How many sessions there are. Looks at every one.
pub(crate) struct Count {
    pub(crate) ns: Namespace,
    pub(crate) now: Timestamp,
}

impl Operation for Count {
    type Answer = Counts;

    fn run(&self, db: &Db) -> Result<Counts> {
        let _together = db.snapshot()?;
        let Some(ns) = db.number(&self.ns)? else {
            return Ok(Counts::default());
        };
        let counts = db.first(
            "WITH standing AS (SELECT queue, due_at, \
             min(ifnull(expires_at, 9007199254740993), ifnull(reset.at, 9007199254740993)) AS ends, \
             queue >= 0 AND (queue <> namespace.epoch OR (expires_at <= ?2) IS TRUE) AS over \
             FROM namespace CROSS JOIN session ON session.ns = namespace.ns \
             LEFT JOIN reset ON reset.ns = session.ns AND reset.epoch = session.queue \
             WHERE namespace.ns = ?1) \
             SELECT count(*) FILTER (WHERE queue >= 0 AND NOT over), \
             count(*) FILTER (WHERE over), \
             count(*) FILTER (WHERE queue = -1 OR queue = -3 AND (due_at <= ?2 OR due_at > ?3)), \
             count(*) FILTER (WHERE queue = -3 AND due_at > ?2 AND due_at <= ?3), \
             count(*) FILTER (WHERE queue = -2), \
             min(CASE WHEN over THEN ends WHEN queue IN (-1, -3) AND due_at <= ?2 THEN due_at END) \
             FROM standing",
            params![
                ns,
                self.now.as_millis(),
                Tombstone::horizon(self.now).as_millis()
            ],
            |row| {
                Ok(Counts {
                    live: row.number()?,
                    over: row.number()?,
                    waiting: row.number()?,
                    held: row.number()?,
                    dead: row.number()?,
                    oldest_due: row.get::<Option<i64>>()?.and_then(when),
                })
            },
        )?;
        Ok(counts.unwrap_or_default())
    }
}
