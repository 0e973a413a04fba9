//! The store: its settings, its queues, and the tasks that serve them.

use std::fmt;
use std::sync::Arc;

use refinery::Migration;
use sqlx::PgPool;
use tenure_store::{Error, Result};
use tokio::sync::Mutex;
use tokio::task::JoinHandle;
use tokio::time::timeout;

use crate::access::{LOAD, TOUCH};
use crate::create::CREATE;
use crate::end::{DISCARD, END};
use crate::link::Link;
use crate::migrate::{check, known, latest, migrate};
use crate::options::{PostgresOptions, Source};
use crate::queue::Queue;
use crate::update::UPDATE;
use crate::worker::work;

/// Sessions in PostgreSQL. See the [crate's documentation](crate).
pub struct PostgresStore {
    pub(crate) payload_limit: usize,
    pub(crate) schema_expected: u32,
    /// What requests read.
    pub(crate) reads: Queue,
    /// What requests write.
    pub(crate) writes: Queue,
    /// What reapers and operators do, which may take longer.
    pub(crate) chores: Queue,
    tasks: Mutex<Vec<JoinHandle<()>>>,
}

/// What the connections that read, write, and do the rest are to know beforehand.
const READING: &[&str] = &[LOAD];
const WRITING: &[&str] = &[TOUCH, UPDATE, CREATE, END, DISCARD];

impl PostgresStore {
    /// Connects, and brings the schema up to date if the options name a URL; if they have a
    /// pool, it is only checked. A URL will do for the options.
    ///
    /// To be called inside a Tokio runtime with its timer and its input and output on; the
    /// store's tasks run there.
    ///
    /// # Errors
    /// - `Misconfigured`: the URL, the user, the database, its encoding, its `search_path` or
    ///   the server is not fit, or a setting is out of range;
    /// - `SchemaMismatch`: a newer version has migrated it, somebody changed the schema by
    ///   hand, or it is older than this version and may only be checked;
    /// - `Unavailable`: the server cannot be reached, or others kept the schema locked for
    ///   30 s.
    pub async fn connect(options: impl Into<PostgresOptions>) -> Result<Self> {
        Self::connect_with(options.into(), &known()).await
    }

    /// A store on connections of the service's own pool, with the default settings. Changes
    /// no schema: [`connect`](Self::connect) with a URL once, to migrate.
    ///
    /// # Errors
    /// As [`connect`](Self::connect).
    pub async fn new(pool: PgPool) -> Result<Self> {
        Self::connect(PostgresOptions::with_pool(pool)).await
    }

    /// The same with other migrations, so that a test can have one more than there are.
    pub(crate) async fn connect_with(
        options: PostgresOptions,
        migrations: &[Migration],
    ) -> Result<Self> {
        options.validate()?;
        // Not set up as the others are: here statements may take their time.
        let mut first = Link::plain(&options);
        let db = timeout(options.deadline, first.db());
        let db = db.await.unwrap_or_else(|_| Err(too_late(&options)))?;
        match options.source {
            Source::Url(_) => migrate(db, migrations).await?,
            Source::Pool(_) => check(db, migrations).await?,
        }
        first.close().await;

        let (length, deadline) = (options.queue_length, options.deadline);
        let mut tasks = Vec::new();
        let mut queues = Vec::new();
        for (workers, prepared) in [
            (options.readers, READING),
            (options.writers, WRITING),
            (1, &[]),
        ] {
            let (queue, intake) = Queue::new(length, deadline);
            for _ in 0..workers {
                let mut link = Link::new(&options, prepared);
                timeout(deadline, link.db())
                    .await
                    .unwrap_or_else(|_| Err(too_late(&options)))?;
                tasks.push(tokio::spawn(work(Arc::clone(&intake), link, deadline)));
            }
            queues.push(queue);
        }
        let [reads, writes, chores] = <[Queue; 3]>::try_from(queues)
            .map_err(|_| Error::unavailable("the store could not be set up"))?;
        Ok(Self {
            payload_limit: options.payload_limit,
            schema_expected: latest(migrations),
            reads,
            writes,
            chores,
            tasks: Mutex::new(tasks),
        })
    }

    /// Lets nothing more in, and waits until what was accepted is done.
    pub(crate) async fn stop(&self) {
        self.reads.close();
        self.writes.close();
        self.chores.close();
        let mut tasks = self.tasks.lock().await;
        // Each stays in the list until it has ended, in case this caller goes away.
        while let Some(task) = tasks.last_mut() {
            if let Err(error) = task.await {
                tracing::warn!(%error, "a task of the session store broke");
            }
            tasks.pop();
        }
    }
}

fn too_late(options: &PostgresOptions) -> Error {
    Error::unavailable(format!(
        "no connection within {} ms",
        options.deadline.as_millis()
    ))
}

impl fmt::Debug for PostgresStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PostgresStore").finish_non_exhaustive()
    }
}
