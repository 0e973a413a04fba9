//! What is one transaction: all that waited when the writer was free.

use std::sync::Arc;
use std::sync::mpsc::Receiver;

use tenure_store::{Error, Result};

use crate::db::Db;
use crate::job::Job;

/// One batch holds at most so many operations, and one that takes it over so many bytes.
/// Enough for an `fsync` to be shared by all that wait, not so much that the first of
/// them waits long for the last.
const MAX_OPERATIONS: usize = 256;
const MAX_BYTES: usize = 4 << 20;

pub(crate) struct Batch(Vec<Box<dyn Job>>);

impl Batch {
    /// Waits for work and takes all there is; `None` once the queue is closed and empty.
    /// What nobody waits for any more is left out.
    pub(crate) fn take(intake: &Receiver<Box<dyn Job>>) -> Option<Self> {
        loop {
            let mut jobs = vec![intake.recv().ok()?];
            let mut bytes = jobs[0].bytes();
            while jobs.len() < MAX_OPERATIONS
                && bytes < MAX_BYTES
                && let Ok(job) = intake.try_recv()
            {
                bytes += job.bytes();
                jobs.push(job);
            }
            jobs.retain(|job| !job.is_abandoned());
            if !jobs.is_empty() {
                return Some(Self(jobs));
            }
        }
    }

    /// Leaves out what nobody waits for any more; says whether something is left.
    pub(crate) fn is_wanted(&mut self) -> bool {
        self.0.retain(|job| !job.is_abandoned());
        !self.0.is_empty()
    }

    pub(crate) fn len(&self) -> usize {
        self.0.len()
    }

    pub(crate) fn is_single(&self) -> bool {
        self.len() == 1
    }

    /// Carries out all of it, up to the first failure. The answers are kept.
    pub(crate) fn run(&mut self, db: &Db) -> Result<()> {
        self.0.iter_mut().try_for_each(|job| job.run(db))
    }

    /// Gives every caller its answer.
    pub(crate) fn answer(self) {
        self.0.into_iter().for_each(<dyn Job>::answer);
    }

    /// Tells every caller that it failed.
    pub(crate) fn fail(mut self, error: Error) {
        if self.is_single()
            && let Some(job) = self.0.pop()
        {
            return job.fail(error);
        }
        let error = Arc::new(error);
        for job in self.0 {
            job.fail_together(&error);
        }
    }

    /// Each operation as a batch of its own.
    pub(crate) fn one_by_one(self) -> impl Iterator<Item = Self> {
        self.0.into_iter().map(|job| Self(vec![job]))
    }
}
