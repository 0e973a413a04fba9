//! What can be set, and where each setting ends up.

use std::fmt;
use std::time::Duration;

use sqlx::PgPool;
use tenure_store::{Error, ErrorKind, Result};

/// Whether something between the store and the server hands out connections anew for each
/// transaction.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Pooling {
    /// Nothing does: a connection is the store's own for as long as it lasts. Also for
    /// pgbouncer's session mode.
    #[default]
    Session,
    /// pgbouncer does, with `pool_mode = transaction`: each statement is prepared anew inside
    /// a transaction of its own. Costs three more round trips for each.
    Transaction,
}

/// Where the database is, and how to work with it.
///
/// `Debug` shows neither the URL nor its password.
///
/// ```
/// use std::time::Duration;
/// use tenure_postgres::PostgresOptions;
///
/// let options = PostgresOptions::new("postgres://portal:secret@db/portal")
///     .writers(4)
///     .deadline(Duration::from_millis(500));
/// assert!(!format!("{options:?}").contains("secret"));
/// ```
#[derive(Clone)]
pub struct PostgresOptions {
    pub(crate) source: Source,
    pub(crate) pooling: Pooling,
    pub(crate) payload_limit: usize,
    pub(crate) deadline: Duration,
    pub(crate) queue_length: usize,
    pub(crate) readers: usize,
    pub(crate) writers: usize,
}

/// Where connections come from.
#[derive(Clone)]
pub(crate) enum Source {
    /// A URL, checked when it is used.
    Url(Box<str>),
    /// The service's own pool; what is taken of it is kept.
    Pool(PgPool),
}

impl PostgresOptions {
    /// The default settings, for the database with this URL:
    /// `postgres://user:password@host:port/database?sslmode=require`. What is left out comes
    /// from the environment, as with `psql` (`PGHOST`, `PGPASSWORD`, …).
    pub fn new(url: impl Into<Box<str>>) -> Self {
        Self::of(Source::Url(url.into()))
    }

    /// The default settings, for connections of this pool. As many as there are
    /// [readers](Self::readers) and [writers](Self::writers), and two more, are taken from it
    /// and kept, so it has to be larger than that; they come back closed.
    pub fn with_pool(pool: PgPool) -> Self {
        Self::of(Source::Pool(pool))
    }

    fn of(source: Source) -> Self {
        Self {
            source,
            pooling: Pooling::Session,
            payload_limit: 1_048_576,
            deadline: Duration::from_secs(2),
            queue_length: 1024,
            readers: 2,
            writers: 2,
        }
    }

    /// Whether a pooler is in between; [`Pooling::Session`] unless set.
    #[must_use]
    pub fn pooling(self, pooling: Pooling) -> Self {
        Self { pooling, ..self }
    }

    /// The largest payload, in bytes; 1,048,576 unless set, at most 268,435,456. A larger one
    /// is `TooLarge`.
    #[must_use]
    pub fn payload_limit(self, bytes: usize) -> Self {
        Self {
            payload_limit: bytes,
            ..self
        }
    }

    /// How long each step of an operation may take, its wait in the queue included, before it
    /// is `Unavailable`; 2 s unless set, at least 1 ms, at most a day. The server gives up a
    /// statement after the same time.
    #[must_use]
    pub fn deadline(self, deadline: Duration) -> Self {
        Self { deadline, ..self }
    }

    /// How many operations may wait in each of the four queues; 1024 unless set. One more is
    /// `Unavailable` at once.
    #[must_use]
    pub fn queue_length(self, operations: usize) -> Self {
        Self {
            queue_length: operations,
            ..self
        }
    }

    /// How many connections read sessions; 2 unless set.
    #[must_use]
    pub fn readers(self, connections: usize) -> Self {
        Self {
            readers: connections,
            ..self
        }
    }

    /// How many connections write them; 2 unless set. All but one are for what would wait more
    /// than 5 ms: more only help where the log is flushed slowly and much waits.
    #[must_use]
    pub fn writers(self, connections: usize) -> Self {
        Self {
            writers: connections,
            ..self
        }
    }

    pub(crate) fn validate(&self) -> Result<()> {
        let fault = if self.readers == 0 || self.writers == 0 {
            "readers or writers is 0: give at least one connection to each"
        } else if self.queue_length == 0 {
            "queue_length is 0: let at least one operation wait"
        } else if self.deadline.as_millis() == 0 || self.deadline > Duration::from_hours(24) {
            "deadline is not between 1 ms and a day: give operations time, 2 s by default"
        } else if self.payload_limit > 1 << 28 {
            "payload_limit is more than PostgreSQL takes well: set at most 268,435,456 bytes"
        } else if self.pool_is_too_small() {
            "the pool is not larger than the connections that the store keeps: raise its \
             max_connections, or take fewer readers and writers"
        } else {
            return Ok(());
        };
        Err(misconfigured(fault))
    }

    fn pool_is_too_small(&self) -> bool {
        let kept = self.readers + self.writers + 2;
        match &self.source {
            Source::Url(_) => false,
            Source::Pool(pool) => {
                usize::try_from(pool.options().get_max_connections()).unwrap_or(0) <= kept
            }
        }
    }
}

impl fmt::Debug for PostgresOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PostgresOptions")
            .field("pooling", &self.pooling)
            .field("payload_limit", &self.payload_limit)
            .field("deadline", &self.deadline)
            .field("queue_length", &self.queue_length)
            .field("readers", &self.readers)
            .field("writers", &self.writers)
            .finish_non_exhaustive()
    }
}

impl From<&str> for PostgresOptions {
    fn from(url: &str) -> Self {
        Self::new(url)
    }
}

fn misconfigured(message: &str) -> Error {
    Error::new(ErrorKind::Misconfigured, message)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::address::address;

    #[test]
    fn a_setting_out_of_range_is_refused() {
        let options = || PostgresOptions::new("postgres://localhost/portal");
        assert!(options().validate().is_ok());
        for bad in [
            options().readers(0),
            options().writers(0),
            options().queue_length(0),
            options().deadline(Duration::ZERO),
            options().deadline(Duration::from_micros(999)),
            options().deadline(Duration::from_hours(25)),
            options().payload_limit((1 << 28) + 1),
        ] {
            let error = bad.validate().expect_err("out of range");
            assert_eq!(error.kind(), ErrorKind::Misconfigured, "{bad:?}");
        }
    }

    #[test]
    fn neither_debug_nor_an_error_shows_the_url() {
        let options = PostgresOptions::new("postgres://portal:hush@[/portal");
        assert!(!format!("{options:?}").contains("hush"));
        let error = address("postgres://portal:hush@[/portal").expect_err("no URL");
        assert!(!format!("{error:?} {error}").contains("hush"), "{error:?}");
    }
}
