//! A session is stored: a new one, or one that was in another store.

use sqlx::SqliteConnection;
use tenure_store::{
    Epoch, Error, ErrorKind, Failure, Imported, Namespace, Principal, Record, Result, Rotation,
    SessionId, Timeout, Timestamp, Tombstone,
};

use crate::error::from_driver;
use crate::fields::{Fields, Payloads, each, json};
use crate::job::Operation;
use crate::row::{ids, on_namespace, on_session, place, runs_out, this};

/// Stores a session if its id is free.
pub(crate) struct Create {
    pub(crate) ns: Namespace,
    pub(crate) record: Record,
    pub(crate) fate: Fate,
}

/// What is known of the session that is stored.
pub(crate) enum Fate {
    /// It may be live: it belongs to the namespace's present epoch, which has to be this
    /// one if it says which.
    Live(Option<Epoch>),
    /// It has ended.
    Ended(Tombstone),
}

impl Fate {
    pub(crate) fn tombstone(&self) -> Option<&Tombstone> {
        match self {
            Fate::Live(_) => None,
            Fate::Ended(tombstone) => Some(tombstone),
        }
    }

    fn epoch(&self) -> Option<Epoch> {
        match self {
            Fate::Live(epoch) => *epoch,
            Fate::Ended(_) => None,
        }
    }
}

impl Operation for Create {
    type Answer = Imported;
    const ATOMIC: bool = false;

    /// What was stored is told by the ids alone.
    fn joins(&self, other: &Self) -> bool {
        self.record.id != other.record.id
    }

    fn bytes(&self) -> usize {
        self.record.payload.len()
    }

    async fn run_all(creates: &[&Self], db: &mut SqliteConnection) -> Result<Vec<Imported>> {
        let mut payloads = Payloads::new();
        let sessions = json(creates.iter().map(|create| create.fields(&mut payloads)));
        // A session without a payload is one that the first statement has just stored; or a
        // damaged one, whose version is another.
        let rows = sqlx::query(concat!(
            "INSERT INTO session (ns, id, queue, due_at, created, last_access, accesses, \
             idle_timeout, lifetime, leaves_at, principal, rotation, previous_until, version, \
             end_reason, end_at, claims, failures, unsettled, last_failure) \
             SELECT ns, unhex(value ->> 2), ifnull(value ->> 3, epoch), value ->> 4, \
             value ->> 5, value ->> 6, value ->> 7, value ->> 8, value ->> 9, value ->> 10, \
             CAST(unhex(value ->> 11) AS TEXT), value ->> 12, value ->> 13, value ->> 14, \
             value ->> 15, value ->> 16, value ->> 17, value ->> 18, value ->> 19, \
             CAST(unhex(value ->> 20) AS TEXT) FROM ",
            each!(),
            " WHERE (value ->> 21 <> epoch) IS NOT TRUE \
             ON CONFLICT (ns, id) DO NOTHING RETURNING id; \
             INSERT INTO payload (number, bytes) \
             SELECT session.number, substr(?2, value ->> 22, value ->> 23) FROM ",
            each!(),
            " CROSS JOIN session ON session.ns = namespace.ns \
             AND session.id = unhex(value ->> 2) AND session.version = value ->> 14 \
             WHERE session.number NOT IN (SELECT number FROM payload)"
        ))
        .bind(sessions)
        .bind(payloads.into_bytes())
        .fetch_all(&mut *db)
        .await
        .map_err(from_driver)?;
        let stored = ids(&rows)?;
        let mut answers = Vec::with_capacity(creates.len());
        for create in creates {
            let id = create.record.id;
            answers.push(if stored.contains(&id) {
                Imported::Done
            } else {
                require(&create.ns, db).await?;
                refusal(&create.ns, id, db).await?
            });
        }
        Ok(answers)
    }
}

impl Create {
    fn fields(&self, payloads: &mut Payloads) -> Fields {
        let (record, tombstone) = (&self.record, self.fate.tombstone());
        let place = tombstone.map(|tombstone| place(tombstone.phase));
        let due = place.map_or_else(|| runs_out(record), |(_, due)| due);
        let failure = tombstone.and_then(|tombstone| tombstone.last_failure.as_ref());
        let principal = record.principal.as_ref();
        let count = |counter: fn(&Tombstone) -> u32| tombstone.map_or(0, counter);
        let fields = Fields::of(&self.ns, record.id)
            .maybe(place.map(|(queue, _)| queue))
            .number(due)
            .instant(record.created)
            .instant(record.last_access)
            .number(record.accesses.cast_signed())
            .maybe(record.idle_timeout.map(Timeout::as_millis))
            .maybe(record.lifetime.map(Timeout::as_millis))
            .maybe(record.leaves_at.map(Timestamp::as_millis))
            .maybe_text(principal.map(Principal::as_str))
            .number(record.rotation.number())
            .maybe(Rotation::previous_until(record.rotation).map(Timestamp::as_millis))
            .number(record.version.get().cast_signed())
            .maybe(tombstone.map(|tombstone| tombstone.end.reason.code()))
            .maybe(tombstone.map(|tombstone| tombstone.end.at.as_millis()))
            .number(count(|tombstone| tombstone.claims))
            .number(count(|tombstone| tombstone.failures))
            .number(count(|tombstone| tombstone.unsettled))
            .maybe_text(failure.map(Failure::as_str))
            .maybe(self.fate.epoch().map(|epoch| epoch.get().cast_signed()));
        payloads.add(Some(&record.payload), fields)
    }
}

/// Why a session was not stored in a namespace that is known.
async fn refusal(ns: &Namespace, id: SessionId, db: &mut SqliteConnection) -> Result<Imported> {
    let sql = concat!("SELECT 1 FROM session WHERE ", this!());
    let taken = on_session(sql, ns, id).fetch_optional(db).await;
    Ok(match taken.map_err(from_driver)? {
        Some(_) => Imported::Exists,
        None => Imported::Reset,
    })
}

/// Refuses a namespace that nobody has opened.
pub(crate) async fn require(ns: &Namespace, db: &mut SqliteConnection) -> Result<()> {
    let sql = "SELECT 1 FROM namespace WHERE kind = ?1 AND application = ?2";
    on_namespace(sql, ns)
        .fetch_optional(db)
        .await
        .map_err(from_driver)?
        .map(drop)
        .ok_or_else(|| unknown(ns))
}

/// The error of a namespace that nobody has opened.
pub(crate) fn unknown(ns: &Namespace) -> Error {
    let message = format!("{ns} was never opened in this database: open it first");
    Error::new(ErrorKind::Misconfigured, message)
}
