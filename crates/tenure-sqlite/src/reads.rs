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
use crate::desk::Desk;
use crate::error::was_busy;
use crate::job::Operation;
use crate::options::SqliteOptions;
use crate::writes::{closed, too_late, too_many};

pub(crate) struct Reads {
    shelf: Arc<Shelf>,
    connections: u32,
    /// How many callers wait for a connection, and how many may.
    waiting: AtomicUsize,
    length: usize,
    deadline: Duration,
    desk: Option<Arc<Desk>>,
}

/// The connections that nobody uses. There is a permit for each.
struct Shelf {
    idle: Mutex<Vec<Db>>,
    permits: Semaphore,
}

/// A connection in use; it goes back by itself.
struct Lent {
    db: Option<Db>,
    shelf: Arc<Shelf>,
}

impl Reads {
    pub(crate) fn open(options: &SqliteOptions) -> Result<Self> {
        let idle: Vec<Db> = (0..options.readers)
            .map(|_| Db::reading(options))
            .collect::<Result<_>>()?;
        let connections = u32::try_from(idle.len())
            .map_err(|_| Error::new(ErrorKind::Misconfigured, "readers: fewer will do"))?;
        Ok(Self {
            shelf: Arc::new(Shelf {
                permits: Semaphore::new(idle.len()),
                idle: Mutex::new(idle),
            }),
            connections,
            waiting: AtomicUsize::new(0),
            length: options.queue_length,
            deadline: options.deadline,
            desk: options.in_place.then(|| Desk::open(options)).transpose()?,
        })
    }

    /// Reads what is quickly read: a row or two.
    pub(crate) async fn quick<O: Operation + Clone>(&self, operation: O) -> Result<O::Answer> {
        let Some(desk) = &self.desk else {
            return self.aside(operation).await;
        };
        match desk.ask(operation.clone()).await {
            Err(error) if was_busy(&error) => self.aside(operation).await,
            answered => answered,
        }
    }

    /// Reads on a thread that may take its time.
    pub(crate) async fn aside<O: Operation>(&self, operation: O) -> Result<O::Answer> {
        let lent = self.lend().await?;
        let deadline = self.deadline;
        let reading = spawn_blocking(move || lent.run(&operation, deadline));
        match timeout(deadline, reading).await {
            Ok(Ok(answered)) => answered,
            Ok(Err(_)) => Err(Error::unavailable("the runtime shuts down")),
            Err(_) => Err(too_late(deadline)),
        }
    }

    async fn lend(&self) -> Result<Lent> {
        let permit = match self.shelf.permits.try_acquire() {
            Ok(permit) => permit,
            Err(_) => self.wait().await?,
        };
        permit.forget();
        let db = self.shelf.idle().pop();
        let shelf = Arc::clone(&self.shelf);
        Ok(Lent { db, shelf })
    }

    async fn wait(&self) -> Result<SemaphorePermit<'_>> {
        let _place = Place::among(&self.waiting, self.length)?;
        match timeout(self.deadline, self.shelf.permits.acquire()).await {
            Ok(Ok(permit)) => Ok(permit),
            Ok(Err(_)) => Err(closed()),
            Err(_) => Err(too_late(self.deadline)),
        }
    }

    /// Lets nothing more in, and waits until what was accepted is done.
    pub(crate) async fn close(&self) {
        if let Some(desk) = &self.desk {
            desk.close();
        }
        // An error says that it was closed before.
        if self
            .shelf
            .permits
            .acquire_many(self.connections)
            .await
            .is_ok()
        {
            self.shelf.permits.close();
            self.shelf.idle().clear();
        }
    }
}

impl Shelf {
    fn idle(&self) -> MutexGuard<'_, Vec<Db>> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Lent {
    fn run<O: Operation>(&self, operation: &O, patience: Duration) -> Result<O::Answer> {
        let db = self.db.as_ref().ok_or_else(closed)?;
        db.wait_for_locks(patience)?;
        operation.run(db)
    }
}

impl Drop for Lent {
    fn drop(&mut self) {
        self.shelf.idle().extend(self.db.take());
        self.shelf.permits.add_permits(1);
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
