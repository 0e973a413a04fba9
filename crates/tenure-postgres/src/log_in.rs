//! A principal gets one more session, and never more than it may have: under a lock of the
//! principal's, so that nobody counts while somebody else adds.

use tenure_store::{After, EndReason, Excess, Principal, PrincipalLimit, Result, Updated};

use crate::db::Db;
use crate::job::{Needs, Operation};
use crate::row::{by_key, get, live, on_namespace, uuid, with_namespace_kept};
use crate::update::Update;

/// Carries out an update after which the principal has no more sessions than it may.
pub(crate) struct LogIn {
    pub(crate) update: Update,
    pub(crate) principal: Principal,
    pub(crate) limit: PrincipalLimit,
}

/// A statement sees the rows that were there when it began. So the lock is a statement of its
/// own, and what comes after sees every log-in of the principal that was done before. Two
/// principals of one hash merely wait for each other.
const LOCK: &str = "SELECT pg_advisory_xact_lock(hashtextextended(\
     concat_ws(' ', current_schema(), $1::smallint, $2::text, $3::text), 0))";

/// Locks session `$3` and all of principal `$4`'s, in the order of their ids as everywhere;
/// says whether the first is live at `$6` and has version `$5`; and ends or discards the
/// oldest of the others until `$7` are left, if the first may go on and `$8` says so.
macro_rules! admit {
    ($ends:literal) => {
        concat!(
            with_namespace_kept!(),
            ", locked AS MATERIALIZED (SELECT s.id, s.created, s.id = $3 AS own, s.version \
             FROM n CROSS JOIN (SELECT $3::uuid AS id UNION SELECT t.id FROM n \
             JOIN tenure_session t ON t.ns = n.ns WHERE t.principal = $4) AS i \
             JOIN tenure_session s ON ",
            by_key!("i.id"),
            " WHERE (i.id = $3 OR s.principal || '' = $4) AND ",
            live!("$6"),
            " ORDER BY s.id FOR UPDATE OF s), \
             excess AS (SELECT id FROM locked WHERE NOT own \
             ORDER BY created DESC, id DESC OFFSET $7::bigint), \
             ended AS (",
            $ends,
            " e WHERE $8 AND ",
            by_key!("e.id"),
            " AND EXISTS (SELECT 1 FROM locked WHERE own AND version = $5)) \
             SELECT (SELECT version = $5 FROM locked WHERE own) AS same, \
             EXISTS (SELECT 1 FROM excess) AS exceeds"
        )
    };
}
const END_EXCESS: &str = admit!(
    "UPDATE tenure_session s SET queue = -1, due_at = $6, end_reason = $9, end_at = $6 FROM excess"
);
const DISCARD_EXCESS: &str = admit!("DELETE FROM tenure_session s USING excess");

impl Operation for LogIn {
    type Answer = Updated;
    const NEEDS: Needs = Needs::Transaction;

    /// Each counts what those before it did.
    fn joins(&self, _: &Self) -> bool {
        false
    }

    fn bytes(&self) -> usize {
        self.update.bytes()
    }

    async fn run_all(log_ins: &[&Self], db: &mut Db) -> Result<Vec<Updated>> {
        let mut answers = Vec::with_capacity(log_ins.len());
        for log_in in log_ins {
            answers.push(log_in.run(db).await?);
        }
        Ok(answers)
    }
}

impl LogIn {
    async fn run(&self, db: &mut Db) -> Result<Updated> {
        let lock = on_namespace(LOCK, &self.update.ns).bind(self.principal.as_str());
        db.run(lock).await?;
        let admitted = self.admit(db).await?;
        if admitted != Updated::Done {
            return Ok(admitted);
        }
        let done = Update::run_all(&[&self.update], db).await?;
        Ok(done.into_iter().next().unwrap_or(Updated::Gone))
    }

    /// Makes room, if the update can go on.
    async fn admit(&self, db: &mut Db) -> Result<Updated> {
        let Update { ns, id, now, .. } = &self.update;
        let (sql, ends) = match self.limit.excess {
            Excess::EndOldest(After::Discard) => (DISCARD_EXCESS, true),
            Excess::EndOldest(_) => (END_EXCESS, true),
            Excess::Refuse => (END_EXCESS, false),
        };
        let mut admit = on_namespace(sql, ns)
            .bind(uuid(*id))
            .bind(self.principal.as_str())
            .bind(self.update.expected.get().cast_signed())
            .bind(now.as_millis())
            .bind(i64::from(self.limit.sessions) - 1)
            .bind(ends);
        if sql == END_EXCESS {
            admit = admit.bind(i16::from(EndReason::Displaced.code()));
        }
        let row = db.row(admit).await?;
        Ok(match get::<Option<bool>>(&row, "same")? {
            None => Updated::Gone,
            Some(false) => Updated::Changed,
            Some(true) if !ends && get::<bool>(&row, "exceeds")? => Updated::Full,
            Some(true) => Updated::Done,
        })
    }
}
