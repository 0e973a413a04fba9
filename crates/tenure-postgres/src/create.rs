//! A session is stored: a new one, or one that was in another store.

use tenure_store::{
    Epoch, Error, Failure, Imported, Namespace, Principal, Record, Result, Rotation, SessionId,
    Timeout, Timestamp, Tombstone,
};

use crate::db::Db;
use crate::fields::{each, each_id, each_time};
use crate::job::{Needs, Operation};
use crate::row::{by_key, get, id, on_namespace, on_session, place, with_namespace};

/// Stores a session if its id is free.
pub(crate) struct Create {
    pub(crate) ns: Namespace,
    pub(crate) record: Record,
    pub(crate) fate: Fate,
}

/// What is known of the session that is stored.
pub(crate) enum Fate {
    /// It may be live: it belongs to the namespace's present epoch, which has to be this one
    /// if it says which.
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

/// Creations in one namespace. Gives a row for each that was stored; or one without an id if
/// none was; or no row at all if the namespace is unknown. In the order of their ids, so that
/// two statements with the same ids do not wait for each other.
pub(crate) const CREATE: &str = concat!(
    with_namespace!(),
    ", stored AS (INSERT INTO tenure_session (ns, id, queue, due_at, created, last_access, \
     accesses, idle_timeout, lifetime, leaves_at, principal, rotation, previous_until, version, \
     end_reason, end_at, claims, failures, unsettled, last_failure, payload) \
     SELECT n.ns, i.id, coalesce(i.queue, n.epoch), i.due_at, i.created, i.last_access, \
     i.accesses, i.idle_timeout, i.lifetime, i.leaves_at, i.principal, i.rotation, \
     i.previous_until, i.version, i.end_reason, i.end_at, i.claims, i.failures, i.unsettled, \
     i.last_failure, i.payload FROM n CROSS JOIN unnest($3::uuid[], $4::bigint[], $5::bigint[], \
     $6::bigint[], $7::bigint[], $8::bigint[], $9::bigint[], $10::bigint[], $11::bigint[], \
     $12::text[], $13::int[], $14::bigint[], $15::bigint[], $16::smallint[], $17::bigint[], \
     $18::int[], $19::int[], $20::int[], $21::text[], $22::bytea[], $23::bigint[]) \
     AS i (id, queue, due_at, created, last_access, accesses, idle_timeout, lifetime, leaves_at, \
     principal, rotation, previous_until, version, end_reason, end_at, claims, failures, \
     unsettled, last_failure, payload, epoch) \
     WHERE (i.epoch <> n.epoch) IS NOT TRUE ORDER BY i.id ON CONFLICT (id, ns) DO NOTHING \
     RETURNING id) SELECT stored.id FROM n LEFT JOIN stored ON true"
);

impl Operation for Create {
    type Answer = Imported;
    const NEEDS: Needs = Needs::Statement;

    /// What was stored is told by the ids alone.
    fn joins(&self, other: &Self) -> bool {
        self.ns == other.ns && self.record.id != other.record.id
    }

    fn bytes(&self) -> usize {
        self.record.payload.len()
    }

    fn session(&self) -> Option<(Namespace, SessionId)> {
        Some((self.ns.clone(), self.record.id))
    }

    async fn run_all(creates: &[&Self], db: &mut Db) -> Result<Vec<Imported>> {
        let Some(first) = creates.first() else {
            return Ok(Vec::new());
        };
        let rows = db.rows(statement(&first.ns, creates)).await?;
        if rows.is_empty() {
            return Err(Error::not_opened(&first.ns));
        }
        let mut stored = std::collections::HashSet::new();
        for row in &rows {
            if get::<Option<sqlx::types::Uuid>>(row, "id")?.is_some() {
                stored.insert(id(row)?);
            }
        }
        let mut answers = Vec::with_capacity(creates.len());
        for create in creates {
            let id = create.record.id;
            answers.push(if stored.contains(&id) {
                Imported::Done
            } else if create.fate.epoch().is_none() {
                Imported::Exists
            } else {
                refusal(&create.ns, id, db).await?
            });
        }
        Ok(answers)
    }
}

fn statement<'q>(ns: &'q Namespace, creates: &[&'q Create]) -> crate::db::Statement<'q> {
    let millis = |time: Option<Timestamp>| time.map(Timestamp::as_millis);
    let place = |create: &Create| create.fate.tombstone().map(|t| place(t.phase));
    let count = |counter: fn(&Tombstone) -> u32| {
        each(creates, |create| {
            let tombstone = create.fate.tombstone();
            tombstone.map_or(0, counter).cast_signed()
        })
    };
    on_namespace(CREATE, ns)
        .bind(each_id(creates, |create| create.record.id))
        .bind(each(creates, |create| {
            place(create).map(|(queue, _)| queue)
        }))
        .bind(each(creates, |create| match place(create) {
            Some((_, due)) => due,
            None => millis(create.record.expires_at()),
        }))
        .bind(each_time(creates, |create| create.record.created))
        .bind(each_time(creates, |create| create.record.last_access))
        .bind(each(creates, |c| c.record.accesses.cast_signed()))
        .bind(each(creates, |c| {
            c.record.idle_timeout.map(Timeout::as_millis)
        }))
        .bind(each(creates, |c| c.record.lifetime.map(Timeout::as_millis)))
        .bind(each(creates, |c| millis(c.record.leaves_at)))
        .bind(each(creates, |c| {
            c.record.principal.as_ref().map(Principal::as_str)
        }))
        .bind(each(creates, |c| c.record.rotation.number().cast_signed()))
        .bind(each(creates, |c| {
            millis(Rotation::previous_until(c.record.rotation))
        }))
        .bind(each(creates, |c| c.record.version.get().cast_signed()))
        .bind(each(creates, |c| {
            let tombstone = c.fate.tombstone();
            tombstone.map(|t| i16::from(t.end.reason.code()))
        }))
        .bind(each(creates, |c| {
            c.fate.tombstone().map(|t| t.end.at.as_millis())
        }))
        .bind(count(|tombstone| tombstone.claims))
        .bind(count(|tombstone| tombstone.failures))
        .bind(count(|tombstone| tombstone.unsettled))
        .bind(each(creates, |c| {
            let failure = c.fate.tombstone().and_then(|t| t.last_failure.as_ref());
            failure.map(Failure::as_str)
        }))
        .bind(each(creates, |c| c.record.payload.as_bytes()))
        .bind(each(creates, |c| {
            c.fate.epoch().map(|epoch| epoch.get().cast_signed())
        }))
}

/// Why an import for a certain epoch was not stored, in a namespace that is known.
async fn refusal(ns: &Namespace, id: SessionId, db: &mut Db) -> Result<Imported> {
    const TAKEN: &str = concat!(
        with_namespace!(),
        " SELECT 1 FROM n JOIN tenure_session s ON ",
        by_key!("$3")
    );
    let taken = db.rows(on_session(TAKEN, ns, id)).await?;
    Ok(if taken.is_empty() {
        Imported::Reset
    } else {
        Imported::Exists
    })
}
