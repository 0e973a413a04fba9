//! A principal gets one more session, and never more than it may have: in the writer's
//! transaction, where nobody else gets in between.

use sqlx::SqliteConnection;
use tenure_store::{
    After, EndReason, Excess, Principal, PrincipalLimit, Result, Timestamp, Updated,
};

use crate::error::from_driver;
use crate::job::Operation;
use crate::row::{self, Statement, get, live, on_session, this};
use crate::update::Update;

/// Carries out an update after which the principal has no more sessions than it may.
pub(crate) struct LogIn {
    pub(crate) update: Update,
    pub(crate) principal: Principal,
    pub(crate) limit: PrincipalLimit,
}

/// The other live sessions of principal `?5`.
macro_rules! others {
    () => {
        concat!(
            "FROM session \
             WHERE session.ns = (SELECT ns FROM namespace WHERE kind = ?1 AND application = ?2) \
             AND principal = ?5 AND ",
            live!(),
            " AND id <> ?3"
        )
    };
}
/// All of them but the newest `?6`.
macro_rules! oldest {
    () => {
        concat!(
            "(SELECT number ",
            others!(),
            " ORDER BY created DESC, id DESC LIMIT -1 OFFSET ?6)"
        )
    };
}

impl Operation for LogIn {
    type Answer = Updated;
    const ATOMIC: bool = false;

    /// Each counts what those before it did.
    fn joins(&self, _: &Self) -> bool {
        false
    }

    fn bytes(&self) -> usize {
        self.update.bytes()
    }

    async fn run_all(log_ins: &[&Self], db: &mut SqliteConnection) -> Result<Vec<Updated>> {
        let mut answers = Vec::with_capacity(log_ins.len());
        for log_in in log_ins {
            answers.push(log_in.run(db).await?);
        }
        Ok(answers)
    }
}

impl LogIn {
    async fn run(&self, db: &mut SqliteConnection) -> Result<Updated> {
        match self.has_expected_version(db).await? {
            None => return Ok(Updated::Gone),
            Some(false) => return Ok(Updated::Changed),
            Some(true) => {}
        }
        match self.limit.excess {
            Excess::Refuse if self.is_full(db).await? => return Ok(Updated::Full),
            Excess::Refuse => {}
            Excess::EndOldest(after) => self.end_oldest(after, db).await?,
        }
        let done = Update::run_all(&[&self.update], db).await?;
        Ok(done.into_iter().next().unwrap_or(Updated::Gone))
    }

    /// Whether the session still has the version that was read; `None` if it is not live.
    async fn has_expected_version(&self, db: &mut SqliteConnection) -> Result<Option<bool>> {
        let sql = concat!(
            "SELECT session.version = ?5 AS same FROM session WHERE ",
            this!(),
            " AND ",
            live!()
        );
        let row = self
            .on_session(sql)
            .bind(self.update.expected.get().cast_signed())
            .fetch_optional(db)
            .await
            .map_err(from_driver)?;
        row.map(|row| get(&row, "same")).transpose()
    }

    /// Whether there are as many others as there may be sessions in all.
    async fn is_full(&self, db: &mut SqliteConnection) -> Result<bool> {
        let sql = concat!(
            "SELECT count(*) AS others FROM (SELECT 1 ",
            others!(),
            " LIMIT ?6)"
        );
        let row = self
            .on_others(sql, self.limit.sessions)
            .fetch_one(db)
            .await
            .map_err(from_driver)?;
        Ok(get::<i64>(&row, "others")? >= i64::from(self.limit.sessions))
    }

    /// Ends the oldest, so that there is room for one more.
    async fn end_oldest(&self, after: After, db: &mut SqliteConnection) -> Result<()> {
        let sql = if after == After::Discard {
            concat!("DELETE FROM session WHERE number IN ", oldest!())
        } else {
            concat!(
                "UPDATE session SET queue = ?7, due_at = ?4, end_reason = ?8, end_at = ?4 \
                 WHERE number IN ",
                oldest!()
            )
        };
        self.on_others(sql, self.limit.sessions - 1)
            .bind(row::WAITING)
            .bind(EndReason::Displaced.code())
            .execute(db)
            .await
            .map_err(from_driver)?;
        Ok(())
    }

    /// A statement on the others, with a number of them as `?6`.
    fn on_others(&self, sql: &'static str, number: u32) -> Statement {
        self.on_session(sql)
            .bind(self.principal.as_str().to_owned())
            .bind(number)
    }

    fn on_session(&self, sql: &'static str) -> Statement {
        let Update { ns, id, now, .. } = &self.update;
        on_session(sql, ns, *id).bind(Timestamp::as_millis(*now))
    }
}
