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
use crate::link::{Link, open};
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
        let mut db = in_time(&options, open(&options.source, options.pooling)).await?;
        match options.source {
            Source::Url(_) => migrate(&mut db, migrations).await?,
            Source::Pool(_) => check(&mut db, migrations).await?,
        }
        db.close().await;

        let mut tasks = Vec::new();
        Ok(Self {
            payload_limit: options.payload_limit,
            schema_expected: latest(migrations),
            reads: serve(&options, options.readers, READING, &mut tasks).await?,
            writes: serve(&options, options.writers, WRITING, &mut tasks).await?,
            chores: serve(&options, 1, &[], &mut tasks).await?,
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

/// A queue, and so many tasks that serve it, each with a connection that is there already.
async fn serve(
    options: &PostgresOptions,
    workers: usize,
    prepared: &'static [&'static str],
    tasks: &mut Vec<JoinHandle<()>>,
) -> Result<Queue> {
    let (queue, intake) = Queue::new(options.queue_length, options.deadline);
    for _ in 0..workers {
        let mut link = Link::new(options, prepared);
        in_time(options, link.db()).await?;
        let work = work(Arc::clone(&intake), link, options.deadline);
        tasks.push(tokio::spawn(work));
    }
    Ok(queue)
}

async fn in_time<T>(
    options: &PostgresOptions,
    connecting: impl Future<Output = Result<T>>,
) -> Result<T> {
    timeout(options.deadline, connecting)
        .await
        .unwrap_or_else(|_| {
            Err(Error::unavailable(format!(
                "no connection within {} ms",
                options.deadline.as_millis()
            )))
        })
}

impl fmt::Debug for PostgresStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PostgresStore").finish_non_exhaustive()
    }
}
