//! A principal gets one more session, and never more than it may have: in the writer's
//! transaction, where nobody else gets in between.

use rusqlite::params;
use tenure_store::{After, EndReason, Excess, Principal, PrincipalLimit, Result, Updated};

use crate::db::Db;
use crate::job::Operation;
use crate::row::{self, live};
use crate::update::Update;

/// Carries out an update after which the principal has no more sessions than it may.
pub(crate) struct LogIn {
    pub(crate) update: Update,
    pub(crate) principal: Principal,
    pub(crate) limit: PrincipalLimit,
}

/// The other live sessions of principal `?4`.
macro_rules! others {
    () => {
        concat!(
            "FROM session \
             WHERE session.ns = ?1 \
             AND principal = ?4 AND ",
            live!(),
            " AND id <> ?2"
        )
    };
}
/// All of them but the newest `?5`.
macro_rules! oldest {
    () => {
        concat!(
            "(SELECT number ",
            others!(),
            " ORDER BY created DESC, id DESC LIMIT -1 OFFSET ?5)"
        )
    };
}

impl Operation for LogIn {
    type Answer = Updated;

    fn bytes(&self) -> usize {
        self.update.bytes()
    }

    fn run(&self, db: &Db) -> Result<Updated> {
        let Some(ns) = db.number(&self.update.ns)? else {
            return Ok(Updated::Gone);
        };
        match self.update.has_expected_version(ns, db)? {
            None => return Ok(Updated::Gone),
            Some(false) => return Ok(Updated::Changed),
            Some(true) => {}
        }
        match self.limit.excess {
            Excess::Refuse if self.is_full(ns, db)? => return Ok(Updated::Full),
            Excess::Refuse => {}
            Excess::EndOldest(after) => self.end_oldest(after, ns, db)?,
        }
        self.update.run(db)
    }
}

impl LogIn {
    /// Whether there are as many others as there may be sessions in all.
    fn is_full(&self, ns: i64, db: &Db) -> Result<bool> {
        let Update { id, now, .. } = &self.update;
        let others: Option<i64> = db.first(
            concat!("SELECT count(*) FROM (SELECT 1 ", others!(), " LIMIT ?5)"),
            params![
                ns,
                id.as_bytes(),
                now.as_millis(),
                self.principal.as_str(),
                self.limit.sessions,
            ],
            |row| row.get(),
        )?;
        Ok(others >= Some(i64::from(self.limit.sessions)))
    }

    /// Ends the oldest, so that there is room for one more.
    fn end_oldest(&self, after: After, ns: i64, db: &Db) -> Result<()> {
        let Update { id, now, .. } = &self.update;
        let (principal, room) = (self.principal.as_str(), self.limit.sessions - 1);
        let (id, now) = (id.as_bytes(), now.as_millis());
        if after == After::Discard {
            db.execute(
                concat!("DELETE FROM session WHERE number IN ", oldest!()),
                params![ns, id, now, principal, room],
            )?;
        } else {
            let (queue, reason) = (row::WAITING, EndReason::Displaced.code());
            db.execute(
                concat!(
                    "UPDATE session SET queue = ?6, due_at = ?3, end_reason = ?7, end_at = ?3 \
                     WHERE number IN ",
                    oldest!()
                ),
                params![ns, id, now, principal, room, queue, reason],
            )?;
        }
        Ok(())
    }
}
