//! The store: its settings, and its queues with their connections.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use refinery::Migration;
use sqlx::PgPool;
use tenure_store::{Error, Result};
use tokio::sync::{Mutex, mpsc};
use tokio::time::timeout;

use crate::access::{LOAD, TOUCH};
use crate::create::CREATE;
use crate::end::{DISCARD, END};
use crate::error::at_the_start;
use crate::floors::Known;
use crate::link::{Link, open};
use crate::migrate::{self, check, known, latest, migrate};
use crate::options::{PostgresOptions, Source};
use crate::queue::Queue;
use crate::schema::find;
use crate::settings::Settings;
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
    /// What reapers do, and operators to one session; which may take longer.
    pub(crate) chores: Queue,
    /// What looks at many sessions because an operator asks. No lease waits for it.
    pub(crate) walks: Queue,
    deadline: Duration,
    pub(crate) known: Known,
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
    /// To be called inside a Tokio runtime with its timer and its input and output on, as are
    /// the store's methods. Any runtime will do for these: connections that went with another are
    /// made anew. What is under way on a runtime when it ends is `Unavailable`.
    ///
    /// # Errors
    /// - `Misconfigured`: the URL, the user, the database, its encoding, its `search_path` or
    ///   the server is not fit, or a setting is out of range;
    /// - `SchemaMismatch`: a newer version has migrated it, somebody changed the schema by
    ///   hand, or it is older than this version and may only be checked;
    /// - `Unavailable`: the server cannot be reached; another start has been migrating the
    ///   schema for 30 s and is not through; or others kept using a table that a migration
    ///   changes, as a backup does.
    pub async fn connect(options: impl Into<PostgresOptions>) -> Result<Self> {
        Self::connect_with(options.into(), &known(), migrate::PATIENCE).await
    }

    /// A store on connections of the service's own pool, with the default settings. Changes
    /// no schema: [`connect`](Self::connect) with a URL once, to migrate.
    ///
    /// # Errors
    /// As [`connect`](Self::connect).
    pub async fn new(pool: PgPool) -> Result<Self> {
        Self::connect(PostgresOptions::with_pool(pool)).await
    }

    /// The same with other migrations, so that a test can have one more than there are, and
    /// another time that a start waits for others.
    pub(crate) async fn connect_with(
        options: PostgresOptions,
        migrations: &[Migration],
        patience: Duration,
    ) -> Result<Self> {
        options.validate()?;
        // Not set up as the others are: here statements may take their time.
        let (mut db, schema) = in_time(&options, async {
            let mut db = open(&options.source, options.pooling, None).await?;
            let schema = find(&mut db).await?;
            Ok((db, schema))
        })
        .await
        .map_err(at_the_start)?;
        match options.source {
            Source::Url(_) => migrate(&mut db, &schema, migrations, patience).await?,
            Source::Pool(_) => check(&mut db, &schema, migrations).await?,
        }
        db.close().await;

        let settings = Arc::new(Settings::new(options.deadline, &schema));
        let (present, presence) = mpsc::channel(1);
        let serve = async |connections, prepared, patience| {
            serve(
                &options,
                &settings,
                connections,
                prepared,
                patience,
                &present,
            )
            .await
        };
        Ok(Self {
            payload_limit: options.payload_limit,
            schema_expected: latest(migrations),
            deadline: options.deadline,
            known: Known::new(options.deadline),
            reads: serve(options.readers, READING, AT_ONCE).await?,
            writes: serve(options.writers, WRITING, PATIENCE).await?,
            chores: serve(1, &[], AT_ONCE).await?,
            walks: serve(1, &[], AT_ONCE).await?,
            presence: Mutex::new(presence),
        })
    }

    /// Lets nothing more in, and waits until what was accepted is done: no longer than its
    /// callers do.
    pub(crate) async fn stop(&self) -> Result<()> {
        let queues = [&self.reads, &self.writes, &self.chores, &self.walks];
        for queue in queues {
            queue.close();
        }
        // Nothing is ever sent.
        let closed = async { self.presence.lock().await.recv().await };
        if timeout(self.deadline * 2, closed).await.is_ok() {
            return Ok(());
        }
        for queue in queues {
            queue.give_up();
        }
        Err(Error::unavailable(format!(
            "the server had not answered all that was accepted {} ms after the store was closed",
            self.deadline.as_millis() * 2
        )))
    }
}

/// A queue, and so many connections that serve it, which are there already.
async fn serve(
    options: &PostgresOptions,
    settings: &Arc<Settings>,
    connections: usize,
    prepared: &'static [&'static str],
    patience: Duration,
    present: &mpsc::Sender<()>,
) -> Result<Queue> {
    let mut workers = Vec::with_capacity(connections);
    for _ in 0..connections {
        let mut link = Link::new(options, settings, prepared);
        in_time(options, link.db()).await?;
        workers.push(Worker::new(link, options.deadline, present.clone()));
    }
    let (length, deadline) = (options.queue_length, options.deadline);
    let pooling = options.pooling;
    Ok(Queue::new(workers, length, patience, deadline, pooling))
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
