//! From a URL to a session store for [Tenure]: the one place that knows which backends
//! there are.
//!
//! ```
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> tenure_store::Result<()> {
//! let store = tenure_connect::connect("memory:").await?;
//! assert!(tenure_connect::connect("mongodb://localhost").await.is_err());
//! # Ok(())
//! # }
//! ```
//!
//! | URL | backend | feature |
//! |---|---|---|
//! | `memory:` | one process's memory: gone with it | `memory` |
//! | `sqlite:PATH` | a SQLite file; made if its folder exists | `sqlite` |
//! | `postgres://user@host/database` | PostgreSQL; `postgresql:` too | `postgres` |
//! | `redis://host:port/database` | a Redis server | `redis` |
//! | `redis-cluster://host:port,host:port` | a Redis Cluster, by some of its nodes | `redis` |
//! | `redis-sentinel://host:port,host:port/primary` | the server that these Sentinels call `primary` | `redis` |
//!
//! `PATH` is relative to the working directory, or absolute: `sqlite:sessions.db`,
//! `sqlite:/var/lib/portal/sessions.db`; behind `//` it is the same path, so that
//! `sqlite:///var/lib/portal/sessions.db` is absolute too. A `%` or `?` in it is written `%25` or
//! `%3F`. Schemes may be in capitals, and `valkey` stands for `redis` in each of them. User and password stand before the host, in percent
//! encoding; in a `redis-sentinel:` URL they are for the primary. `rediss:`,
//! `rediss-cluster:` and `rediss-sentinel:` are encrypted, and so is PostgreSQL with
//! `sslmode=require`; both need the feature `tls`.
//!
//! # Settings
//!
//! Behind a `?`, joined by `&`:
//!
//! | setting | backends | meaning |
//! |---|---|---|
//! | `synchronous=normal` | SQLite | survive crashes but not power cuts |
//! | `load_in_place=no` | SQLite | leave loads to other threads: for a database larger than memory |
//! | `deadline_ms=2000` | servers | how long an operation may take, its wait included |
//! | `payload_limit=1048576` | servers | the largest payload, in bytes |
//! | `readers=2`, `writers=2` | PostgreSQL | how many connections read and write |
//! | `pooling=transaction` | PostgreSQL | pgbouncer in its transaction mode is in between |
//! | `prefix=t` | Redis | what every key begins with |
//! | `wait_for_replicas=1` | Redis | how many replicas have an end before it is acknowledged |
//! | `database=0` | Redis with Sentinel | the number of the primary's database |
//! | `sentinel_password=…`, `sentinel_user=…` | Redis with Sentinel | for the Sentinels themselves, in percent encoding |
//!
//! Other settings of a PostgreSQL URL are the driver's, such as `sslmode`, or
//! `options=-c%20search_path%3Dsessions` for another schema.
//!
//! [Tenure]: https://docs.rs/tenure

#[cfg(feature = "postgres")]
mod postgres;
#[cfg(feature = "redis")]
mod redis;
#[cfg(any(feature = "postgres", feature = "redis", feature = "sqlite"))]
mod settings;
#[cfg(feature = "sqlite")]
mod sqlite;

use std::sync::Arc;

use tenure_store::{Error, ErrorKind, Result, SessionStore};

/// Opens the store that a URL names, and brings its schema up to date. To be called inside a
/// Tokio runtime with its timer and its input and output on.
///
/// # Errors
/// `Misconfigured` for a URL of no backend, of one that this build does not have, or with
/// settings that the backend does not know; and whatever the backend says on opening.
pub async fn connect(url: &str) -> Result<Arc<dyn SessionStore>> {
    // Only the scheme is ever repeated in an error: the rest may hold a password.
    if url.trim() != url || url.contains(char::is_control) {
        return Err(misconfigured(
            "the URL has a blank or a line break at an end or in it: a file's last line often has \
             one; take it away",
        ));
    }
    let (scheme, rest) = url.split_once(':').unwrap_or((url, ""));
    let scheme = scheme.to_ascii_lowercase();
    // Valkey speaks as Redis does.
    let scheme = scheme
        .strip_prefix("valkey")
        .map_or(scheme.clone(), |kind| format!("redis{kind}"));
    match &*scheme {
        #[cfg(feature = "memory")]
        "memory" => memory(rest),
        #[cfg(feature = "sqlite")]
        "sqlite" => sqlite::connect(rest).await,
        #[cfg(feature = "postgres")]
        "postgres" | "postgresql" => postgres::connect(rest).await,
        #[cfg(feature = "redis")]
        "redis" | "rediss" | "redis-cluster" | "rediss-cluster" | "redis-sentinel"
        | "rediss-sentinel" => redis::connect(&scheme, rest).await,
        #[cfg(not(feature = "memory"))]
        "memory" => Err(not_in_this_build("memory")),
        #[cfg(not(feature = "sqlite"))]
        "sqlite" => Err(not_in_this_build("sqlite")),
        #[cfg(not(feature = "postgres"))]
        "postgres" | "postgresql" => Err(not_in_this_build("postgres")),
        #[cfg(not(feature = "redis"))]
        "redis" | "rediss" | "redis-cluster" | "rediss-cluster" | "redis-sentinel"
        | "rediss-sentinel" => Err(not_in_this_build("redis")),
        _ => Err(misconfigured(
            "no backend has this URL: it begins with memory:, sqlite:, postgres:, redis:, \
             redis-cluster: or redis-sentinel:",
        )),
    }
}

fn misconfigured(message: impl Into<String>) -> Error {
    Error::new(ErrorKind::Misconfigured, message)
}

#[cfg(not(all(
    feature = "memory",
    feature = "postgres",
    feature = "redis",
    feature = "sqlite"
)))]
fn not_in_this_build(backend: &str) -> Error {
    misconfigured(format!(
        "this build has no {backend} backend: turn on tenure-connect's feature {backend:?}"
    ))
}

#[cfg(feature = "memory")]
fn memory(rest: &str) -> Result<Arc<dyn SessionStore>> {
    if rest.is_empty() || rest == "//" {
        Ok(Arc::new(tenure_memory::MemoryStore::new()))
    } else {
        Err(misconfigured(
            "the memory backend has no settings: its URL is memory:",
        ))
    }
}
