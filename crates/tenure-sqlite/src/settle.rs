//! Tombstones after their claim: leases prolonged, attempts settled, operators' decisions.

use std::collections::HashSet;
use std::time::Duration;

use sqlx::SqliteConnection;
use tenure_store::{Failure, Namespace, Outcome, Resolve, Result, SessionId, Ticket, Timestamp};

use crate::error::from_driver;
use crate::fields::{hex, json};
use crate::job::Single;
use crate::row::{DEAD, NEVER, WAITING, on_namespace, on_session, this};

/// How many tickets one step takes, so that others get their turn.
pub(crate) const STEP: usize = 500;

/// The tombstones that the tickets in `?3` hold: the latest claim of each, not settled.
macro_rules! held {
    () => {
        "(SELECT session.number FROM json_each(?3) AS ticket CROSS JOIN session \
         ON session.ns = (SELECT ns FROM namespace WHERE kind = ?1 AND application = ?2) \
         AND session.id = unhex(ticket.value ->> 0) \
         WHERE session.claims = ticket.value ->> 1 AND session.queue = -3)"
    };
}

/// Lets leases run from now.
#[derive(Debug)]
pub(crate) struct Renew {
    pub(crate) ns: Namespace,
    pub(crate) tickets: Vec<Ticket>,
    pub(crate) lease: Duration,
    pub(crate) now: Timestamp,
}

impl Single for Renew {
    type Answer = u64;

    async fn run(&self, db: &mut SqliteConnection) -> Result<u64> {
        let sql = concat!("UPDATE session SET due_at = ?4 WHERE number IN ", held!());
        let renewed = on_namespace(sql, &self.ns)
            .bind(list(self.tickets.iter().copied()))
            .bind(self.now.plus(self.lease).as_millis())
            .execute(db)
            .await
            .map_err(from_driver)?;
        Ok(renewed.rows_affected())
    }
}

/// Says how attempts came out.
#[derive(Debug)]
pub(crate) struct Settle {
    pub(crate) ns: Namespace,
    pub(crate) outcomes: Vec<(Ticket, Outcome)>,
    pub(crate) now: Timestamp,
}

impl Single for Settle {
    type Answer = u64;

    async fn run(&self, db: &mut SqliteConnection) -> Result<u64> {
        let mut seen = HashSet::new();
        let mut first = self
            .outcomes
            .iter()
            .filter(|(ticket, _)| seen.insert(*ticket));
        let (done, other): (Vec<_>, Vec<_>) = first
            .by_ref()
            .partition(|(_, outcome)| *outcome == Outcome::Done);

        let sql = concat!("DELETE FROM session WHERE number IN ", held!());
        let mut settled = on_namespace(sql, &self.ns)
            .bind(list(done.into_iter().map(|(ticket, _)| *ticket)))
            .execute(&mut *db)
            .await
            .map_err(from_driver)?
            .rows_affected();
        for (ticket, outcome) in other {
            settled += self.put_back(*ticket, outcome, db).await?;
        }
        Ok(settled)
    }
}

impl Settle {
    async fn put_back(
        &self,
        ticket: Ticket,
        outcome: &Outcome,
        db: &mut SqliteConnection,
    ) -> Result<u64> {
        let (queue, due, failed) = match outcome {
            Outcome::Done | Outcome::Release => (WAITING, self.now.as_millis(), None),
            Outcome::Retry { at, why } => (WAITING, at.as_millis(), Some(why)),
            Outcome::Dead { why } => (DEAD, NEVER, Some(why)),
        };
        let sql = concat!(
            "UPDATE session SET queue = ?4, due_at = ?5, failures = failures + ?6, \
             last_failure = ifnull(?7, last_failure), unsettled = max(unsettled - 1, 0) \
             WHERE number IN ",
            held!()
        );
        let put_back = on_namespace(sql, &self.ns)
            .bind(list([ticket].into_iter()))
            .bind(queue)
            .bind(due)
            .bind(failed.is_some())
            .bind(failed.map(Failure::as_str))
            .execute(db)
            .await
            .map_err(from_driver)?;
        Ok(put_back.rows_affected())
    }
}

/// An operator's decision on what nobody holds.
#[derive(Debug)]
pub(crate) struct Decide {
    pub(crate) ns: Namespace,
    pub(crate) id: SessionId,
    pub(crate) what: Resolve,
    pub(crate) now: Timestamp,
}

impl Single for Decide {
    type Answer = bool;

    async fn run(&self, db: &mut SqliteConnection) -> Result<bool> {
        macro_rules! unheld {
            () => {
                concat!(
                    this!(),
                    " AND (queue IN (-1, -2) OR queue = -3 AND due_at <= ?4)"
                )
            };
        }
        let sql = match self.what {
            Resolve::Requeue => concat!(
                "UPDATE session SET queue = -1, due_at = ?4, failures = 0, unsettled = 0 WHERE ",
                unheld!()
            ),
            Resolve::Discard => concat!("DELETE FROM session WHERE ", unheld!()),
        };
        let decided = on_session(sql, &self.ns, self.id)
            .bind(self.now.as_millis())
            .execute(db)
            .await
            .map_err(from_driver)?;
        Ok(decided.rows_affected() > 0)
    }
}

/// JSON: `[[id, claim], …]`.
fn list(tickets: impl Iterator<Item = Ticket>) -> String {
    json(tickets.map(|ticket| format!(r#"["{}",{}]"#, hex(ticket.id.as_bytes()), ticket.claim)))
}
