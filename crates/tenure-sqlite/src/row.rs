//! A session's row: what it says, in the contract's words, and the other way round.

use std::collections::HashSet;

use sqlx::sqlite::{SqliteArguments, SqliteRow};
use sqlx::{Decode, Row, Sqlite, Type, query::Query};
use tenure_store::{
    Cursor, End, EndReason, Entry, Failure, Namespace, Payload, Phase, Principal, Record, Result,
    Rotation, SessionId, State, Timeout, Timestamp, Tombstone, Version,
};

use crate::error::{corrupt, from_driver};

/// `session.queue` of a tombstone that waits for a reaper. The numbers from 0 are the
/// epochs of sessions that nobody ended.
pub(crate) const WAITING: i64 = -1;
/// `session.queue` of a dead letter.
pub(crate) const DEAD: i64 = -2;
/// `session.queue` of a tombstone that somebody holds, or held until its lease ran out.
pub(crate) const HELD: i64 = -3;

/// "Never" where it has to sort behind every instant: one after the last there is.
pub(crate) const NEVER: i64 = (1 << 53) + 1;

/// The columns that [`record`] reads, for a statement on `session`.
macro_rules! record_columns {
    () => {
        "session.id, session.created, session.last_access, session.accesses, \
         session.idle_timeout, session.lifetime, session.leaves_at, session.principal, \
         session.rotation, session.previous_until, session.version"
    };
}
/// The columns that [`record`] and [`tombstone`] read, for a statement on `session`.
macro_rules! columns {
    () => {
        concat!(
            $crate::row::record_columns!(),
            ", session.number, session.queue, session.due_at, session.end_reason, \
             session.end_at, session.claims, session.failures, session.unsettled, \
             session.last_failure"
        )
    };
}
/// The condition that picks one session: the namespace's kind is `?1`, its application
/// `?2`, the id `?3`.
macro_rules! this {
    () => {
        "session.ns = (SELECT ns FROM namespace WHERE kind = ?1 AND application = ?2) \
         AND session.id = ?3"
    };
}
/// The condition that it is live at `?4`: born in the namespace's present epoch, ended by
/// nobody, and not known to have run out.
macro_rules! live {
    () => {
        "session.queue = (SELECT epoch FROM namespace WHERE kind = ?1 AND application = ?2) \
         AND (session.expires_at <= ?4) IS NOT TRUE"
    };
}
pub(crate) use {columns, live, record_columns, this};

/// A statement with its values.
pub(crate) type Statement = Query<'static, Sqlite, SqliteArguments>;

/// A statement on a namespace: its kind is `?1`, its application `?2`.
pub(crate) fn on_namespace(sql: &'static str, ns: &Namespace) -> Statement {
    sqlx::query(sql)
        .bind(ns.kind().code())
        .bind(ns.application())
}

/// A statement on a session: its id is `?3`.
pub(crate) fn on_session(sql: &'static str, ns: &Namespace, id: SessionId) -> Statement {
    on_namespace(sql, ns).bind(&id.as_bytes()[..])
}

/// A column's value.
pub(crate) fn get<'r, T>(row: &'r SqliteRow, column: &str) -> Result<T>
where
    T: Decode<'r, Sqlite> + Type<Sqlite>,
{
    row.try_get(column).map_err(from_driver)
}

/// The record, with a payload that was read apart.
pub(crate) fn record(row: &SqliteRow, payload: Payload) -> Result<Record> {
    let rotation = u32::try_from(get::<i64>(row, "rotation")?)
        .ok()
        .and_then(|number| Rotation::new(number, time(row, "previous_until").ok()?).ok())
        .ok_or_else(|| corrupt("a session's rotation is out of range"))?;
    Ok(Record {
        id: id(row)?,
        created: instant(row, "created")?,
        last_access: instant(row, "last_access")?,
        accesses: get::<i64>(row, "accesses")?
            .try_into()
            .map_err(|_| corrupt("a session's number of accesses is negative"))?,
        idle_timeout: timeout(row, "idle_timeout")?,
        lifetime: timeout(row, "lifetime")?,
        leaves_at: time(row, "leaves_at")?,
        principal: get::<Option<&str>>(row, "principal")?
            .map(Principal::new)
            .transpose()
            .map_err(|_| corrupt("a session's principal is out of range"))?,
        rotation,
        version: Version::new(get::<i64>(row, "version")?.cast_unsigned()),
        payload,
    })
}

/// The payload in the column `bytes`. That its row is gone can only be damage; the
/// session is then shown, reaped and ended as one with an empty payload, which no user of
/// it can read either.
pub(crate) fn payload(row: &SqliteRow) -> Result<Payload> {
    Ok(Payload::new(
        get::<Option<Vec<u8>>>(row, "bytes")?.unwrap_or_default(),
    ))
}

/// The payload of a session that is to be used, where damage must not pass for content.
pub(crate) fn whole_payload(row: &SqliteRow) -> Result<Payload> {
    get::<Option<Vec<u8>>>(row, "bytes")?
        .map(Payload::new)
        .ok_or_else(|| corrupt("a session's payload is missing"))
}

/// What became of the session; `None` if nobody has ended it.
pub(crate) fn tombstone(row: &SqliteRow) -> Result<Option<Tombstone>> {
    let due = instant(row, "due_at");
    let phase = match get::<i64>(row, "queue")? {
        WAITING => Phase::Waiting { from: due? },
        HELD => Phase::Held { until: due? },
        DEAD => Phase::Dead,
        _ => return Ok(None),
    };
    let reason = u8::try_from(get::<i64>(row, "end_reason")?)
        .ok()
        .and_then(EndReason::from_code)
        .ok_or_else(|| corrupt("a session ended for an unknown reason"))?;
    Ok(Some(Tombstone {
        end: End {
            reason,
            at: instant(row, "end_at")?,
        },
        phase,
        claims: count(row, "claims")?,
        failures: count(row, "failures")?,
        unsettled: count(row, "unsettled")?,
        last_failure: get::<Option<&str>>(row, "last_failure")?.map(Failure::new),
    }))
}

/// The session as it lies there at `now`, from a row that has the namespace's `epoch`
/// and, for a session of an older one, the instant `reset_at` of the reset that ended it.
pub(crate) fn entry(row: &SqliteRow, now: Timestamp) -> Result<Entry> {
    let record = record(row, payload(row)?)?;
    let state = match tombstone(row)? {
        Some(tombstone) => State::Ended(tombstone),
        None => match record.end_by(reset(row, now)?, now) {
            Some(end) => State::Over(end),
            None => State::Live,
        },
    };
    Ok(Entry { record, state })
}

fn reset(row: &SqliteRow, now: Timestamp) -> Result<Option<Timestamp>> {
    if get::<i64>(row, "queue")? == get::<i64>(row, "epoch")? {
        return Ok(None);
    }
    // It is dead all the same should the reset's own row have been lost.
    Ok(Some(time(row, "reset_at")?.unwrap_or(now)))
}

/// Where a tombstone's row stands: its queue, and from when it is due there.
pub(crate) fn place(phase: Phase) -> (i64, i64) {
    match phase {
        Phase::Waiting { from } => (WAITING, from.as_millis()),
        Phase::Held { until } => (HELD, until.as_millis()),
        Phase::Dead => (DEAD, NEVER),
    }
}

/// When a session runs out by its own times, [`NEVER`] included.
pub(crate) fn runs_out(record: &Record) -> i64 {
    record.expires_at().map_or(NEVER, Timestamp::as_millis)
}

/// The instant behind a `due_at`; `None` for [`NEVER`].
pub(crate) fn when(due: i64) -> Option<Timestamp> {
    Timestamp::from_millis(due).ok()
}

/// Where the session is in a list.
pub(crate) fn cursor(row: &SqliteRow) -> Result<Cursor> {
    Ok(Cursor {
        created: instant(row, "created")?,
        id: id(row)?,
    })
}

/// Which sessions the rows are about.
pub(crate) fn ids(rows: &[SqliteRow]) -> Result<HashSet<SessionId>> {
    rows.iter().map(id).collect()
}

fn id(row: &SqliteRow) -> Result<SessionId> {
    get::<&[u8]>(row, "id")?
        .try_into()
        .map(SessionId::from_bytes)
        .map_err(|_| corrupt("a session's id has not 16 bytes"))
}

fn instant(row: &SqliteRow, column: &str) -> Result<Timestamp> {
    time(row, column)?.ok_or_else(|| corrupt("a session's time is missing"))
}

pub(crate) fn time(row: &SqliteRow, column: &str) -> Result<Option<Timestamp>> {
    get::<Option<i64>>(row, column)?
        .map(Timestamp::from_millis)
        .transpose()
        .map_err(|_| corrupt("a session's time is out of range"))
}

fn timeout(row: &SqliteRow, column: &str) -> Result<Option<Timeout>> {
    get::<Option<i64>>(row, column)?
        .map(Timeout::from_millis)
        .transpose()
        .map_err(|_| corrupt("a session's time-out is out of range"))
}

fn count(row: &SqliteRow, column: &str) -> Result<u32> {
    get::<i64>(row, column)?
        .try_into()
        .map_err(|_| corrupt("a tombstone's counter is out of range"))
}
