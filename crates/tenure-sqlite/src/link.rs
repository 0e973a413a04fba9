//! A connection that a task keeps. After any failure it is closed and opened anew: the
//! one way to be sure that no transaction is left open on it.

use sqlx::sqlite::SqliteConnectOptions;
use sqlx::{ConnectOptions, Connection, SqliteConnection};
use tenure_store::Result;

use crate::error::from_driver;

pub(crate) struct Link {
    options: SqliteConnectOptions,
    connection: Option<SqliteConnection>,
}

impl Link {
    pub(crate) async fn open(options: SqliteConnectOptions) -> Result<Self> {
        let mut link = Self {
            options,
            connection: None,
        };
        link.connection().await?;
        Ok(link)
    }

    pub(crate) async fn connection(&mut self) -> Result<&mut SqliteConnection> {
        let connection = match self.connection.take() {
            Some(connection) => connection,
            None => self.options.connect().await.map_err(from_driver)?,
        };
        Ok(self.connection.insert(connection))
    }

    /// Closes the connection, which undoes what was not committed. The next use opens a
    /// new one.
    pub(crate) async fn close(&mut self) {
        if let Some(connection) = self.connection.take()
            && let Err(error) = connection.close().await
        {
            tracing::debug!(%error, "a connection to the session database broke");
        }
    }
}
