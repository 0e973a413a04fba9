//! One connection at work: what is sent again, and what is told to whom.

use std::time::Duration;

use tenure_store::{Error, Result};
use tokio::sync::mpsc;
use tokio::time::timeout;

use crate::db::Db;
use crate::error::{had_no_effect, is_broken};
use crate::job::{Job, Needs};
use crate::link::Link;

/// How often a statement is sent in all that others got in the way of.
const ATTEMPTS: u32 = 4;

/// A connection, and how calls are carried out on it.
pub(crate) struct Worker {
    link: Link,
    deadline: Duration,
    /// Goes when the worker does.
    _present: mpsc::Sender<()>,
}

impl Worker {
    pub(crate) fn new(link: Link, deadline: Duration, present: mpsc::Sender<()>) -> Self {
        Self {
            link,
            deadline,
            _present: present,
        }
    }

    /// Takes leave of the server.
    pub(crate) async fn leave(mut self) {
        self.link.close().await;
    }

    /// Carries out a job, and answers its callers.
    pub(crate) async fn carry_out(&mut self, mut job: Box<dyn Job>) {
        match self.patiently(&mut *job).await {
            Ok(()) => job.answer(),
            // Whose value it was shows when each is alone with its own. After `Unavailable` a
            // write may have happened, and must not be made twice.
            Err(error) if job.callers() > 1 && !error.is_unavailable() => {
                for mut one in job.split() {
                    match self.patiently(&mut *one).await {
                        Ok(()) => one.answer(),
                        Err(error) => one.fail(error),
                    }
                }
            }
            Err(error) => job.fail(error),
        }
    }

    /// Again where that is safe: where the server says that nothing happened, and where a
    /// connection broke that was only read from.
    async fn patiently(&mut self, job: &mut dyn Job) -> Result<()> {
        let mut reads_again = job.needs() == Needs::Reading && self.link.is_open();
        for _ in 1..ATTEMPTS {
            match self.attempt(job).await {
                Err(error) if had_no_effect(&error) => {
                    tracing::debug!(%error, "others got in the way: once more");
                }
                Err(error) if reads_again && is_broken(&error) => reads_again = false,
                outcome => return outcome,
            }
        }
        self.attempt(job).await
    }

    async fn attempt(&mut self, job: &mut dyn Job) -> Result<()> {
        let link = &mut self.link;
        let outcome = timeout(self.deadline, async { run(job, link.db().await?).await }).await;
        let outcome = outcome.unwrap_or_else(|_| {
            Err(Error::unavailable(format!(
                "the server did not answer within {} ms",
                self.deadline.as_millis()
            )))
        });
        // The one way to be sure that nothing is left under way on it.
        if outcome.as_ref().is_err_and(Error::is_unavailable) {
            self.link.abandon();
        }
        outcome
    }
}

async fn run(job: &mut dyn Job, db: &mut Db) -> Result<()> {
    if job.needs() != Needs::Transaction && !db.is_pooled_by_transaction() {
        return job.run(db).await;
    }
    db.simply("BEGIN ISOLATION LEVEL READ COMMITTED").await?;
    match job.run(db).await {
        Ok(()) => db.simply("COMMIT").await,
        Err(error) => {
            db.simply("ROLLBACK").await?;
            Err(error)
        }
    }
}
