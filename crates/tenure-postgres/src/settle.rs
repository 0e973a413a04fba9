//! Tombstones after their claim: leases prolonged, attempts settled, operators' decisions.

use std::collections::HashSet;
use std::time::Duration;

use tenure_store::{
    Failure, Namespace, Outcome, Resolve, Result, SessionId, Ticket, Timestamp, Tombstone,
};

use crate::db::Db;
use crate::fields::{each, each_id};
use crate::job::{Needs, Single};
use crate::row::{DEAD, WAITING, by_key, get, on_namespace, on_session, with_namespace};

/// How many tickets one step takes, so that others get their turn.
pub(crate) const STEP: usize = 500;

/// Of the tickets `i`, those that hold: the latest claim of each tombstone, not settled.
macro_rules! held {
    ($tickets:literal) => {
        concat!(
            with_namespace!(),
            ", locked AS MATERIALIZED (SELECT i.* FROM n CROSS JOIN unnest($3::uuid[], \
             $4::int[]",
            $tickets,
            " JOIN tenure_session s ON ",
            by_key!("i.id"),
            " WHERE s.queue + 0 = -3 AND s.claims = i.claim ORDER BY s.id FOR UPDATE OF s)"
        )
    };
}

/// Lets leases run from now.
pub(crate) struct Renew {
    pub(crate) ns: Namespace,
    pub(crate) tickets: Vec<Ticket>,
    pub(crate) lease: Duration,
    pub(crate) now: Timestamp,
}

impl Single for Renew {
    type Answer = u64;
    const NEEDS: Needs = Needs::Statement;

    async fn run(&self, db: &mut Db) -> Result<u64> {
        const RENEW: &str = concat!(
            held!(") AS i (id, claim)"),
            " UPDATE tenure_session s SET due_at = $5 FROM locked l \
             WHERE ",
            by_key!("l.id")
        );
        let renew = on_namespace(RENEW, &self.ns)
            .bind(each_id(&self.tickets, |ticket| ticket.id))
            .bind(each(&self.tickets, claim))
            .bind(Tombstone::held_until(self.lease, self.now).as_millis());
        db.run(renew).await
    }
}

/// Says how attempts came out.
pub(crate) struct Settle {
    pub(crate) ns: Namespace,
    pub(crate) outcomes: Vec<(Ticket, Outcome)>,
    pub(crate) now: Timestamp,
}

/// For each ticket the queue it goes to, or NULL if it is done with; from when it is due there,
/// how many failures it adds, and what was said.
const SETTLE: &str = concat!(
    held!(
        ", $5::bigint[], $6::bigint[], $7::int[], $8::text[]) \
         AS i (id, claim, to_queue, due, failed, why)"
    ),
    ", removed AS (DELETE FROM tenure_session s USING locked l \
     WHERE l.to_queue IS NULL AND ",
    by_key!("l.id"),
    " RETURNING 1), \
     kept AS (UPDATE tenure_session s SET queue = l.to_queue, due_at = l.due, \
     failures = least(s.failures, 2147483646) + l.failed, \
     unsettled = greatest(s.unsettled - 1, 0), last_failure = coalesce(l.why, s.last_failure) \
     FROM locked l WHERE l.to_queue IS NOT NULL AND ",
    by_key!("l.id"),
    " RETURNING 1) \
     SELECT (SELECT count(*) FROM removed) + (SELECT count(*) FROM kept) AS settled"
);

impl Single for Settle {
    type Answer = u64;
    const NEEDS: Needs = Needs::Statement;

    async fn run(&self, db: &mut Db) -> Result<u64> {
        let mut seen = HashSet::new();
        let firsts = self.outcomes.iter();
        let firsts: Vec<_> = firsts.filter(|(ticket, _)| seen.insert(*ticket)).collect();
        let place = |outcome: &Outcome| match outcome {
            Outcome::Done => (None, None),
            Outcome::Release => (Some(WAITING), Some(self.now.as_millis())),
            Outcome::Retry { at, .. } => {
                let from = Tombstone::retried_from(*at, self.now);
                (Some(WAITING), Some(from.as_millis()))
            }
            Outcome::Dead { .. } => (Some(DEAD), None),
        };
        let settle = on_namespace(SETTLE, &self.ns)
            .bind(each_id(&firsts, |(ticket, _)| ticket.id))
            .bind(each(&firsts, |(ticket, _)| claim(ticket)))
            .bind(each(&firsts, |(_, outcome)| place(outcome).0))
            .bind(each(&firsts, |(_, outcome)| place(outcome).1))
            .bind(each(&firsts, |(_, outcome)| {
                i32::from(why(outcome).is_some())
            }))
            .bind(each(&firsts, |(_, outcome)| {
                why(outcome).map(Failure::as_str)
            }));
        let row = db.row(settle).await?;
        Ok(get::<i64>(&row, "settled")?.unsigned_abs())
    }
}

fn why(outcome: &Outcome) -> Option<&Failure> {
    match outcome {
        Outcome::Done | Outcome::Release => None,
        Outcome::Retry { why, .. } | Outcome::Dead { why } => Some(why),
    }
}

/// Which claim, as it is stored; one beyond what is ever stored matches none.
fn claim(ticket: &Ticket) -> i32 {
    i32::try_from(ticket.claim).unwrap_or(-1)
}

/// An operator's decision on what nobody holds.
pub(crate) struct Decide {
    pub(crate) ns: Namespace,
    pub(crate) id: SessionId,
    pub(crate) what: Resolve,
    pub(crate) now: Timestamp,
}

impl Single for Decide {
    type Answer = bool;
    const NEEDS: Needs = Needs::Statement;

    async fn run(&self, db: &mut Db) -> Result<bool> {
        macro_rules! unheld {
            ($from:literal) => {
                concat!(
                    with_namespace!(),
                    $from,
                    " n WHERE ",
                    by_key!("$3"),
                    " AND (s.queue + 0 IN (-1, -2) OR s.queue + 0 = -3 \
                     AND (s.due_at <= $4 OR s.due_at > $5))"
                )
            };
        }
        let sql = match self.what {
            Resolve::Requeue => unheld!(
                " UPDATE tenure_session s SET queue = -1, due_at = $4, failures = 0, \
                 unsettled = 0 FROM"
            ),
            Resolve::Discard => unheld!(" DELETE FROM tenure_session s USING"),
        };
        let decide = on_session(sql, &self.ns, self.id)
            .bind(self.now.as_millis())
            .bind(Tombstone::horizon(self.now).as_millis());
        Ok(db.run(decide).await? > 0)
    }
}
