//! The tasks that read. Each reading statement sees all that was committed before it.

use tenure_store::Result;

use crate::batch::Batch;
use crate::link::Link;
use crate::queue::Intake;

/// Serves the queue until it is closed and empty.
pub(crate) async fn read(intake: Intake, mut link: Link) {
    while let Some(batch) = Batch::take(&intake).await {
        for job in batch.into_jobs() {
            carry_out(job, &mut link).await;
        }
    }
    link.close().await;
}

async fn carry_out(mut batch: Batch, link: &mut Link) {
    match attempt(&mut batch, link).await {
        Ok(()) => batch.answer(),
        Err(error) if batch.is_single() => batch.fail(error),
        // One damaged record is nobody's trouble but its own reader's.
        Err(_) => {
            for mut one in batch.one_by_one() {
                match attempt(&mut one, link).await {
                    Ok(()) => one.answer(),
                    Err(error) => one.fail(error),
                }
            }
        }
    }
}

async fn attempt(batch: &mut Batch, link: &mut Link) -> Result<()> {
    let db = link.connection().await?;
    let outcome = batch.run(db).await;
    if outcome.is_err() {
        link.close().await;
    }
    outcome
}
