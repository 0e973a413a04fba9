//! A session's row: what it says, in the contract's words, and the other way round.

use std::collections::HashSet;

use sqlx::postgres::PgRow;
use sqlx::types::Uuid;
use sqlx::{Column as _, Decode, Postgres, Row, Type};
use tenure_store::{
    Cursor, End, EndReason, Entry, Failure, Namespace, Payload, Phase, Principal, Record, Result,
    Rotation, SessionId, State, Timeout, Timestamp, Tombstone, Version,
};

use crate::db::Statement;
use crate::error::{corrupt, from_driver};

/// `queue` of a tombstone that waits for a reaper. The numbers from 0 are the epochs of
/// sessions that nobody ended.
pub(crate) const WAITING: i64 = -1;
/// `queue` of a dead letter.
pub(crate) const DEAD: i64 = -2;
/// `queue` of a tombstone that somebody holds, or held until its lease ran out.
pub(crate) const HELD: i64 = -3;

/// The columns that [`record`] reads, of the session `s`, in this order.
macro_rules! record_columns {
    () => {
        "s.id, s.created, s.last_access, s.accesses, s.idle_timeout, s.lifetime, s.leaves_at, \
         s.principal, s.rotation, s.previous_until, s.version, s.payload"
    };
}
/// The columns that [`record`] and [`tombstone`] read, of the session `s`, in this order.
macro_rules! columns {
    () => {
        concat!(
            $crate::row::record_columns!(),
            ", s.queue, s.due_at, s.end_reason, s.end_at, s.claims, s.failures, s.unsettled, \
             s.last_failure"
        )
    };
}
/// What every statement on a namespace begins with: the row `n` of the namespace whose kind
/// is `$1` and whose application is `$2`.
macro_rules! with_namespace {
    () => {
        "WITH n AS MATERIALIZED (SELECT ns, epoch, hooks_expected FROM tenure_namespace \
         WHERE kind = $1 AND application = $2)"
    };
}
/// The same for what ends live sessions: until it is done no reset happens, and if one was
/// under way then `n` is what it made. Otherwise a statement that began before a reset could
/// end a session after everybody has seen it ended by the reset.
macro_rules! with_namespace_kept {
    () => {
        "WITH n AS MATERIALIZED (SELECT ns, epoch, hooks_expected FROM tenure_namespace \
         WHERE kind = $1 AND application = $2 FOR SHARE)"
    };
}
/// The condition that `s` is the session of `n` with the id `$id`. In these words
/// there is one way for the planner to go, through the primary key, however little it knows of
/// the table: a statement that was planned while the table was empty stays as it is when there
/// are millions. Plain equality lets it read the whole namespace by another index, or start
/// from the sessions and look for the ids among what was asked for. For the same reason other
/// conditions on such a session say `s.queue + 0`: they judge the row, and do not lead to it.
macro_rules! by_key {
    ($id:literal) => {
        concat!(
            "s.id = ANY (ARRAY[",
            $id,
            "]) AND s.ns + 0 = (SELECT ns FROM n)"
        )
    };
}
/// The condition that the session `s` is live at an instant: born in the present epoch of `n`,
/// ended by nobody, and not known to have run out.
macro_rules! live {
    ($now:literal) => {
        concat!(
            "s.queue + 0 = (SELECT epoch FROM n) AND (s.expires_at <= ",
            $now,
            ") IS NOT TRUE"
        )
    };
}
pub(crate) use {by_key, columns, live, record_columns, with_namespace, with_namespace_kept};

/// A statement on a namespace.
pub(crate) fn on_namespace<'q>(sql: &'static str, ns: &'q Namespace) -> Statement<'q> {
    sqlx::query(sql)
        .bind(i16::from(ns.kind().code()))
        .bind(ns.application())
}

/// A statement on a session: its id is `$3`.
pub(crate) fn on_session<'q>(sql: &'static str, ns: &'q Namespace, id: SessionId) -> Statement<'q> {
    on_namespace(sql, ns).bind(uuid(id))
}

/// An id as PostgreSQL has it.
pub(crate) fn uuid(id: SessionId) -> Uuid {
    Uuid::from_bytes(*id.as_bytes())
}

/// A column's value.
pub(crate) fn get<'r, T>(row: &'r PgRow, column: &str) -> Result<T>
where
    T: Decode<'r, Postgres> + Type<Postgres>,
{
    row.try_get(column).map_err(from_driver)
}

pub(crate) fn id(row: &PgRow) -> Result<SessionId> {
    Ok(SessionId::from_bytes(get::<Uuid>(row, "id")?.into_bytes()))
}

/// The ids of these rows.
pub(crate) fn ids(rows: &[PgRow]) -> Result<HashSet<SessionId>> {
    rows.iter().map(id).collect()
}

pub(crate) fn record(row: &PgRow) -> Result<Record> {
    let mut columns = Columns::from(row, "id")?;
    Ok(Record {
        id: SessionId::from_bytes(columns.get::<Uuid>()?.into_bytes()),
        created: columns.instant()?,
        last_access: columns.instant()?,
        accesses: columns
            .get::<i64>()?
            .try_into()
            .map_err(|_| corrupt("a session's number of accesses is negative"))?,
        idle_timeout: columns.timeout()?,
        lifetime: columns.timeout()?,
        leaves_at: columns.time()?,
        principal: columns
            .get::<Option<&str>>()?
            .map(Principal::new)
            .transpose()
            .map_err(|_| corrupt("a session's principal is out of range"))?,
        rotation: columns.rotation()?,
        version: Version::new(columns.get::<i64>()?.cast_unsigned()),
        payload: Payload::new(columns.get::<Vec<u8>>()?),
    })
}

/// What became of the session; `None` if nobody has ended it.
pub(crate) fn tombstone(row: &PgRow) -> Result<Option<Tombstone>> {
    let mut columns = Columns::from(row, "queue")?;
    let (queue, due) = (columns.get::<i64>()?, columns.instant());
    let phase = match queue {
        WAITING => Phase::Waiting { from: due? },
        HELD => Phase::Held { until: due? },
        DEAD => Phase::Dead,
        _ => return Ok(None),
    };
    let reason = u8::try_from(columns.get::<i16>()?)
        .ok()
        .and_then(EndReason::from_code)
        .ok_or_else(|| corrupt("a session ended for an unknown reason"))?;
    Ok(Some(Tombstone {
        end: End {
            reason,
            at: columns.instant()?,
        },
        phase,
        claims: columns.count()?,
        failures: columns.count()?,
        unsettled: columns.count()?,
        last_failure: columns.get::<Option<&str>>()?.map(Failure::new),
    }))
}

/// A row's columns from one of them on, read from left to right: names are looked up once for
/// a row, and not for each of its values.
struct Columns<'r> {
    row: &'r PgRow,
    next: usize,
}

impl<'r> Columns<'r> {
    fn from(row: &'r PgRow, first: &str) -> Result<Self> {
        let next = row.try_column(first).map_err(from_driver)?.ordinal();
        Ok(Self { row, next })
    }

    fn get<T>(&mut self) -> Result<T>
    where
        T: Decode<'r, Postgres> + Type<Postgres>,
    {
        let column = self.next;
        self.next += 1;
        self.row.try_get(column).map_err(from_driver)
    }

    fn instant(&mut self) -> Result<Timestamp> {
        present(self.time()?)
    }

    fn time(&mut self) -> Result<Option<Timestamp>> {
        in_range(self.get()?)
    }

    fn timeout(&mut self) -> Result<Option<Timeout>> {
        self.get::<Option<i64>>()?
            .map(Timeout::from_millis)
            .transpose()
            .map_err(|_| corrupt("a session's time-out is out of range"))
    }

    fn rotation(&mut self) -> Result<Rotation> {
        let (number, previous) = (self.get::<i32>()?, self.time()?);
        u32::try_from(number)
            .ok()
            .and_then(|number| Rotation::new(number, previous).ok())
            .ok_or_else(|| corrupt("a session's rotation is out of range"))
    }

    fn count(&mut self) -> Result<u32> {
        self.get::<i32>()?
            .try_into()
            .map_err(|_| corrupt("a tombstone's counter is out of range"))
    }
}

/// The session as it lies there at `now`, from a row that has the namespace's `epoch` and, for
/// a session of an older one, the instant `reset_at` of the reset that ended it.
pub(crate) fn entry(row: &PgRow, now: Timestamp) -> Result<Entry> {
    let record = record(row)?;
    let state = match tombstone(row)? {
        Some(tombstone) => State::Ended(tombstone),
        None => match record.end_by(reset(row, now)?, now) {
            Some(end) => State::Over(end),
            None => State::Live,
        },
    };
    Ok(Entry { record, state })
}

fn reset(row: &PgRow, now: Timestamp) -> Result<Option<Timestamp>> {
    if get::<i64>(row, "queue")? == get::<i64>(row, "epoch")? {
        return Ok(None);
    }
    // It is dead all the same should the reset's own row have been lost.
    Ok(Some(time(row, "reset_at")?.unwrap_or(now)))
}

/// Where a tombstone's row stands: its queue, and from when it is due there.
pub(crate) fn place(phase: Phase) -> (i64, Option<i64>) {
    match phase {
        Phase::Waiting { from } => (WAITING, Some(from.as_millis())),
        Phase::Held { until } => (HELD, Some(until.as_millis())),
        Phase::Dead => (DEAD, None),
    }
}

/// Where the session is in a list.
pub(crate) fn cursor(row: &PgRow) -> Result<Cursor> {
    Ok(Cursor {
        created: instant(row, "created")?,
        id: id(row)?,
    })
}

fn instant(row: &PgRow, column: &str) -> Result<Timestamp> {
    present(time(row, column)?)
}

pub(crate) fn time(row: &PgRow, column: &str) -> Result<Option<Timestamp>> {
    in_range(get(row, column)?)
}

fn present(time: Option<Timestamp>) -> Result<Timestamp> {
    time.ok_or_else(|| corrupt("a session's time is missing"))
}

fn in_range(millis: Option<i64>) -> Result<Option<Timestamp>> {
    millis
        .map(Timestamp::from_millis)
        .transpose()
        .map_err(|_| corrupt("a session's time is out of range"))
}
