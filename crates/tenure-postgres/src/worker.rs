//! One connection, and how calls are carried out on it: what is sent again.

use std::time::Duration;

use tenure_store::{Error, Result};
use tokio::sync::mpsc;
use tokio::time::timeout;

use crate::db::Db;
use crate::error::{had_no_effect, is_broken, left_it_in_order};
use crate::job::{Job, Needs};
use crate::link::Link;
use crate::settings::lock_patience;

/// How often a statement is sent in all that others got in the way of.
const ATTEMPTS: u32 = 4;

/// A connection at work, or ready for it.
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
        // One that does not answer is left without.
        let _ = timeout(self.deadline, self.link.close()).await;
    }

    /// Forgets the connection, in whatever state it is.
    pub(crate) fn abandon(&mut self) {
        self.link.abandon();
    }

    /// How long a statement waits for others' locks.
    pub(crate) fn lock_patience(&self) -> Duration {
        lock_patience(self.deadline)
    }

    /// Carries out a job: again where that is safe, where the server says that nothing
    /// happened, and where a connection broke that was only read from.
    pub(crate) async fn patiently(&mut self, job: &mut dyn Job) -> Result<()> {
        let mut reads_again = job.needs() == Needs::Reading && self.link.is_open();
        for _ in 1..ATTEMPTS {
            match self.attempt(job).await {
                Err(error) if had_no_effect(&error) && !job.is_abandoned() => {
                    tracing::debug!(%error, "nothing happened: once more");
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
        match &outcome {
            // The one way to be sure that nothing is left under way on it.
            Err(error) if !left_it_in_order(error) => self.link.abandon(),
            _ => self.link.used(),
        }
        outcome
    }
}

async fn run(job: &mut dyn Job, db: &mut Db) -> Result<()> {
    if job.needs() != Needs::Transaction && !db.is_pooled_by_transaction() {
        return job.run(db).await;
    }
    db.begin().await?;
    match job.run(db).await {
        Ok(()) => db.simply("COMMIT").await,
        Err(error) => {
            if !is_broken(&error) {
                db.simply("ROLLBACK").await?;
            }
            Err(error)
        }
    }
}
