//! A session's row: what it says, in the contract's words, and the other way round.

use rusqlite::Row;
use rusqlite::types::FromSql;
use tenure_store::{
    Cursor, End, EndReason, Entry, Failure, Payload, Phase, Principal, Record, Result, Rotation,
    SessionId, State, Timeout, Timestamp, Tombstone, Version,
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

/// The columns that [`Columns::record`] reads, for a statement on `session`.
macro_rules! record_columns {
    () => {
        "session.id, session.created, session.last_access, session.accesses, \
         session.idle_timeout, session.lifetime, session.leaves_at, session.principal, \
         session.rotation, session.previous_until, session.version"
    };
}
/// The columns that [`Columns::tombstone`] reads.
macro_rules! tombstone_columns {
    () => {
        "session.queue, session.due_at, session.end_reason, session.end_at, session.claims, \
         session.failures, session.unsettled, session.last_failure"
    };
}
/// The payload, for a statement on `session`.
macro_rules! bytes {
    () => {
        "ifnull(session.bytes, (SELECT bytes FROM payload WHERE payload.number = session.number))"
    };
}
/// The condition that picks one session: its namespace's number is `?1`, its id `?2`.
macro_rules! this {
    () => {
        "session.ns = ?1 AND session.id = ?2"
    };
}
/// The condition that it is live at `?3`: born in the namespace's present epoch, ended by
/// nobody, and not known to have run out.
macro_rules! live {
    () => {
        "session.queue = (SELECT epoch FROM namespace WHERE ns = ?1) \
         AND (session.expires_at <= ?3) IS NOT TRUE"
    };
}
pub(crate) use {bytes, live, record_columns, this, tombstone_columns};

/// A row, read from left to right: in the order in which the statement names its columns.
pub(crate) struct Columns<'r> {
    row: &'r Row<'r>,
    next: usize,
}

impl<'r> Columns<'r> {
    pub(crate) fn of(row: &'r Row<'r>) -> Self {
        Self { row, next: 0 }
    }

    /// The next column's value.
    pub(crate) fn get<T: FromSql>(&mut self) -> Result<T> {
        let value = self.row.get(self.next).map_err(from_driver)?;
        self.next += 1;
        Ok(value)
    }

    /// The record, with a payload that was read apart.
    pub(crate) fn record(&mut self, payload: Payload) -> Result<Record> {
        Ok(Record {
            id: self.id()?,
            created: self.instant()?,
            last_access: self.instant()?,
            accesses: self
                .get::<i64>()?
                .try_into()
                .map_err(|_| corrupt("a session's number of accesses is negative"))?,
            idle_timeout: self.timeout()?,
            lifetime: self.timeout()?,
            leaves_at: self.time()?,
            principal: self
                .text()?
                .map(Principal::new)
                .transpose()
                .map_err(|_| corrupt("a session's principal is out of range"))?,
            rotation: self.rotation()?,
            version: Version::new(self.get::<i64>()?.cast_unsigned()),
            payload,
        })
    }

    /// The payload. That it is nowhere can only be damage; the session is then shown,
    /// reaped and ended as one with an empty payload, which no user of it can read either.
    pub(crate) fn payload(&mut self) -> Result<Payload> {
        Ok(Payload::new(
            self.get::<Option<Vec<u8>>>()?.unwrap_or_default(),
        ))
    }

    /// The payload of a session that is to be used, where damage must not pass for content.
    pub(crate) fn whole_payload(&mut self) -> Result<Payload> {
        self.get::<Option<Vec<u8>>>()?
            .map(Payload::new)
            .ok_or_else(|| corrupt("a session's payload is missing"))
    }

    /// What became of the session, `None` if nobody has ended it; and where its row stands.
    pub(crate) fn tombstone(&mut self) -> Result<(Option<Tombstone>, Standing)> {
        let standing = Standing {
            queue: self.get()?,
            due_at: self.get()?,
        };
        let reason: Option<u8> = self.get()?;
        let at = self.time()?;
        let (claims, failures, unsettled) = (self.count()?, self.count()?, self.count()?);
        let last_failure = self.text()?.map(Failure::new);
        let due = when(standing.due_at).ok_or_else(|| corrupt("a session's time is missing"));
        let phase = match standing.queue {
            WAITING => Phase::Waiting { from: due? },
            HELD => Phase::Held { until: due? },
            DEAD => Phase::Dead,
            _ => return Ok((None, standing)),
        };
        let reason = reason
            .and_then(EndReason::from_code)
            .ok_or_else(|| corrupt("a session ended for an unknown reason"))?;
        let at = at.ok_or_else(|| corrupt("a session's time is missing"))?;
        let tombstone = Tombstone {
            end: End { reason, at },
            phase,
            claims,
            failures,
            unsettled,
            last_failure,
        };
        Ok((Some(tombstone), standing))
    }

    /// The session as it lies there at `now`. The columns are the namespace's epoch; for a
    /// session of an older one, the instant of the reset that ended it; the payload; the
    /// record's; and the tombstone's.
    pub(crate) fn entry(&mut self, now: Timestamp) -> Result<Entry> {
        let epoch: i64 = self.get()?;
        let reset_at = self.time()?;
        let payload = self.payload()?;
        let record = self.record(payload)?;
        let (tombstone, standing) = self.tombstone()?;
        // It is dead all the same should the reset's own row have been lost.
        let reset = (standing.queue != epoch).then(|| reset_at.unwrap_or(now));
        let state = match tombstone {
            Some(tombstone) => State::Ended(tombstone),
            None => match record.end_by(reset, now) {
                Some(end) => State::Over(end),
                None => State::Live,
            },
        };
        Ok(Entry { record, state })
    }

    /// Where the session is in a list: `created` and `id`.
    pub(crate) fn cursor(&mut self) -> Result<Cursor> {
        Ok(Cursor {
            created: self.instant()?,
            id: self.id()?,
        })
    }

    /// An instant that may be absent.
    pub(crate) fn time(&mut self) -> Result<Option<Timestamp>> {
        self.get::<Option<i64>>()?
            .map(Timestamp::from_millis)
            .transpose()
            .map_err(|_| corrupt("a session's time is out of range"))
    }

    fn instant(&mut self) -> Result<Timestamp> {
        self.time()?
            .ok_or_else(|| corrupt("a session's time is missing"))
    }

    fn id(&mut self) -> Result<SessionId> {
        Ok(SessionId::from_bytes(self.get()?))
    }

    fn text(&mut self) -> Result<Option<&'r str>> {
        let value = self.row.get_ref(self.next).map_err(from_driver)?;
        self.next += 1;
        value
            .as_str_or_null()
            .map_err(|_| corrupt("a session's text is none"))
    }

    fn rotation(&mut self) -> Result<Rotation> {
        let (number, previous_until) = (self.get::<u32>()?, self.time()?);
        Rotation::new(number, previous_until)
            .map_err(|_| corrupt("a session's rotation is out of range"))
    }

    fn timeout(&mut self) -> Result<Option<Timeout>> {
        self.get::<Option<i64>>()?
            .map(Timeout::from_millis)
            .transpose()
            .map_err(|_| corrupt("a session's time-out is out of range"))
    }

    /// A number of sessions.
    pub(crate) fn number(&mut self) -> Result<u64> {
        self.get().map(i64::unsigned_abs)
    }

    fn count(&mut self) -> Result<u32> {
        self.get()
    }
}

/// Where a row stands.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Standing {
    pub(crate) queue: i64,
    pub(crate) due_at: i64,
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
