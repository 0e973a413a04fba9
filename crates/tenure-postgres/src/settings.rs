//! What every connection is set to, and what it is asked before it is used: in one round trip,
//! and for a pooler's transaction mode in the one that begins each transaction.

use std::time::Duration;

use sqlx::{AssertSqlSafe, Executor, PgConnection};
use tenure_store::{Error, ErrorKind, Result};

use crate::error::from_driver;
use crate::row::get;

/// For how long a statement waits for a lock that others keep. What waited and could not be
/// done is then tried apart from the rest, until its caller's deadline.
pub(crate) fn lock_patience(deadline: Duration) -> Duration {
    (deadline / 8).max(Duration::from_millis(1))
}

/// Where an address leads may change while the service runs: to a standby, or to another
/// server altogether.
const ASK: &str = "SELECT pg_is_in_recovery() AS standby, \
     current_setting('server_version_num')::int AS version, getdatabaseencoding()::text AS encoding";

/// What a connection is set to.
#[derive(Clone, Debug)]
pub(crate) struct Settings(Vec<(&'static str, String)>);

impl Settings {
    /// With a deadline, and the schema in which the store's tables are.
    ///
    /// Every statement of the store goes by an index, joins few rows to many, and is prepared
    /// once: the planner is told so, for it would guess from the table as it was when it first
    /// planned. What the server's administrator has set is not relied upon.
    pub(crate) fn new(deadline: Duration, schema: &str) -> Self {
        let millis = |duration: Duration| duration.as_millis().max(1).to_string();
        let off = || "off".to_owned();
        // One whose client stands still must not keep others waiting for its locks; but a
        // client that is merely busy needs a moment.
        let idle = (deadline / 2).max(Duration::from_millis(100));
        Self(vec![
            ("search_path", format!("{}, pg_temp", quoted(schema))),
            ("statement_timeout", millis(deadline)),
            ("lock_timeout", millis(lock_patience(deadline))),
            ("idle_in_transaction_session_timeout", millis(idle)),
            ("plan_cache_mode", "force_generic_plan".to_owned()),
            ("enable_seqscan", off()),
            ("enable_bitmapscan", off()),
            ("enable_hashjoin", off()),
            ("enable_mergejoin", off()),
            ("jit", off()),
        ])
    }

    /// Sets up a connection for as long as it lasts, and asks what it leads to.
    pub(crate) async fn set_up(&self, connection: &mut PgConnection) -> Result<()> {
        // The server's own probes keep a firewall in between from forgetting a quiet connection.
        let sql = format!(
            "SET default_transaction_isolation = 'read committed'; SET tcp_keepalives_idle = 60; \
             SET tcp_keepalives_interval = 10; SET tcp_keepalives_count = 3; {}{ASK}",
            self.sets("SET")
        );
        ask(connection, sql).await
    }

    /// What begins a transaction on a connection of which nothing is known.
    pub(crate) fn begin(&self) -> String {
        let sets = self.sets("SET LOCAL");
        format!("BEGIN ISOLATION LEVEL READ COMMITTED; {sets}{ASK}")
    }

    fn sets(&self, set: &str) -> String {
        let sets = self
            .0
            .iter()
            .map(|(name, value)| format!("{set} {name} = {value}; "));
        sets.collect::<Vec<_>>().concat()
    }
}

/// Asks a connection that was quiet whether it still leads to where it did.
pub(crate) async fn ask_again(connection: &mut PgConnection) -> Result<()> {
    ask(connection, ASK.to_owned()).await
}

/// Runs statements of which the last asks what a connection leads to, and judges the answer.
pub(crate) async fn ask(connection: &mut PgConnection, sql: String) -> Result<()> {
    let row = connection.fetch_one(AssertSqlSafe(sql)).await;
    let row = row.map_err(from_driver)?;
    if get(&row, "standby")? {
        return Err(Error::unavailable(
            "the server is a standby: it is asked again until there is a primary; if it stays so, \
             give the URL of the primary",
        ));
    }
    let fault = if get::<i32>(&row, "version")? < 150_000 {
        "PostgreSQL has to be of version 15 or later"
    } else if get::<String>(&row, "encoding")? != "UTF8" {
        "the database's encoding has to be UTF8: create it with ENCODING 'UTF8'"
    } else {
        return Ok(());
    };
    Err(Error::new(ErrorKind::Misconfigured, fault))
}

/// A name as SQL has it.
pub(crate) fn quoted(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}
