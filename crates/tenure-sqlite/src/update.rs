//! A live session is changed, if it still has the version that was read.

use sqlx::{AssertSqlSafe, SqliteConnection};
use tenure_store::{
    Access, Change, Field, Namespace, Payload, Principal, Result, Rotation, SessionId, Timeout,
    Timestamp, Updated, Version,
};

use crate::error::from_driver;
use crate::fields::{Fields, Payloads, each, json};
use crate::job::Operation;
use crate::row::ids;

/// Changes a live session that has the expected version.
pub(crate) struct Update {
    pub(crate) ns: Namespace,
    pub(crate) id: SessionId,
    pub(crate) expected: Version,
    pub(crate) change: Change,
    pub(crate) now: Timestamp,
}

/// The changes that were asked for.
macro_rules! changes {
    () => {
        concat!(
            "(SELECT ns, epoch, unhex(value ->> 2) AS id, value ->> 3 AS now, \
             value ->> 4 AS expected, value ->> 5 AS version, value ->> 6 AS counts, \
             value ->> 7 AS sets_leave, value ->> 8 AS leaves_at, \
             value ->> 9 AS sets_idle, value ->> 10 AS idle_timeout, \
             value ->> 11 AS sets_life, value ->> 12 AS lifetime, \
             value ->> 13 AS rotation, value ->> 14 AS previous_until, \
             value ->> 15 AS sets_principal, CAST(unhex(value ->> 16) AS TEXT) AS principal, \
             value ->> 17 AS place, value ->> 18 AS length FROM ",
            each!(),
            ") AS change"
        )
    };
}
/// That a change is to the session, which is live.
macro_rules! applies {
    () => {
        "session.ns = change.ns AND session.id = change.id AND session.queue = change.epoch \
         AND (session.expires_at <= change.now) IS NOT TRUE"
    };
}

impl Operation for Update {
    type Answer = Updated;
    const ATOMIC: bool = false;

    /// A statement writes a row once; and what was changed is told by the ids alone.
    fn joins(&self, other: &Self) -> bool {
        self.id != other.id
    }

    fn bytes(&self) -> usize {
        let payload = self.change.payload.as_ref();
        payload.map_or(0, Payload::len)
    }

    async fn run_all(updates: &[&Self], db: &mut SqliteConnection) -> Result<Vec<Updated>> {
        let mut payloads = Payloads::new();
        let changes = json(updates.iter().map(|update| update.fields(&mut payloads)));
        let rows = sqlx::query(AssertSqlSafe(statements(updates)))
            .bind(changes.as_str())
            .bind(payloads.into_bytes())
            .fetch_all(&mut *db)
            .await
            .map_err(from_driver)?;
        let done = ids(&rows)?;
        if done.len() == updates.len() {
            return Ok(vec![Updated::Done; updates.len()]);
        }
        let sql = concat!(
            "SELECT session.id FROM ",
            changes!(),
            " CROSS JOIN session ON ",
            applies!()
        );
        let rows = sqlx::query(sql)
            .bind(changes)
            .fetch_all(db)
            .await
            .map_err(from_driver)?;
        let live = ids(&rows)?;
        let answers = updates.iter().map(|update| match update.id {
            id if done.contains(&id) => Updated::Done,
            id if live.contains(&id) => Updated::Changed,
            _ => Updated::Gone,
        });
        Ok(answers.collect())
    }
}

/// The statements that these changes need. The one that changes the version comes after
/// all that ask for the one that was expected.
fn statements(updates: &[&Update]) -> String {
    let any = |has: fn(&Change) -> bool| updates.iter().any(|update| has(&update.change));
    let mut sql = String::new();
    if any(|change| change.payload.is_some()) {
        sql.push_str(concat!(
            "INSERT INTO payload (number, bytes) \
             SELECT session.number, substr(?2, change.place, change.length) FROM ",
            changes!(),
            " CROSS JOIN session ON ",
            applies!(),
            " AND session.version = change.expected WHERE change.length IS NOT NULL \
             ON CONFLICT (number) DO UPDATE SET bytes = excluded.bytes; "
        ));
    }
    // Apart, as it is in an index, and most changes leave it alone.
    if any(|change| change.principal != Field::Keep) {
        sql.push_str(concat!(
            "UPDATE session SET principal = change.principal FROM ",
            changes!(),
            " WHERE ",
            applies!(),
            " AND session.version = change.expected AND change.sets_principal; "
        ));
    }
    sql.push_str(concat!(
        "UPDATE session SET version = change.version, \
         last_access = iif(change.counts, max(session.last_access, change.now), \
         session.last_access), accesses = session.accesses + change.counts, \
         leaves_at = CASE WHEN change.sets_leave THEN change.leaves_at \
         WHEN change.counts THEN NULL ELSE session.leaves_at END, \
         idle_timeout = iif(change.sets_idle, change.idle_timeout, session.idle_timeout), \
         lifetime = iif(change.sets_life, change.lifetime, session.lifetime), \
         rotation = ifnull(change.rotation, session.rotation), \
         previous_until = iif(change.rotation IS NULL, session.previous_until, \
         change.previous_until) FROM ",
        changes!(),
        " WHERE ",
        applies!(),
        " AND session.version = change.expected RETURNING id; "
    ));
    if any(changes_times) {
        sql.push_str(concat!(
            "UPDATE session SET due_at = session.expires_at FROM ",
            changes!(),
            " WHERE session.ns = change.ns AND session.id = change.id \
             AND session.queue = change.epoch AND session.expires_at < session.due_at; "
        ));
    }
    sql
}

/// Whether it may make the session end sooner.
fn changes_times(change: &Change) -> bool {
    change.idle_timeout != Field::Keep
        || change.lifetime != Field::Keep
        || change.leaves_at != Field::Keep
}

impl Update {
    fn fields(&self, payloads: &mut Payloads) -> Fields {
        let change = &self.change;
        let fields = Fields::of(&self.ns, self.id)
            .instant(self.now)
            .number(self.expected.get().cast_signed())
            .number(change.version.get().cast_signed())
            .number(change.access == Access::Counts)
            .number(change.leaves_at != Field::Keep)
            .maybe(value(&change.leaves_at).map(|at| at.as_millis()))
            .number(change.idle_timeout != Field::Keep)
            .maybe(value(&change.idle_timeout).copied().map(Timeout::as_millis))
            .number(change.lifetime != Field::Keep)
            .maybe(value(&change.lifetime).copied().map(Timeout::as_millis))
            .maybe(change.rotation.map(Rotation::number))
            .maybe(
                change
                    .rotation
                    .and_then(Rotation::previous_until)
                    .map(Timestamp::as_millis),
            )
            .number(change.principal != Field::Keep)
            .maybe_text(value(&change.principal).map(Principal::as_str));
        payloads.add(change.payload.as_ref(), fields)
    }
}

fn value<T>(field: &Field<T>) -> Option<&T> {
    match field {
        Field::Set(value) => Some(value),
        Field::Keep | Field::Clear => None,
    }
}
