//! What can be set.

use std::path::{Path, PathBuf};
use std::thread::available_parallelism;
use std::time::Duration;

use tenure_store::{Error, ErrorKind, Result};

/// How far SQLite goes before a write is acknowledged.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Synchronous {
    /// `PRAGMA synchronous=FULL`: the write is on disk, and survives a power cut.
    #[default]
    Full,
    /// `PRAGMA synchronous=NORMAL`: the operating system has it. It survives the death
    /// of the process; a power cut may take back the last seconds, but damages nothing.
    Normal,
}

impl Synchronous {
    /// SQLite's own number.
    pub(crate) fn code(self) -> u8 {
        match self {
            Self::Full => 2,
            Self::Normal => 1,
        }
    }
}

const MAX_QUEUE: usize = 1_000_000;
const MAX_READERS: usize = 1000;

/// Where the database is, and how to work with it.
///
/// ```
/// use std::time::Duration;
/// use tenure_sqlite::{SqliteOptions, Synchronous};
///
/// let options = SqliteOptions::new("/var/lib/portal/sessions.db")
///     .synchronous(Synchronous::Normal)
///     .deadline(Duration::from_millis(500));
/// ```
#[derive(Clone, Debug)]
pub struct SqliteOptions {
    pub(crate) path: PathBuf,
    pub(crate) synchronous: Synchronous,
    pub(crate) payload_limit: usize,
    pub(crate) deadline: Duration,
    pub(crate) queue_length: usize,
    pub(crate) readers: usize,
    pub(crate) in_place: bool,
    pub(crate) max_page_count: Option<u32>,
}

impl SqliteOptions {
    /// The default settings, for the database in this file. It is made, readable by its
    /// owner alone (mode 0600), if it does not exist; its folder is not.
    pub fn new(path: impl Into<PathBuf>) -> Self {
        Self {
            path: path.into(),
            synchronous: Synchronous::Full,
            payload_limit: 1_048_576,
            deadline: Duration::from_secs(2),
            queue_length: 1024,
            readers: available_parallelism().map_or(2, usize::from).clamp(2, 8),
            in_place: true,
            max_page_count: None,
        }
    }

    /// How durable an acknowledged write is; `FULL` unless set.
    #[must_use]
    pub fn synchronous(self, synchronous: Synchronous) -> Self {
        Self {
            synchronous,
            ..self
        }
    }

    /// The largest payload, in bytes; 1,048,576 unless set, at most 536,870,912. A
    /// larger one is `TooLarge`.
    #[must_use]
    pub fn payload_limit(self, bytes: usize) -> Self {
        Self {
            payload_limit: bytes,
            ..self
        }
    }

    /// How long each step of an operation may take, its wait in the queue included,
    /// before it is `Unavailable`; 2 s unless set, at most a day. Also how long the writer
    /// waits for the lock of another process. A load [in place](Self::load_in_place) takes
    /// what the disk takes. Closing the store takes at most 10 s longer.
    #[must_use]
    pub fn deadline(self, deadline: Duration) -> Self {
        Self { deadline, ..self }
    }

    /// How many operations may wait for the writer, as many loads for a connection, and as many
    /// lists and counts for theirs; 1024 unless set, at most 1,000,000. One more is `Unavailable`
    /// at once.
    #[must_use]
    pub fn queue_length(self, operations: usize) -> Self {
        Self {
            queue_length: operations,
            ..self
        }
    }

    /// How many connections load, each with a thread; as many as there are cores, but 2 to 8,
    /// unless set, at most 1,000. As many again, but two at most, are for lists and counts.
    #[must_use]
    pub fn readers(self, connections: usize) -> Self {
        Self {
            readers: connections,
            ..self
        }
    }

    /// Whether loads run on the thread that asks, as a look into a map would; so they do
    /// unless set.
    ///
    /// What is in the operating system's page cache is read in some 10 µs, a tenth of what a
    /// thread's help costs; up to 128 MiB of it are kept closer still, in this process's
    /// memory. What is in neither has to come from the disk, and the runtime's worker waits for
    /// it: turn this off where the database is larger than the memory that is left for the
    /// cache, or its disk is slow. A load that meets a transaction waits for it, but has a
    /// thread's help after a millisecond. Reading what takes longer by its nature, such as
    /// lists, has Tokio's blocking threads in any case.
    #[must_use]
    pub fn load_in_place(self, in_place: bool) -> Self {
        Self { in_place, ..self }
    }

    /// The largest size of the database, in pages of 4096 bytes; unlimited unless set.
    /// A write that would need more fails with `Other` and changes nothing.
    #[must_use]
    pub fn max_page_count(self, pages: u32) -> Self {
        Self {
            max_page_count: Some(pages),
            ..self
        }
    }

    pub(crate) fn validate(&self) -> Result<()> {
        let fault = if self.readers == 0 {
            "readers is 0: give at least one connection that reads"
        } else if self.queue_length == 0 {
            "queue_length is 0: let at least one operation wait"
        } else if self.queue_length > MAX_QUEUE || self.readers > MAX_READERS {
            "queue_length or readers is more than can be of use: at most 1,000,000 operations \
             wait, and 1,000 connections read"
        } else if self.deadline.is_zero() || self.deadline > Duration::from_hours(24) {
            "deadline is not between nothing and a day: give operations time, 2 s by default"
        } else if self.payload_limit > 1 << 29 {
            "payload_limit is more than SQLite takes: set at most 536,870,912 bytes"
        } else {
            return Ok(());
        };
        Err(Error::new(ErrorKind::Misconfigured, fault))
    }
}

impl From<&str> for SqliteOptions {
    fn from(path: &str) -> Self {
        Self::new(path)
    }
}

impl From<&Path> for SqliteOptions {
    fn from(path: &Path) -> Self {
        Self::new(path)
    }
}

impl From<PathBuf> for SqliteOptions {
    fn from(path: PathBuf) -> Self {
        Self::new(path)
    }
}
