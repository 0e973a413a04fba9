//! A connection that is kept: opened, set up, looked at after a quiet time, and opened anew
//! after it broke.

use std::sync::Arc;
use std::time::Duration;

use sqlx::{ConnectOptions, Executor};
use tenure_store::Result;
use tokio::time::{Instant, timeout};

use crate::address::address;
use crate::db::{Connection, Db};
use crate::error::from_driver;
use crate::home::Home;
use crate::options::{Pooling, PostgresOptions, Source};
use crate::settings::{Settings, ask_again};

/// A connection that was not used for so long is looked at before it is relied upon: it may have
/// died, or been ended for its idleness, and a write that finds that out has failed.
const QUIET: Duration = Duration::from_millis(500);

pub(crate) struct Link {
    source: Source,
    pooling: Pooling,
    deadline: Duration,
    settings: Arc<Settings>,
    /// Statements that the server is to know before the first call needs them, so that this
    /// one costs no more round trips than the next.
    prepared: &'static [&'static str],
    open: Option<Open>,
}

/// A connection that is there, which may have broken unnoticed.
struct Open {
    db: Db,
    home: Home,
    used: Instant,
}

impl Link {
    /// Not connected yet.
    pub(crate) fn new(
        options: &PostgresOptions,
        settings: &Arc<Settings>,
        prepared: &'static [&'static str],
    ) -> Self {
        Self {
            source: options.source.clone(),
            pooling: options.pooling,
            deadline: options.deadline,
            settings: Arc::clone(settings),
            prepared,
            open: None,
        }
    }

    pub(crate) async fn db(&mut self) -> Result<&mut Db> {
        let open = match self.still_open().await {
            Some(open) => open,
            None => self.connect().await?,
        };
        Ok(&mut self.open.insert(open).db)
    }

    /// Whether a connection is there.
    pub(crate) fn is_open(&self) -> bool {
        self.open.is_some()
    }

    /// It has answered just now.
    pub(crate) fn used(&mut self) {
        if let Some(open) = &mut self.open {
            open.used = Instant::now();
        }
    }

    /// Takes leave of the server. The next use connects anew.
    pub(crate) async fn close(&mut self) {
        if let Some(open) = self.open.take() {
            if open.home.is_gone() {
                open.db.abandon();
            } else {
                open.db.close().await;
            }
        }
    }

    /// Forgets the connection, in whatever state it is. The next use connects anew.
    pub(crate) fn abandon(&mut self) {
        if let Some(open) = self.open.take() {
            open.db.abandon();
        }
    }

    /// The connection, if it is there and can be relied upon.
    async fn still_open(&mut self) -> Option<Open> {
        let mut open = self.open.take()?;
        let is_quiet = open.used.elapsed() >= QUIET;
        let is_good = !open.home.is_gone()
            && (!is_quiet || {
                // A part of the deadline, so that a new one can be made in the rest.
                let asked = timeout(self.deadline / 4, ask_again(open.db.driver())).await;
                matches!(asked, Ok(Ok(())))
            });
        if is_good {
            return Some(open);
        }
        open.db.abandon();
        None
    }

    async fn connect(&self) -> Result<Open> {
        let mut db = open(&self.source, self.pooling, Some(&self.settings)).await?;
        if self.pooling == Pooling::Session {
            self.settings.set_up(db.driver()).await?;
            for sql in self.prepared {
                let prepared = db.driver().prepare(sqlx::SqlStr::from_static(sql)).await;
                prepared.map_err(from_driver)?;
            }
        }
        Ok(Open {
            db,
            home: Home::here(),
            used: Instant::now(),
        })
    }
}

/// A connection as the server gives it.
pub(crate) async fn open(
    source: &Source,
    pooling: Pooling,
    settings: Option<&Settings>,
) -> Result<Db> {
    let connection = match source {
        Source::Url(url) => address(url)?.connect().await.map(Connection::Own),
        Source::Pool(pool) => pool.acquire().await.map(Connection::Pooled),
    };
    let connection = connection.map_err(from_driver)?;
    Ok(Db::new(connection, pooling, settings))
}
