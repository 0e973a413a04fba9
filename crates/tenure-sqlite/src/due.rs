//! What is due in a namespace: its queues merged, oldest first, by looking at no more
//! rows than allowed.

use rusqlite::params;
use tenure_store::{Ended, Error, Namespace, Payload, Record, Result, Timestamp, Tombstone};

use crate::db::Db;
use crate::row::{
    Columns, HELD, NEVER, Standing, WAITING, record_columns, runs_out, tombstone_columns, when,
};

/// Of so many resets the sessions are looked at in one step; the later ones' turn comes
/// when the first are through.
const MAX_RESETS: u32 = 8;

/// What counts as due.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Reach {
    /// What may be claimed: waiting tombstones from their time on.
    Claimable,
    /// What may be purged: waiting tombstones at any time.
    Unheld,
}

/// A namespace's queues as they are now.
#[derive(Debug)]
pub(crate) struct Queues {
    pub(crate) ns: i64,
    pub(crate) hooks_expected: bool,
    epoch: i64,
    heads: Vec<Head>,
}

/// A queue, and the first that is due in it.
#[derive(Debug)]
struct Head {
    queue: i64,
    /// When a reset ended all that is in it.
    reset: Option<Timestamp>,
    /// The lowest `due_at`; `None` if it is empty.
    first: Option<i64>,
    /// The highest, where it is of tombstones.
    last: Option<i64>,
}

/// What was looked at.
#[derive(Debug, Default)]
pub(crate) struct Looked {
    /// What is over or ended, those due first first; payloads are left out.
    pub(crate) ended: Vec<Ripe>,
    /// Sessions that were used since their `due_at` was written, with what it should be.
    pub(crate) later: Vec<(i64, i64)>,
    /// Rows that cannot be read.
    pub(crate) damaged: Vec<i64>,
}

/// One that is over or ended.
#[derive(Debug)]
pub(crate) struct Ripe {
    pub(crate) number: i64,
    pub(crate) ended: Ended,
    /// Bytes of payload.
    pub(crate) size: u64,
    due: i64,
}

impl Queues {
    /// Of a namespace that was opened.
    pub(crate) fn find(ns: &Namespace, db: &Db) -> Result<Self> {
        let found = db.first(
            "SELECT ns, epoch, hooks_expected FROM namespace WHERE kind = ?1 AND application = ?2",
            params![ns.kind().code(), ns.application()],
            |row| {
                Ok(Self {
                    ns: row.get()?,
                    epoch: row.get()?,
                    hooks_expected: row.get()?,
                    heads: Vec::new(),
                })
            },
        )?;
        let mut queues = found.ok_or_else(|| Error::not_opened(ns))?;
        queues.refresh(db)?;
        Ok(queues)
    }

    /// Looks at the queues again.
    pub(crate) fn refresh(&mut self, db: &Db) -> Result<()> {
        self.heads = db.all(
            "WITH queues (queue, at) AS (VALUES (?3, NULL), (?4, NULL), (?2, NULL) \
             UNION ALL SELECT * FROM (SELECT epoch, at FROM reset WHERE ns = ?1 \
             ORDER BY epoch LIMIT ?5)) \
             SELECT queue, at, (SELECT min(due_at) FROM session \
             WHERE session.ns = ?1 AND session.queue = queues.queue), \
             CASE WHEN queue < 0 THEN (SELECT max(due_at) FROM session \
             WHERE session.ns = ?1 AND session.queue = queues.queue) END FROM queues",
            params![self.ns, self.epoch, WAITING, HELD, MAX_RESETS],
            |row| {
                Ok(Head {
                    queue: row.get()?,
                    reset: row.time()?,
                    first: row.get()?,
                    last: row.get()?,
                })
            },
        )?;
        Ok(())
    }

    /// Forgets the resets of which no session is left, and looks at the queues again: some
    /// of a later reset may be due, whose turn had not come.
    pub(crate) fn forget_resets(&mut self, db: &Db) -> Result<()> {
        while self.heads.iter().any(Head::is_spent) {
            for head in self.heads.iter().filter(|head| head.is_spent()) {
                db.execute(
                    "DELETE FROM reset WHERE ns = ?1 AND epoch = ?2",
                    [self.ns, head.queue],
                )?;
            }
            self.refresh(db)?;
        }
        Ok(())
    }

    /// Whether something is due.
    pub(crate) fn is_due(&self, reach: Reach, now: Timestamp) -> bool {
        self.heads.iter().any(|head| head.is_due(reach, now))
    }

    /// Whether something is due beside what has just been claimed until this instant:
    /// which is due again at once after a lease of no length.
    pub(crate) fn is_more_due(&self, now: Timestamp, until: Timestamp) -> bool {
        let just_claimed = (HELD, until.as_millis());
        let mut due = self
            .heads
            .iter()
            .flat_map(|head| head.due_ranges(Reach::Claimable, now));
        due.any(|(head, from, _)| (head.queue, from) != just_claimed)
    }

    /// Before this instant nothing is due that is there now.
    pub(crate) fn next_due(&self) -> Option<Timestamp> {
        let dues = self
            .heads
            .iter()
            .filter_map(|head| Some(head.due(head.first?)));
        dues.min().and_then(when)
    }

    /// Looks at up to `limit` rows, those due first.
    pub(crate) fn look(&self, reach: Reach, limit: u32, now: Timestamp, db: &Db) -> Result<Looked> {
        let mut found: Vec<Found> = Vec::new();
        let due = self
            .heads
            .iter()
            .flat_map(|head| head.due_ranges(reach, now));
        for (head, from, until) in due {
            found.extend(db.all(
                concat!(
                    "SELECT session.number, ifnull(length(session.bytes), (SELECT length(bytes) \
                     FROM payload WHERE payload.number = session.number)), session.due_at, ",
                    record_columns!(),
                    ", ",
                    tombstone_columns!(),
                    " FROM session WHERE session.ns = ?1 AND session.queue = ?2 \
                     AND session.due_at BETWEEN ?3 AND ?4 ORDER BY session.due_at LIMIT ?5"
                ),
                params![self.ns, head.queue, from, until, limit],
                |row| head.read(row),
            )?);
        }
        found.sort_by_key(|found| found.due);

        let limit = usize::try_from(limit).unwrap_or(usize::MAX);
        // What nobody has looked at is due no earlier than the last that somebody has.
        let horizon = found.get(limit - 1).map_or(NEVER, |last| last.due);
        found.truncate(limit);
        let mut looked = Looked::default();
        for found in found {
            looked.sort_in(found, horizon, now);
        }
        looked.ended.sort_by_key(|ripe| ripe.due);
        Ok(looked)
    }
}

/// A row that was looked at.
struct Found {
    number: i64,
    /// Bytes of payload.
    size: u64,
    /// When it was due as its row says.
    due: i64,
    /// When a reset ended it.
    reset: Option<Timestamp>,
    /// What it says; an error if it is damaged.
    read: Result<(Record, Option<Tombstone>, Standing)>,
}

impl Head {
    fn read(&self, row: &mut Columns<'_>) -> Result<Found> {
        Ok(Found {
            number: row.get()?,
            size: row.get::<Option<i64>>()?.map_or(0, i64::unsigned_abs),
            due: self.due(row.get()?),
            reset: self.reset,
            read: read(row),
        })
    }

    /// Whether it is a reset's, and nothing is left in it.
    fn is_spent(&self) -> bool {
        self.reset.is_some() && self.first.is_none()
    }

    fn is_due(&self, reach: Reach, now: Timestamp) -> bool {
        self.due_ranges(reach, now).next().is_some()
    }

    /// Which `due_at` are due in it, if any are: up to now; and of tombstones those beyond
    /// the horizon, that a clock wrote which was ahead.
    fn due_ranges(&self, reach: Reach, now: Timestamp) -> impl Iterator<Item = (&Self, i64, i64)> {
        let until = self.until(reach, now);
        let horizon = Tombstone::horizon(now).as_millis().max(until);
        let come = self.first.filter(|first| *first <= until);
        let beyond = self.last.filter(|last| *last > horizon);
        let come = come.map(|first| (self, first, until));
        let beyond = beyond.map(|last| (self, horizon + 1, last));
        come.into_iter().chain(beyond)
    }

    /// Up to which `due_at` this queue's rows are due.
    fn until(&self, reach: Reach, now: Timestamp) -> i64 {
        match (self.queue, self.reset) {
            // A reset has ended all of them, whatever the time.
            (_, Some(_)) => NEVER,
            (WAITING, None) if reach == Reach::Unheld => NEVER,
            _ => now.as_millis(),
        }
    }

    /// When a row with this `due_at` was due: a reset may have come before.
    fn due(&self, due_at: i64) -> i64 {
        self.reset
            .map_or(due_at, |reset| due_at.min(reset.as_millis()))
    }
}

fn read(row: &mut Columns<'_>) -> Result<(Record, Option<Tombstone>, Standing)> {
    let record = row.record(Payload::default())?;
    let (tombstone, standing) = row.tombstone()?;
    Ok((record, tombstone, standing))
}

impl Looked {
    /// Finds out what a row is. One that turns out to be due behind the horizon goes back
    /// into its queue, at its true place; so what is claimed is in order.
    fn sort_in(&mut self, found: Found, horizon: i64, now: Timestamp) {
        let Found {
            number,
            size,
            reset,
            read,
            ..
        } = found;
        let (record, tombstone, standing) = match read {
            Ok(read) => read,
            Err(error) => {
                tracing::warn!(%error, "a session cannot be reaped");
                self.damaged.push(number);
                return;
            }
        };
        let due = match &tombstone {
            Some(_) => standing.due_at,
            None => reset
                .map_or(NEVER, Timestamp::as_millis)
                .min(runs_out(&record)),
        };
        let end = record.end_by(reset, now).filter(|_| due <= horizon);
        let Some(tombstone) = tombstone.or(end.map(Tombstone::new)) else {
            self.later.push((number, due));
            return;
        };
        self.ended.push(Ripe {
            number,
            ended: Ended { record, tombstone },
            size,
            due,
        });
    }
}
