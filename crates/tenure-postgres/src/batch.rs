//! What a task takes at once: all that waited when it was free, each kind of call as one job.

use crate::job::Job;
use crate::queue::Intake;

/// One batch takes at most so many operations, and none behind one that takes it over so many
/// bytes. Enough for a flush of the log to be shared by all that wait, not so much that the
/// first of them waits long for the last.
const MAX_OPERATIONS: usize = 256;
const MAX_BYTES: usize = 4 << 20;

/// Waits for work and takes all there is; `None` once the queue is closed and empty. What
/// nobody waits for any more is left out.
pub(crate) async fn take(intake: &Intake) -> Option<Vec<Box<dyn Job>>> {
    let mut intake = intake.lock().await;
    loop {
        let mut batch = Vec::new();
        let (mut operations, mut bytes) = (0, 0);
        let mut next = Some(intake.recv().await?);
        while let Some(job) = next {
            operations += 1;
            bytes += job.bytes();
            push(&mut batch, job);
            let room = operations < MAX_OPERATIONS && bytes < MAX_BYTES;
            next = room.then(|| intake.try_recv().ok()).flatten();
        }
        if !batch.is_empty() {
            return Some(batch);
        }
    }
}

/// Operations of several callers at once have no order among them: so each goes where there
/// is one of its kind.
fn push(batch: &mut Vec<Box<dyn Job>>, mut job: Box<dyn Job>) {
    let mut jobs = batch.iter_mut();
    if !job.is_abandoned() && !jobs.any(|other| other.absorb(job.as_any())) {
        batch.push(job);
    }
}
