//! A connection as operations see it: statements in, rows or the contract's errors out.

use sqlx::pool::PoolConnection;
use sqlx::postgres::{PgArguments, PgRow};
use sqlx::query::Query;
use sqlx::{Connection as _, Executor, PgConnection, Postgres, SqlSafeStr};
use tenure_store::Result;

use crate::error::from_driver;
use crate::options::Pooling;
use crate::settings::{Settings, ask};

/// A statement with its values.
pub(crate) type Statement<'q> = Query<'q, Postgres, PgArguments>;

pub(crate) struct Db {
    connection: Connection,
    pooling: Pooling,
    /// Begins a transaction on what a pooler gives for it.
    begin: Option<String>,
}

/// A connection, wherever it is from.
pub(crate) enum Connection {
    Own(PgConnection),
    Pooled(PoolConnection<Postgres>),
}

impl Db {
    pub(crate) fn new(
        connection: Connection,
        pooling: Pooling,
        settings: Option<&Settings>,
    ) -> Self {
        let settings = settings.filter(|_| pooling == Pooling::Transaction);
        Self {
            connection,
            pooling,
            begin: settings.map(Settings::begin),
        }
    }

    /// Begins a transaction.
    pub(crate) async fn begin(&mut self) -> Result<()> {
        match self.begin.clone() {
            Some(begin) => ask(self.driver(), begin).await,
            None => self.simply("BEGIN ISOLATION LEVEL READ COMMITTED").await,
        }
    }

    /// Whether a pooler may give the server connection to others between transactions.
    pub(crate) fn is_pooled_by_transaction(&self) -> bool {
        self.pooling == Pooling::Transaction
    }

    /// All rows of a statement.
    pub(crate) async fn rows(&mut self, statement: Statement<'_>) -> Result<Vec<PgRow>> {
        let statement = self.prepared_or_not(statement);
        statement
            .fetch_all(self.driver())
            .await
            .map_err(from_driver)
    }

    /// The one row that a statement gives.
    pub(crate) async fn row(&mut self, statement: Statement<'_>) -> Result<PgRow> {
        let statement = self.prepared_or_not(statement);
        statement
            .fetch_one(self.driver())
            .await
            .map_err(from_driver)
    }

    /// How many rows a statement wrote.
    pub(crate) async fn run(&mut self, statement: Statement<'_>) -> Result<u64> {
        let statement = self.prepared_or_not(statement);
        let done = statement.execute(self.driver()).await;
        Ok(done.map_err(from_driver)?.rows_affected())
    }

    /// Has statements without values carried out, in one round trip.
    pub(crate) async fn simply(&mut self, sql: impl SqlSafeStr + Send) -> Result<()> {
        self.driver().execute(sql).await.map_err(from_driver)?;
        Ok(())
    }

    /// The connection as sqlx has it.
    pub(crate) fn driver(&mut self) -> &mut PgConnection {
        match &mut self.connection {
            Connection::Own(connection) => connection,
            Connection::Pooled(connection) => connection,
        }
    }

    /// Takes leave of the server.
    pub(crate) async fn close(self) {
        let closed = match self.connection {
            Connection::Own(connection) => connection.close().await,
            Connection::Pooled(connection) => connection.close().await,
        };
        if let Err(error) = closed {
            tracing::debug!(%error, "a connection to the session database broke");
        }
    }

    /// Drops the connection as it is: nobody may wait for an answer on it any more, nor get
    /// it from a pool.
    pub(crate) fn abandon(self) {
        if let Connection::Pooled(connection) = self.connection {
            drop(connection.detach());
        }
    }

    /// What the server prepared on one connection is unknown on the next.
    fn prepared_or_not<'q>(&self, statement: Statement<'q>) -> Statement<'q> {
        statement.persistent(!self.is_pooled_by_transaction())
    }
}
