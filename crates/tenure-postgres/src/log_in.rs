//! A principal gets one more session, and never more than it may have: under a lock of the
//! principal's, so that nobody counts while somebody else adds.
//!
//! A principal may have any number of sessions when a limit is first set, so that no step grows
//! with it: a refusal counts to the limit, and the oldest are ended so many at a time, each time
//! in a transaction of its own. The update is made with the last of them.

use tenure_store::{
    After, Cursor, EndReason, Excess, Namespace, Principal, PrincipalLimit, Result, SessionId,
    Updated,
};

use crate::db::Db;
use crate::job::{Needs, Operation};
use crate::row::{by_key, cursor, get, live, on_namespace, uuid, with_namespace_kept};
use crate::update::Update;

/// Carries out an update after which the principal has no more sessions than it may.
pub(crate) struct LogIn {
    pub(crate) update: Update,
    pub(crate) principal: Principal,
    pub(crate) limit: PrincipalLimit,
    /// Those up to this place have been ended by the steps before.
    pub(crate) from: Option<Cursor>,
}

/// What one step came to.
pub(crate) enum Step {
    Over(Updated),
    /// So many had to be ended that there may be more: from where to go on.
    More(Option<Cursor>),
}

/// How many sessions one step ends.
const STEP: i64 = 1000;

/// A statement sees the rows that were there when it began. So the lock is a statement of its
/// own, and what comes after sees every log-in of the principal that was done before. Two
/// principals of one hash merely wait for each other.
const LOCK: &str = "SELECT pg_advisory_xact_lock(hashtextextended(\
     concat_ws(' ', current_schema(), $1::smallint, $2::text, $3::text), 0))";

/// Says whether session `$3` is live at `$6` and has version `$5`, and whether principal `$4` has
/// more than `$7` others that are live. If the first may go on and `$8` says so, ends or discards
/// the oldest of these behind (`$10`, `$11`), `$9` at most, locked in the order of their ids as
/// everywhere. Gives the last place of those, and how many they were.
macro_rules! admit {
    ($ends:literal) => {
        concat!(
            with_namespace_kept!(),
            ", excess AS MATERIALIZED (SELECT e.id, e.created FROM n CROSS JOIN LATERAL ( \
             SELECT s.created, s.id FROM tenure_session s WHERE s.ns = n.ns AND s.principal = $4 \
             AND s.id <> $3 AND ",
            live!("$6"),
            " ORDER BY s.created DESC, s.id DESC OFFSET $7::bigint LIMIT 1) newest \
             CROSS JOIN LATERAL (SELECT s.created, s.id FROM tenure_session s \
             WHERE s.ns = n.ns AND s.principal = $4 AND s.id <> $3 \
             AND (s.created, s.id) > ($10, $11) \
             AND (s.created, s.id) <= (newest.created, newest.id) AND ",
            live!("$6"),
            " ORDER BY s.created, s.id LIMIT $9) e), \
             locked AS MATERIALIZED (SELECT s.id, s.id = $3 AS own, s.version \
             FROM (SELECT $3::uuid AS id UNION SELECT id FROM excess WHERE $8) i \
             JOIN tenure_session s ON ",
            by_key!("i.id"),
            " WHERE (s.id = $3 OR s.principal || '' = $4) AND ",
            live!("$6"),
            " ORDER BY s.id FOR UPDATE OF s), \
             ended AS (",
            $ends,
            " e WHERE NOT e.own AND ",
            by_key!("e.id"),
            " AND EXISTS (SELECT 1 FROM locked WHERE own AND version = $5)) \
             SELECT (SELECT version = $5 FROM locked WHERE own) AS same, \
             (SELECT count(*) FROM excess) AS excess, l.created, l.id FROM (VALUES (1)) one (row) \
             LEFT JOIN LATERAL (SELECT created, id FROM excess \
             ORDER BY created DESC, id DESC LIMIT 1) l ON true"
        )
    };
}
const END_EXCESS: &str = admit!(
    "UPDATE tenure_session s SET queue = -1, due_at = $6, end_reason = $12, end_at = $6 FROM locked"
);
const DISCARD_EXCESS: &str = admit!("DELETE FROM tenure_session s USING locked");

impl Operation for LogIn {
    type Answer = Step;
    const NEEDS: Needs = Needs::Transaction;

    /// Each counts what those before it did.
    fn joins(&self, _: &Self) -> bool {
        false
    }

    fn bytes(&self) -> usize {
        self.update.bytes()
    }

    fn session(&self) -> Option<(Namespace, SessionId)> {
        self.update.session()
    }

    async fn run_all(log_ins: &[&Self], db: &mut Db) -> Result<Vec<Step>> {
        let mut answers = Vec::with_capacity(log_ins.len());
        for log_in in log_ins {
            answers.push(log_in.run(db).await?);
        }
        Ok(answers)
    }
}

impl LogIn {
    async fn run(&self, db: &mut Db) -> Result<Step> {
        let lock = on_namespace(LOCK, &self.update.ns).bind(self.principal.as_str());
        db.run(lock).await?;
        match self.admit(db).await? {
            Step::Over(Updated::Done) => {}
            other => return Ok(other),
        }
        let done = Update::run_all(&[&self.update], db).await?;
        Ok(Step::Over(done.into_iter().next().unwrap_or(Updated::Gone)))
    }

    /// Makes room, if the update can go on.
    async fn admit(&self, db: &mut Db) -> Result<Step> {
        let Update { ns, id, now, .. } = &self.update;
        let (sql, ends) = match self.limit.excess {
            Excess::EndOldest(After::Discard) => (DISCARD_EXCESS, true),
            Excess::EndOldest(_) => (END_EXCESS, true),
            Excess::Refuse => (END_EXCESS, false),
        };
        // Before every instant there is, no id matters.
        let start = (i64::MIN, sqlx::types::Uuid::nil());
        let from = self
            .from
            .map(|from| (from.created.as_millis(), uuid(from.id)));
        let (created, from_id) = from.unwrap_or(start);
        let step = if ends { STEP } else { 1 };
        let mut admit = on_namespace(sql, ns)
            .bind(uuid(*id))
            .bind(self.principal.as_str())
            .bind(self.update.expected.get().cast_signed())
            .bind(now.as_millis())
            .bind(i64::from(self.limit.sessions) - 1)
            .bind(ends)
            .bind(step)
            .bind(created)
            .bind(from_id);
        if sql == END_EXCESS {
            admit = admit.bind(i16::from(EndReason::Displaced.code()));
        }
        let row = db.row(admit).await?;
        let excess = get::<i64>(&row, "excess")?;
        Ok(match get::<Option<bool>>(&row, "same")? {
            None => Step::Over(Updated::Gone),
            Some(false) => Step::Over(Updated::Changed),
            Some(true) if !ends && excess > 0 => Step::Over(Updated::Full),
            Some(true) if ends && excess == STEP => Step::More(Some(cursor(&row)?)),
            // From the start once more: an older session may have become the principal's
            // meanwhile.
            Some(true) if self.from.is_some() => Step::More(None),
            Some(true) => Step::Over(Updated::Done),
        })
    }
}
