//! What is carried out together: all that waited when a task was free.

use std::sync::Arc;

use sqlx::SqliteConnection;
use tenure_store::{Error, Result};

use crate::job::Job;
use crate::queue::Intake;

/// One batch holds at most so many operations, and one that takes it over so many bytes.
/// Enough for an `fsync` to be shared by all that wait, not so much that the first of
/// them waits long for the last.
const MAX_OPERATIONS: usize = 256;
const MAX_BYTES: usize = 4 << 20;

/// What a task does before it answers anybody.
pub(crate) struct Batch(Vec<Box<dyn Job>>);

impl Batch {
    /// Waits for work and takes all there is; `None` once the queue is closed and empty.
    /// What nobody waits for any more is left out.
    pub(crate) async fn take(intake: &Intake) -> Option<Self> {
        let mut intake = intake.lock().await;
        loop {
            let mut batch = Self(Vec::new());
            let (mut operations, mut bytes) = (0, 0);
            let mut next = Some(intake.recv().await?);
            while let Some(job) = next {
                operations += 1;
                bytes += job.bytes();
                batch.push(job);
                let room = operations < MAX_OPERATIONS && bytes < MAX_BYTES;
                next = room.then(|| intake.try_recv().ok()).flatten();
            }
            if !batch.0.is_empty() {
                return Some(batch);
            }
        }
    }

    /// Operations of several callers at once have no order among them: so each goes where
    /// there is one of its kind.
    fn push(&mut self, mut job: Box<dyn Job>) {
        let mut jobs = self.0.iter_mut();
        if !job.is_abandoned() && !jobs.any(|other| other.absorb(job.as_any())) {
            self.0.push(job);
        }
    }

    /// Whether it is a transaction by itself.
    pub(crate) fn is_atomic(&self) -> bool {
        matches!(&self.0[..], [job] if job.is_atomic())
    }

    /// Whether it is one operation of one caller.
    pub(crate) fn is_single(&self) -> bool {
        matches!(&self.0[..], [job] if job.callers() == 1)
    }

    /// Carries out all of it, up to the first failure. The answers are kept.
    pub(crate) async fn run(&mut self, db: &mut SqliteConnection) -> Result<()> {
        for job in &mut self.0 {
            job.run(db).await?;
        }
        Ok(())
    }

    /// Gives every caller its answer.
    pub(crate) fn answer(self) {
        for job in self.0 {
            job.answer();
        }
    }

    /// Tells every caller that it failed.
    pub(crate) fn fail(mut self, error: Error) {
        if self.is_single()
            && let Some(job) = self.0.pop()
        {
            return job.fail_alone(error);
        }
        let error = Arc::new(error);
        for job in self.0 {
            job.fail(&error);
        }
    }

    /// What goes to SQLite together, as a batch each.
    pub(crate) fn into_jobs(self) -> impl Iterator<Item = Self> {
        self.0.into_iter().map(|job| Self(vec![job]))
    }

    /// Each operation as a batch of its own.
    pub(crate) fn one_by_one(self) -> impl Iterator<Item = Self> {
        let alone = self.0.into_iter().flat_map(<dyn Job>::split);
        alone.map(|job| Self(vec![job]))
    }
}
