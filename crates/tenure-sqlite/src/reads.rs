//! The connections that read. Each reading statement sees all that was committed before it.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::mpsc::Receiver;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tenure_store::Result;
use tokio::sync::watch;

use crate::db::Db;
use crate::error::was_busy;
use crate::identity::Files;
use crate::job::{Job, Operation, carry_out};
use crate::options::SqliteOptions;
use crate::queue::Queue;
use crate::shared::Shared;
use crate::thread::spawn;

/// So many of the connections for walks at most: they may take all that a disk gives.
const MAX_WALKERS: usize = 2;

pub(crate) struct Reads {
    /// What quick reads share with the writer, if they run where they are asked for.
    shared: Option<Arc<Shared>>,
    /// For quick reads that are left to other threads.
    quick: Pool,
    /// For what may take longer, so that no load waits behind it.
    walks: Pool,
}

impl Reads {
    pub(crate) fn open(
        options: &SqliteOptions,
        files: &Arc<Files>,
        shared: &Arc<Shared>,
    ) -> Result<Self> {
        let pool = |connections, name| Pool::open(connections, name, options, files);
        Ok(Self {
            shared: options.in_place.then(|| Arc::clone(shared)),
            quick: pool(options.readers, "tenure-load")?,
            walks: pool(options.readers.min(MAX_WALKERS), "tenure-walk")?,
        })
    }

    /// Reads what is quickly read: a row or two.
    pub(crate) async fn quick<O: Operation + Clone>(&self, operation: O) -> Result<O::Answer> {
        if let Some(shared) = &self.shared {
            self.quick.queue.check()?;
            match shared.read(operation.clone()).await {
                Ok(Some(answer)) => return Ok(answer),
                // The writer waits for the disk.
                Ok(None) => {}
                // Somebody mends the log after a crash: that takes longer.
                Err(error) if was_busy(&error) => {}
                Err(error) => return Err(error),
            }
        }
        self.quick.queue.submit(operation).await
    }

    /// Reads a step of what may look at many rows.
    pub(crate) async fn walk<O: Operation>(&self, operation: O) -> Result<O::Answer> {
        self.walks.queue.submit(operation).await
    }

    /// Lets nothing more in.
    pub(crate) fn close(&self) {
        self.quick.queue.close();
        self.walks.queue.close();
    }

    /// Waits until what was let in is done.
    pub(crate) async fn ended(&self) {
        self.quick.ended().await;
        self.walks.ended().await;
    }
}

/// Some connections, each with a thread of its own, and what waits for one of them.
struct Pool {
    queue: Queue,
    /// Closed by the end of the last thread.
    threads: watch::Receiver<()>,
}

impl Pool {
    fn open(
        connections: usize,
        name: &str,
        options: &SqliteOptions,
        files: &Arc<Files>,
    ) -> Result<Self> {
        // One for each that is on its way to an idle thread.
        let length = options.queue_length + connections;
        let (queue, intake) = Queue::new(length, options.deadline, files);
        let intake = Arc::new(Mutex::new(intake));
        let (ended, threads) = watch::channel(());
        let ended = Arc::new(ended);
        for _ in 0..connections {
            let db = Db::reading(options)?;
            let (intake, ended) = (Arc::clone(&intake), Arc::clone(&ended));
            let deadline = options.deadline;
            spawn(name, move || {
                serve(db, &intake, deadline);
                drop(ended);
            })?;
        }
        Ok(Self { queue, threads })
    }

    async fn ended(&self) {
        // Nothing is ever sent: the error is the threads' end.
        let _ = self.threads.clone().changed().await;
    }
}

/// Reads until the queue is closed and empty.
fn serve(db: Db, intake: &Mutex<Receiver<Box<dyn Job>>>, deadline: Duration) {
    if let Err(error) = db.wait_for_locks(deadline) {
        tracing::debug!(%error, "a connection does not wait for locks");
    }
    let next = || intake.lock().unwrap_or_else(PoisonError::into_inner).recv();
    while let Ok(job) = next() {
        if !job.is_abandoned() {
            // A panic is its caller's alone: the thread goes on.
            let _ = catch_unwind(AssertUnwindSafe(|| carry_out(job, Some(&db))));
        }
    }
}
