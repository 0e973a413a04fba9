//! The store: its settings, and its queues with their connections.

use std::fmt;
use std::time::Duration;

use refinery::Migration;
use sqlx::PgPool;
use tenure_store::{Error, Result};
use tokio::sync::{Mutex, mpsc};
use tokio::time::timeout;

use crate::access::{LOAD, TOUCH};
use crate::create::CREATE;
use crate::end::{DISCARD, END};
use crate::link::{Link, open};
use crate::migrate::{check, known, latest, migrate};
use crate::options::{PostgresOptions, Source};
use crate::queue::Queue;
use crate::update::UPDATE;
use crate::worker::Worker;

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
    /// Closed once the last connection is.
    presence: Mutex<mpsc::Receiver<()>>,
}

/// How long a write waits to go along with the next after one that is under way: one flush of
/// the log, and one statement, for all of them cost the server less than two. Longer than
/// these take as a rule, and shorter than anybody notices.
const PATIENCE: Duration = Duration::from_millis(5);
/// What reads gains nothing by it.
const AT_ONCE: Duration = Duration::ZERO;

/// What the connections that read, write, and do the rest are to know beforehand.
const READING: &[&str] = &[LOAD];
const WRITING: &[&str] = &[TOUCH, UPDATE, CREATE, END, DISCARD];

impl PostgresStore {
    /// Connects, and brings the schema up to date if the options name a URL; if they have a
    /// pool, it is only checked. A URL will do for the options.
    ///
    /// To be called inside a Tokio runtime with its timer and its input and output on, and
    /// the store's methods in the same one.
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

        let (present, presence) = mpsc::channel(1);
        Ok(Self {
            payload_limit: options.payload_limit,
            schema_expected: latest(migrations),
            reads: serve(&options, options.readers, READING, AT_ONCE, &present).await?,
            writes: serve(&options, options.writers, WRITING, PATIENCE, &present).await?,
            chores: serve(&options, 1, &[], AT_ONCE, &present).await?,
            presence: Mutex::new(presence),
        })
    }

    /// Lets nothing more in, and waits until what was accepted is done.
    pub(crate) async fn stop(&self) {
        self.reads.close();
        self.writes.close();
        self.chores.close();
        // Nothing is ever sent.
        self.presence.lock().await.recv().await;
    }
}

/// A queue, and so many connections that serve it, which are there already.
async fn serve(
    options: &PostgresOptions,
    connections: usize,
    prepared: &'static [&'static str],
    patience: Duration,
    present: &mpsc::Sender<()>,
) -> Result<Queue> {
    let mut workers = Vec::with_capacity(connections);
    for _ in 0..connections {
        let mut link = Link::new(options, prepared);
        in_time(options, link.db()).await?;
        workers.push(Worker::new(link, options.deadline, present.clone()));
    }
    let (length, deadline) = (options.queue_length, options.deadline);
    Ok(Queue::new(workers, length, patience, deadline))
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
