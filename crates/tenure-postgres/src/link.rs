//! A connection that is kept: opened, set up, and opened anew after it broke.

use std::time::Duration;

use sqlx::{AssertSqlSafe, ConnectOptions, Executor};
use tenure_store::Result;

use crate::db::{Connection, Db};
use crate::error::from_driver;
use crate::options::{Pooling, PostgresOptions, Source, address};

pub(crate) struct Link {
    source: Source,
    pooling: Pooling,
    deadline: Duration,
    /// Statements that the server is to know before the first call needs them, so that this
    /// one costs no more round trips than the next.
    prepared: &'static [&'static str],
    db: Option<Db>,
}

impl Link {
    /// Not connected yet.
    pub(crate) fn new(options: &PostgresOptions, prepared: &'static [&'static str]) -> Self {
        Self {
            source: options.source.clone(),
            pooling: options.pooling,
            deadline: options.deadline,
            prepared,
            db: None,
        }
    }

    pub(crate) async fn db(&mut self) -> Result<&mut Db> {
        let db = match self.db.take() {
            Some(db) => db,
            None => self.open().await?,
        };
        Ok(self.db.insert(db))
    }

    /// Whether a connection is there, which may have broken unnoticed.
    pub(crate) fn is_open(&self) -> bool {
        self.db.is_some()
    }

    /// Takes leave of the server. The next use connects anew.
    pub(crate) async fn close(&mut self) {
        if let Some(db) = self.db.take() {
            db.close().await;
        }
    }

    /// Forgets the connection, in whatever state it is. The next use connects anew.
    pub(crate) fn abandon(&mut self) {
        if let Some(db) = self.db.take() {
            db.abandon();
        }
    }

    async fn open(&self) -> Result<Db> {
        let mut db = open(&self.source, self.pooling).await?;
        if self.pooling == Pooling::Session {
            self.set_up(&mut db).await?;
        }
        Ok(db)
    }

    /// Every statement of the store goes by an index, joins few rows to many, and is prepared
    /// once: the planner is told so, for it would guess from the table as it was when it first
    /// planned. What the server's administrator has set is not relied upon.
    async fn set_up(&self, db: &mut Db) -> Result<()> {
        let deadline = self.deadline.as_millis();
        let settings = format!(
            "SET default_transaction_isolation = 'read committed'; SET statement_timeout = \
             {deadline}; SET plan_cache_mode = force_generic_plan; SET enable_seqscan = off; \
             SET enable_bitmapscan = off; SET enable_hashjoin = off; \
             SET enable_mergejoin = off; SET jit = off"
        );
        let driver = db.driver();
        driver
            .execute(AssertSqlSafe(settings))
            .await
            .map_err(from_driver)?;
        for sql in self.prepared {
            driver
                .prepare(sqlx::SqlStr::from_static(sql))
                .await
                .map_err(from_driver)?;
        }
        Ok(())
    }
}

/// A connection as the server gives it.
pub(crate) async fn open(source: &Source, pooling: Pooling) -> Result<Db> {
    let connection = match source {
        Source::Url(url) => address(url)?.connect().await.map(Connection::Own),
        Source::Pool(pool) => pool.acquire().await.map(Connection::Pooled),
    };
    Ok(Db::new(connection.map_err(from_driver)?, pooling))
}
