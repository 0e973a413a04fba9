//! Tombstones after their claim: leases prolonged, attempts settled, operators' decisions.

use std::time::Duration;

use rusqlite::params;
use tenure_store::{
    Failure, Namespace, Outcome, Resolve, Result, SessionId, Ticket, Timestamp, Tombstone,
};

use crate::db::Db;
use crate::job::Operation;
use crate::row::{DEAD, NEVER, WAITING, this};

/// How many tickets one step takes, so that others get their turn.
pub(crate) const STEP: usize = 500;

/// The condition that claim `?3` of the tombstone is its latest and not settled.
macro_rules! held {
    () => {
        concat!(this!(), " AND claims = ?3 AND queue = -3")
    };
}

/// Lets leases run from now.
pub(crate) struct Renew {
    pub(crate) ns: Namespace,
    pub(crate) tickets: Vec<Ticket>,
    pub(crate) lease: Duration,
    pub(crate) now: Timestamp,
}

impl Operation for Renew {
    type Answer = u64;

    fn run(&self, db: &Db) -> Result<u64> {
        let Some(ns) = db.number(&self.ns)? else {
            return Ok(0);
        };
        let until = Tombstone::held_until(self.lease, self.now).as_millis();
        let mut renewed = 0;
        for ticket in &self.tickets {
            renewed += db.execute(
                concat!("UPDATE session SET due_at = ?4 WHERE ", held!()),
                params![ns, ticket.id.as_bytes(), ticket.claim, until,],
            )?;
        }
        Ok(renewed)
    }
}

/// Says how attempts came out.
pub(crate) struct Settle {
    pub(crate) ns: Namespace,
    pub(crate) outcomes: Vec<(Ticket, Outcome)>,
    pub(crate) now: Timestamp,
}

impl Operation for Settle {
    type Answer = u64;

    fn run(&self, db: &Db) -> Result<u64> {
        let Some(ns) = db.number(&self.ns)? else {
            return Ok(0);
        };
        // Of several outcomes for a ticket the first counts: after it the ticket is spent.
        let settle = |(ticket, outcome)| self.settle(ticket, outcome, ns, db);
        self.outcomes.iter().map(|(t, o)| (*t, o)).map(settle).sum()
    }
}

impl Settle {
    fn settle(&self, ticket: Ticket, outcome: &Outcome, ns: i64, db: &Db) -> Result<u64> {
        let id = ticket.id.as_bytes();
        let (queue, due, failed) = match outcome {
            Outcome::Done => {
                return db.execute(
                    concat!("DELETE FROM session WHERE ", held!()),
                    params![ns, id, ticket.claim],
                );
            }
            Outcome::Release => (WAITING, self.now.as_millis(), None),
            Outcome::Retry { at, why } => {
                let from = Tombstone::retried_from(*at, self.now);
                (WAITING, from.as_millis(), Some(why))
            }
            Outcome::Dead { why } => (DEAD, NEVER, Some(why)),
        };
        db.execute(
            concat!(
                "UPDATE session SET queue = ?4, due_at = ?5, failures = failures + ?6, \
                 last_failure = ifnull(?7, last_failure), unsettled = max(unsettled - 1, 0) \
                 WHERE ",
                held!()
            ),
            params![
                ns,
                id,
                ticket.claim,
                queue,
                due,
                failed.is_some(),
                failed.map(Failure::as_str),
            ],
        )
    }
}

/// An operator's decision on what nobody holds.
pub(crate) struct Decide {
    pub(crate) ns: Namespace,
    pub(crate) id: SessionId,
    pub(crate) what: Resolve,
    pub(crate) now: Timestamp,
}

/// The condition that nobody holds it at `?3`, of which `?4` is the horizon.
macro_rules! unheld {
    () => {
        concat!(
            this!(),
            " AND (queue IN (-1, -2) OR queue = -3 AND (due_at <= ?3 OR due_at > ?4))"
        )
    };
}

impl Operation for Decide {
    type Answer = bool;

    fn run(&self, db: &Db) -> Result<bool> {
        let Some(ns) = db.number(&self.ns)? else {
            return Ok(false);
        };
        let sql = match self.what {
            Resolve::Requeue => concat!(
                "UPDATE session SET queue = -1, due_at = ?3, failures = 0, unsettled = 0 WHERE ",
                unheld!()
            ),
            Resolve::Discard => concat!("DELETE FROM session WHERE ", unheld!()),
        };
        let horizon = Tombstone::horizon(self.now).as_millis();
        let (id, now) = (self.id.as_bytes(), self.now.as_millis());
        let decided = db.execute(sql, params![ns, id, now, horizon])?;
        Ok(decided > 0)
    }
}
