//! What operators see. Nothing here writes.

use futures_util::TryStreamExt;
use sqlx::SqliteConnection;
use tenure_store::{
    Counts, Entry, Filter, Namespace, Page, Principal, Result, SessionId, Timestamp,
};

use crate::error::from_driver;
use crate::job::Single;
use crate::row::{columns, cursor, entry, get, on_namespace, on_session, when};

/// A page holds at most so many entries, and one that takes it over so many bytes of
/// payload.
const MAX_ENTRIES: u32 = 1000;
const MAX_BYTES: usize = 8 << 20;

/// All that [`entry`] reads.
macro_rules! entries {
    () => {
        concat!(
            "SELECT ",
            columns!(),
            ", payload.bytes, namespace.epoch, reset.at AS reset_at \
             FROM namespace CROSS JOIN session ON session.ns = namespace.ns \
             LEFT JOIN payload ON payload.number = session.number \
             LEFT JOIN reset ON reset.ns = session.ns AND reset.epoch = session.queue \
             WHERE namespace.kind = ?1 AND namespace.application = ?2 "
        )
    };
}

/// One session, whatever became of it.
#[derive(Debug)]
pub(crate) struct Inspect {
    pub(crate) ns: Namespace,
    pub(crate) id: SessionId,
    pub(crate) now: Timestamp,
}

impl Single for Inspect {
    type Answer = Option<Entry>;

    async fn run(&self, db: &mut SqliteConnection) -> Result<Option<Entry>> {
        on_session(
            concat!(entries!(), "AND session.id = ?3"),
            &self.ns,
            self.id,
        )
        .fetch_optional(db)
        .await
        .map_err(from_driver)?
        .map(|row| entry(&row, self.now))
        .transpose()
    }
}

/// A page of sessions.
#[derive(Debug)]
pub(crate) struct List {
    pub(crate) ns: Namespace,
    pub(crate) filter: Filter,
    pub(crate) now: Timestamp,
}

impl Single for List {
    type Answer = Page;

    async fn run(&self, db: &mut SqliteConnection) -> Result<Page> {
        let filter = &self.filter;
        let sql = if filter.principal.is_some() {
            concat!(
                entries!(),
                "AND session.principal = ?7 AND (session.created, session.id) > (?3, ?4) \
                 AND session.created < ?5 ORDER BY session.created, session.id LIMIT ?6"
            )
        } else {
            concat!(
                entries!(),
                "AND (session.created, session.id) > (?3, ?4) \
                 AND session.created < ?5 ORDER BY session.created, session.id LIMIT ?6"
            )
        };
        // No id sorts before the empty one: a place before all that start there.
        let start = (filter.created.start, vec![]);
        let after = filter
            .after
            .map(|after| (after.created, after.id.as_bytes().to_vec()));
        let (created, id) = after.map_or(start.clone(), |after| after.max(start));
        let limit = filter.limit.min(MAX_ENTRIES);
        let mut rows = on_namespace(sql, &self.ns)
            .bind(created.as_millis())
            .bind(id)
            .bind(filter.created.end.as_millis())
            .bind(limit)
            .bind(filter.principal.as_ref().map(Principal::as_str))
            .fetch(db);

        let mut page = Page {
            entries: Vec::new(),
            next: None,
        };
        let (mut looked_at, mut bytes) = (0, 0);
        while let Some(row) = rows.try_next().await.map_err(from_driver)? {
            looked_at += 1;
            match entry(&row, self.now) {
                Ok(entry) if filter.matches(&entry, self.now) => {
                    bytes += entry.record.payload.len();
                    page.entries.push(entry);
                }
                Ok(_) => {}
                // One damaged record must not hide the others.
                Err(error) => tracing::warn!(%error, "a session is left out of a list"),
            }
            if looked_at == limit || bytes >= MAX_BYTES {
                page.next = Some(cursor(&row)?);
                break;
            }
        }
        Ok(page)
    }
}

/// How many sessions there are. Looks at every one.
#[derive(Debug)]
pub(crate) struct Count {
    pub(crate) ns: Namespace,
    pub(crate) now: Timestamp,
}

impl Single for Count {
    type Answer = Counts;

    async fn run(&self, db: &mut SqliteConnection) -> Result<Counts> {
        let row = on_namespace(
            "WITH standing AS (SELECT queue, due_at, \
             min(ifnull(expires_at, 9007199254740993), ifnull(reset.at, 9007199254740993)) AS ends, \
             queue >= 0 AND (queue <> namespace.epoch OR (expires_at <= ?3) IS TRUE) AS over \
             FROM namespace CROSS JOIN session ON session.ns = namespace.ns \
             LEFT JOIN reset ON reset.ns = session.ns AND reset.epoch = session.queue \
             WHERE namespace.kind = ?1 AND namespace.application = ?2) \
             SELECT count(*) FILTER (WHERE queue >= 0 AND NOT over) AS live, \
             count(*) FILTER (WHERE over) AS over, \
             count(*) FILTER (WHERE queue = -1 OR queue = -3 AND due_at <= ?3) AS waiting, \
             count(*) FILTER (WHERE queue = -3 AND due_at > ?3) AS held, \
             count(*) FILTER (WHERE queue = -2) AS dead, \
             min(CASE WHEN over THEN ends WHEN queue IN (-1, -3) AND due_at <= ?3 THEN due_at END) \
             AS oldest FROM standing",
            &self.ns,
        )
        .bind(self.now.as_millis())
        .fetch_one(db)
        .await
        .map_err(from_driver)?;
        let number = |column| get::<i64>(&row, column).map(i64::unsigned_abs);
        Ok(Counts {
            live: number("live")?,
            over: number("over")?,
            waiting: number("waiting")?,
            held: number("held")?,
            dead: number("dead")?,
            oldest_due: get::<Option<i64>>(&row, "oldest")?.and_then(when),
        })
    }
}
