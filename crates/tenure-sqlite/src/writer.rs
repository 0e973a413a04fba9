//! The one task that writes: all that waits is one transaction, and nobody is answered
//! before its commit.

use std::time::Duration;

use sqlx::{Executor, SqliteConnection};
use tenure_store::{Error, Result};
use tokio::time::timeout;

use crate::batch::Batch;
use crate::error::{from_driver, is_busy, was_busy};
use crate::link::Link;
use crate::queue::Intake;

/// Serves the queue until it is closed and empty, then leaves the database in one file.
pub(crate) async fn write(intake: Intake, link: Link, deadline: Duration) {
    let mut writer = Writer { link, deadline };
    while let Some(batch) = Batch::take(&intake).await {
        writer.carry_out(batch).await;
    }
    if let Ok(db) = writer.link.connection().await {
        // Another process may be reading the log; then it stays until that one closes.
        if let Err(error) = db.execute("PRAGMA wal_checkpoint(TRUNCATE)").await {
            tracing::debug!(%error, "the session database keeps its log");
        }
    }
    writer.link.close().await;
}

struct Writer {
    link: Link,
    /// How long another process may keep its lock.
    deadline: Duration,
}

/// What failed.
enum Failed {
    /// Nothing yet: another process has the lock.
    Busy,
    /// One of the operations.
    Operation(Error),
    /// What they share.
    Transaction(Error),
}

impl Writer {
    async fn carry_out(&mut self, mut batch: Batch) {
        match self.transact(&mut batch).await {
            Ok(()) => batch.answer(),
            // Whose value it was shows when each is alone with its own. After
            // `Unavailable` a write may have happened, and must not be made twice.
            Err(Failed::Operation(error)) if !batch.is_single() && !error.is_unavailable() => {
                for mut one in batch.one_by_one() {
                    match self.transact(&mut one).await {
                        Ok(()) => one.answer(),
                        Err(failed) => one.fail(failed.into_error()),
                    }
                }
            }
            Err(failed) => batch.fail(failed.into_error()),
        }
    }

    async fn transact(&mut self, batch: &mut Batch) -> Result<(), Failed> {
        let link = &mut self.link;
        let patient = async {
            let db = link.connection().await.map_err(Failed::Transaction)?;
            loop {
                match commit(batch, db).await {
                    Err(Failed::Busy) => {}
                    outcome => return outcome,
                }
            }
        };
        let outcome = timeout(self.deadline, patient)
            .await
            .unwrap_or(Err(Failed::Busy));
        if outcome.is_err() {
            self.link.close().await;
        }
        outcome
    }
}

async fn commit(batch: &mut Batch, db: &mut SqliteConnection) -> Result<(), Failed> {
    if batch.is_atomic() {
        return batch.run(db).await.map_err(|error| {
            if was_busy(&error) {
                Failed::Busy
            } else {
                Failed::Operation(error)
            }
        });
    }
    let shared = |error| Failed::Transaction(from_driver(error));
    match db.execute("BEGIN IMMEDIATE").await {
        Err(error) if is_busy(&error) => return Err(Failed::Busy),
        begun => begun.map_err(shared)?,
    };
    batch.run(db).await.map_err(Failed::Operation)?;
    db.execute("COMMIT").await.map_err(shared)?;
    Ok(())
}

impl Failed {
    fn into_error(self) -> Error {
        match self {
            Failed::Busy => {
                Error::unavailable("another process kept the database's lock for too long")
            }
            Failed::Operation(error) | Failed::Transaction(error) => error,
        }
    }
}
