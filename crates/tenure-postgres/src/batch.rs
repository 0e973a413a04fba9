//! What is carried out at once: all that waited, each kind of call as one job.

use std::collections::VecDeque;

use crate::job::Job;

/// One batch takes at most so many operations, and none behind one that takes it over so many
/// bytes. Enough for a flush of the log to be shared by all that wait, not so much that the
/// first of them waits long for the last.
const MAX_OPERATIONS: usize = 256;
const MAX_BYTES: usize = 4 << 20;

/// Takes those that waited longest, each as a job of its own. What nobody waits for any more
/// is left out.
pub(crate) fn take(waiting: &mut VecDeque<Box<dyn Job>>) -> Vec<Box<dyn Job>> {
    let (mut batch, mut bytes) = (Vec::new(), 0);
    while batch.len() < MAX_OPERATIONS
        && bytes < MAX_BYTES
        && let Some(job) = waiting.pop_front()
    {
        if !job.is_abandoned() {
            bytes += job.bytes();
            batch.push(job);
        }
    }
    batch
}

/// Operations of several callers at once have no order among them: so each goes where there
/// is one of its kind.
pub(crate) fn join(batch: Vec<Box<dyn Job>>) -> Vec<Box<dyn Job>> {
    let mut joined: Vec<Box<dyn Job>> = Vec::new();
    for mut job in batch {
        let mut others = joined.iter_mut();
        if !others.any(|other| other.absorb(job.as_any())) {
            joined.push(job);
        }
    }
    joined
}
