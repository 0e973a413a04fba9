//! A live session is changed, if it still has the version that was read.

use std::collections::{HashMap, HashSet};

use tenure_store::{
    Access, Change, Field, Namespace, Payload, Principal, Result, Rotation, SessionId, Timeout,
    Timestamp, Updated, Version,
};

use crate::db::{Db, Statement};
use crate::fields::{each, each_id, each_time, in_order};
use crate::job::{Needs, Operation};
use crate::row::{by_key, get, id, ids, live, on_namespace, with_namespace};

/// Changes a live session that has the expected version.
pub(crate) struct Update {
    pub(crate) ns: Namespace,
    pub(crate) id: SessionId,
    pub(crate) expected: Version,
    pub(crate) change: Change,
    pub(crate) now: Timestamp,
}

/// What an update makes of the fields that say when a session runs out.
macro_rules! last_access {
    () => {
        "CASE WHEN i.counts THEN greatest(s.last_access, i.now) ELSE s.last_access END"
    };
}
macro_rules! idle_timeout {
    () => {
        "CASE WHEN i.sets_idle THEN i.idle_timeout ELSE s.idle_timeout END"
    };
}
macro_rules! lifetime {
    () => {
        "CASE WHEN i.sets_life THEN i.lifetime ELSE s.lifetime END"
    };
}
macro_rules! leaves_at {
    () => {
        "CASE WHEN i.sets_leave THEN i.leaves_at WHEN NOT i.counts THEN s.leaves_at END"
    };
}

/// Updates in one namespace. Gives a row for each: whether it was done, and if not what the
/// statement saw when it began: whether the session had the version, or NULL if it was not
/// live. All is judged and computed of the row as it is locked, which may be newer. A column
/// that keeps its value keeps every index as it is.
pub(crate) const UPDATE: &str = concat!(
    with_namespace!(),
    ", i AS MATERIALIZED (SELECT * FROM unnest($3::uuid[], $4::bigint[], $5::bigint[], \
     $6::bigint[], $7::bool[], $8::bytea[], $9::bool[], $10::text[], $11::bool[], $12::bigint[], \
     $13::bool[], $14::bigint[], $15::bool[], $16::bigint[], $17::int[], $18::bigint[]) \
     AS i (id, now, expected, version, counts, payload, sets_principal, principal, sets_idle, \
     idle_timeout, sets_life, lifetime, sets_leave, leaves_at, rotation, previous_until)), \
     changed AS (UPDATE tenure_session s SET version = i.version, \
     payload = coalesce(i.payload, s.payload), \
     principal = CASE WHEN i.sets_principal THEN i.principal ELSE s.principal END, \
     rotation = coalesce(i.rotation, s.rotation), previous_until = \
     CASE WHEN i.rotation IS NULL THEN s.previous_until ELSE i.previous_until END, \
     accesses = s.accesses + i.counts::int, last_access = ",
    last_access!(),
    ", idle_timeout = ",
    idle_timeout!(),
    ", lifetime = ",
    lifetime!(),
    ", leaves_at = ",
    leaves_at!(),
    ", due_at = least(s.due_at, tenure_expires_at(",
    last_access!(),
    ", ",
    idle_timeout!(),
    ", s.created, ",
    lifetime!(),
    ", ",
    leaves_at!(),
    ")) FROM i WHERE s.version = i.expected AND ",
    by_key!("i.id"),
    " AND ",
    live!("i.now"),
    " RETURNING s.id) \
     SELECT i.id, c.id IS NOT NULL AS done, CASE WHEN c.id IS NULL THEN \
     (SELECT s.version = i.expected FROM tenure_session s WHERE ",
    by_key!("i.id"),
    " AND ",
    live!("i.now"),
    ") END AS same FROM i LEFT JOIN changed c USING (id)"
);

impl Operation for Update {
    type Answer = Updated;
    const NEEDS: Needs = Needs::Statement;

    /// A statement writes a row once.
    fn joins(&self, other: &Self) -> bool {
        self.ns == other.ns && self.id != other.id
    }

    fn bytes(&self) -> usize {
        let payload = self.change.payload.as_ref();
        payload.map_or(0, Payload::len)
    }

    fn session(&self) -> Option<(Namespace, SessionId)> {
        Some((self.ns.clone(), self.id))
    }

    async fn run_all(updates: &[&Self], db: &mut Db) -> Result<Vec<Updated>> {
        let Some(first) = updates.first() else {
            return Ok(Vec::new());
        };
        let ordered = in_order(updates, |update| update.id);
        let mut answers = HashMap::with_capacity(updates.len());
        let mut overtaken = Vec::new();
        for row in db.rows(statement(&first.ns, &ordered)).await? {
            let id = id(&row)?;
            match (get::<bool>(&row, "done")?, get(&row, "same")?) {
                (true, _) => answers.insert(id, Updated::Done),
                (false, Some(false)) => answers.insert(id, Updated::Changed),
                (false, None) => None,
                (false, Some(true)) => {
                    overtaken.extend(ordered.iter().filter(|update| update.id == id));
                    None
                }
            };
        }
        if !overtaken.is_empty() {
            for id in live(&overtaken, db).await? {
                answers.insert(id, Updated::Changed);
            }
        }
        let answer = |update: &&Self| answers.get(&update.id).copied();
        let answers = updates.iter().map(answer);
        Ok(answers
            .map(|known| known.unwrap_or(Updated::Gone))
            .collect())
    }
}

/// Those of them that are live: what became of sessions that somebody wrote after the update's
/// statement had begun, and that it therefore left alone.
async fn live(updates: &[&&Update], db: &mut Db) -> Result<HashSet<SessionId>> {
    const LIVE: &str = concat!(
        with_namespace!(),
        " SELECT s.id FROM unnest($3::uuid[], $4::bigint[]) AS i (id, now) \
         JOIN tenure_session s ON ",
        by_key!("i.id"),
        " WHERE ",
        live!("i.now")
    );
    let Some(first) = updates.first() else {
        return Ok(HashSet::new());
    };
    let live = on_namespace(LIVE, &first.ns)
        .bind(each_id(updates, |update| update.id))
        .bind(each_time(updates, |update| update.now));
    ids(&db.rows(live).await?)
}

fn statement<'q>(ns: &'q Namespace, updates: &[&'q Update]) -> Statement<'q> {
    on_namespace(UPDATE, ns)
        .bind(each_id(updates, |u| u.id))
        .bind(each_time(updates, |u| u.now))
        .bind(each(updates, |u| u.expected.get().cast_signed()))
        .bind(each(updates, |u| u.change.version.get().cast_signed()))
        .bind(each(updates, |u| u.change.access == Access::Counts))
        .bind(each(updates, |u| {
            u.change.payload.as_ref().map(Payload::as_bytes)
        }))
        .bind(each(updates, |u| u.change.principal != Field::Keep))
        .bind(each(updates, |u| {
            set(&u.change.principal).map(Principal::as_str)
        }))
        .bind(each(updates, |u| u.change.idle_timeout != Field::Keep))
        .bind(each(updates, |u| {
            set(&u.change.idle_timeout).copied().map(Timeout::as_millis)
        }))
        .bind(each(updates, |u| u.change.lifetime != Field::Keep))
        .bind(each(updates, |u| {
            set(&u.change.lifetime).copied().map(Timeout::as_millis)
        }))
        .bind(each(updates, |u| u.change.leaves_at != Field::Keep))
        .bind(each(updates, |u| {
            set(&u.change.leaves_at).copied().map(Timestamp::as_millis)
        }))
        .bind(each(updates, |u| {
            u.change.rotation.map(|r| r.number().cast_signed())
        }))
        .bind(each(updates, |u| {
            let until = u.change.rotation.and_then(Rotation::previous_until);
            until.map(Timestamp::as_millis)
        }))
}

/// The value that a field is set to.
fn set<T>(field: &Field<T>) -> Option<&T> {
    match field {
        Field::Set(value) => Some(value),
        Field::Keep | Field::Clear => None,
    }
}
