//! The store: its settings, its queues, and the tasks that serve them.

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;

use refinery::Migration;
use tenure_store::Result;
use tokio::sync::Mutex;
use tokio::task::JoinHandle;

use crate::file;
use crate::link::Link;
use crate::migrate::{known, latest, migrate};
use crate::options::SqliteOptions;
use crate::queue::Queue;
use crate::reader::read;
use crate::writer::write;

/// Sessions in a SQLite file. See the [crate's documentation](crate).
pub struct SqliteStore {
    path: PathBuf,
    pub(crate) payload_limit: usize,
    pub(crate) schema_expected: u32,
    pub(crate) writes: Queue,
    pub(crate) reads: Queue,
    tasks: Mutex<Vec<JoinHandle<()>>>,
}

impl SqliteStore {
    /// Opens the database, makes it if there is none, and brings its schema up to date.
    /// Any number of processes may do so at once. A path will do for the options.
    ///
    /// To be called inside a Tokio runtime with its timer on; the store's tasks run there.
    ///
    /// # Errors
    /// - `Misconfigured`: it is not a file, may not be written, its folder does not exist,
    ///   it holds something else's tables, or a setting is out of range;
    /// - `Corrupt`: it is not a SQLite database, or damaged;
    /// - `SchemaMismatch`: a newer version has migrated it, or somebody changed the schema
    ///   by hand;
    /// - `Unavailable`: others kept it locked for 30 s.
    pub async fn connect(options: impl Into<SqliteOptions>) -> Result<Self> {
        Self::connect_with(options.into(), &known()).await
    }

    /// The same with other migrations, so that a test can have one more than there are.
    pub(crate) async fn connect_with(
        mut options: SqliteOptions,
        migrations: &[Migration],
    ) -> Result<Self> {
        options.validate()?;
        options.path = file::prepare(&options.path)?;
        let migrated = migrate(&options, migrations).await?;

        let (length, deadline) = (options.queue_length, options.deadline);
        let (writes, to_write) = Queue::new(length, deadline);
        let (reads, to_read) = Queue::new(length, deadline);
        let link = Link::open(options.writing()).await?;
        let mut tasks = vec![tokio::spawn(write(to_write, link, deadline))];
        for _ in 0..options.readers {
            let link = Link::open(options.reading()).await?;
            tasks.push(tokio::spawn(read(Arc::clone(&to_read), link)));
        }
        drop(migrated);
        Ok(Self {
            path: options.path,
            payload_limit: options.payload_limit,
            schema_expected: latest(migrations),
            writes,
            reads,
            tasks: Mutex::new(tasks),
        })
    }

    /// Lets nothing more in, and waits until what was accepted is done.
    pub(crate) async fn stop(&self) {
        self.writes.close();
        self.reads.close();
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

impl fmt::Debug for SqliteStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SqliteStore")
            .field("path", &self.path)
            .finish_non_exhaustive()
    }
}
