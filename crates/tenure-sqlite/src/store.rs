//! The store: its settings, its writer, and its connections that read.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use refinery::Migration;
use tenure_store::{Error, Result};
use tokio::sync::watch;
use tokio::task::spawn_blocking;
use tokio::time::timeout;

use crate::db::Db;
use crate::file;
use crate::identity::Files;
use crate::migrate::{known, latest, migrate};
use crate::options::SqliteOptions;
use crate::queue::Queue;
use crate::reads::Reads;
use crate::shared::Shared;
use crate::thread::spawn;
use crate::writer::Writer;

/// What closing may take beyond the deadline: the log is carried over to the database then.
const CLOSING: Duration = Duration::from_secs(10);

/// Sessions in a SQLite file. See the [crate's documentation](crate).
pub struct SqliteStore {
    pub(crate) options: SqliteOptions,
    pub(crate) files: Arc<Files>,
    pub(crate) schema_expected: u32,
    pub(crate) writes: Queue,
    pub(crate) reads: Reads,
    /// Closed by the writer's end.
    writer: watch::Receiver<()>,
}

impl SqliteStore {
    /// Opens the database, makes it if there is none, and brings its schema up to date.
    /// Any number of processes may do so at once. A path will do for the options.
    ///
    /// To be called inside a Tokio runtime with its timer on, and the store's methods too.
    ///
    /// # Errors
    /// - `Misconfigured`: it is not a file, may not be written, its folder does not exist, it has
    ///   a second name or is mounted without its folder, it holds something else's tables, or a
    ///   setting is out of range;
    /// - `Corrupt`: it is not a SQLite database, or damaged;
    /// - `SchemaMismatch`: a newer version has migrated it, or somebody changed the schema
    ///   by hand;
    /// - `Unavailable`: others kept it locked for 30 s.
    pub async fn connect(options: impl Into<SqliteOptions>) -> Result<Self> {
        Self::connect_with(options.into(), known()).await
    }

    /// The same with other migrations, so that a test can have one more than there are.
    pub(crate) async fn connect_with(
        options: SqliteOptions,
        migrations: Vec<Migration>,
    ) -> Result<Self> {
        spawn_blocking(move || Self::start(options, &migrations))
            .await
            .unwrap_or_else(|_| Err(Error::unavailable("the runtime shuts down")))
    }

    fn start(mut options: SqliteOptions, migrations: &[Migration]) -> Result<Self> {
        options.validate()?;
        options.path = file::prepare(&options.path)?;
        let migrated = migrate(&options, migrations)?;
        let files = Arc::new(Files::of(&options.path)?);
        let shared = Shared::start(Db::writing(&options)?, &options)?;
        let reads = Reads::open(&options, &files, &shared)?;
        let writer = Writer::new(&options, &files, shared)?;
        let (writes, intake) = Queue::new(options.queue_length, options.deadline, &files);
        drop(migrated);
        let (ended, end) = watch::channel(());
        spawn("tenure-sqlite", move || {
            writer.serve(&intake);
            drop(ended);
        })?;
        Ok(Self {
            options,
            files,
            schema_expected: latest(migrations),
            writes,
            reads,
            writer: end,
        })
    }

    /// Lets nothing more in, and waits until what was accepted is done; but not for ever.
    pub(crate) async fn stop(&self) -> Result<()> {
        self.writes.close();
        self.reads.close();
        let ended = async {
            self.reads.ended().await;
            // Nothing is ever sent: the error is the writer's end.
            let _ = self.writer.clone().changed().await;
        };
        let patience = self.options.deadline + CLOSING;
        timeout(patience, ended).await.map_err(|_| {
            let millis = patience.as_millis();
            Error::unavailable(format!(
                "the store is closed, but not all that it had accepted was done within {millis} \
                 ms: it goes on with that as long as the process lives"
            ))
        })
    }
}

impl fmt::Debug for SqliteStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SqliteStore")
            .field("path", &self.options.path)
            .finish_non_exhaustive()
    }
}
