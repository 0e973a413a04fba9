//! The connections that read, and the callers that share them. Each reading statement sees
//! all that was committed before it.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tenure_store::{Error, ErrorKind, Result};
use tokio::sync::{Semaphore, SemaphorePermit};
use tokio::task::spawn_blocking;
use tokio::time::timeout;

use crate::db::Db;
use crate::error::was_busy;
use crate::job::Operation;
use crate::options::SqliteOptions;
use crate::shared::Shared;
use crate::writes::{closed, too_late, too_many};

pub(crate) struct Reads {
    pool: Arc<Pool>,
    connections: u32,
    /// How many callers wait for a connection, and how many may.
    waiting: AtomicUsize,
    length: usize,
    deadline: Duration,
    /// What quick reads share with the writer, if they run where they are asked for.
    shared: Option<Arc<Shared>>,
}

/// The connections that nobody uses. There is a permit for each.
struct Pool {
    idle: Mutex<Vec<Db>>,
    permits: Semaphore,
}

/// A connection in use; it goes back by itself.
struct Borrowed {
    db: Option<Db>,
    pool: Arc<Pool>,
}

impl Reads {
    pub(crate) fn open(options: &SqliteOptions, shared: &Arc<Shared>) -> Result<Self> {
        let idle: Vec<Db> = (0..options.readers)
            .map(|_| Db::reading(options))
            .collect::<Result<_>>()?;
        let connections = u32::try_from(idle.len())
            .map_err(|_| Error::new(ErrorKind::Misconfigured, "readers: fewer will do"))?;
        Ok(Self {
            pool: Arc::new(Pool {
                permits: Semaphore::new(idle.len()),
                idle: Mutex::new(idle),
            }),
            connections,
            waiting: AtomicUsize::new(0),
            length: options.queue_length,
            deadline: options.deadline,
            shared: options.in_place.then(|| Arc::clone(shared)),
        })
    }

    /// Reads what is quickly read: a row or two.
    pub(crate) async fn quick<O: Operation + Clone>(&self, operation: O) -> Result<O::Answer> {
        if let Some(shared) = &self.shared {
            match shared.read(operation.clone()).await {
                Ok(Some(answer)) => return Ok(answer),
                // The writer waits for the disk.
                Ok(None) => {}
                // Somebody mends the log after a crash: that takes longer.
                Err(error) if was_busy(&error) => {}
                Err(error) => return Err(error),
            }
        }
        self.aside(operation).await
    }

    /// Reads on a thread that may take its time.
    pub(crate) async fn aside<O: Operation>(&self, operation: O) -> Result<O::Answer> {
        let borrowed = self.connection().await?;
        let deadline = self.deadline;
        let reading = spawn_blocking(move || borrowed.run(&operation, deadline));
        match timeout(deadline, reading).await {
            Ok(Ok(answered)) => answered,
            Ok(Err(_)) => Err(Error::unavailable("the runtime shuts down")),
            Err(_) => Err(too_late(deadline)),
        }
    }

    async fn connection(&self) -> Result<Borrowed> {
        let permit = match self.pool.permits.try_acquire() {
            Ok(permit) => permit,
            Err(_) => self.wait().await?,
        };
        permit.forget();
        let db = self.pool.idle().pop();
        let pool = Arc::clone(&self.pool);
        Ok(Borrowed { db, pool })
    }

    async fn wait(&self) -> Result<SemaphorePermit<'_>> {
        let _place = Place::among(&self.waiting, self.length)?;
        match timeout(self.deadline, self.pool.permits.acquire()).await {
            Ok(Ok(permit)) => Ok(permit),
            Ok(Err(_)) => Err(closed()),
            Err(_) => Err(too_late(self.deadline)),
        }
    }

    /// Lets nothing more in, and waits until what was accepted is done.
    pub(crate) async fn close(&self) {
        // An error says that it was closed before.
        if self
            .pool
            .permits
            .acquire_many(self.connections)
            .await
            .is_ok()
        {
            self.pool.permits.close();
            self.pool.idle().clear();
        }
    }
}

impl Pool {
    fn idle(&self) -> MutexGuard<'_, Vec<Db>> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Borrowed {
    fn run<O: Operation>(&self, operation: &O, patience: Duration) -> Result<O::Answer> {
        let db = self.db.as_ref().ok_or_else(closed)?;
        db.wait_for_locks(patience)?;
        operation.run(db)
    }
}

impl Drop for Borrowed {
    fn drop(&mut self) {
        self.pool.idle().extend(self.db.take());
        self.pool.permits.add_permits(1);
    }
}

/// A place in the queue; it is free again by itself.
struct Place<'a>(&'a AtomicUsize);

impl<'a> Place<'a> {
    fn among(waiting: &'a AtomicUsize, length: usize) -> Result<Self> {
        let place = Self(waiting);
        if waiting.fetch_add(1, Ordering::Relaxed) >= length {
            return Err(too_many());
        }
        Ok(place)
    }
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}
