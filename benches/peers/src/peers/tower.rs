//! tower-sessions: its `Session` over its stores, as its layer makes one for each request.

use std::sync::Arc;
use std::time::Duration;

use tower_sessions::MemoryStore;
use tower_sessions_moka_store::MokaStore;
use tower_sessions_redis_store::RedisStore;
use tower_sessions_redis_store::fred::prelude::{ClientLike as _, Config, Pool};
use tower_sessions_rusqlite_store::{RusqliteStore, tokio_rusqlite};
use tower_sessions_sqlx_store::sqlx::pool::PoolOptions;
use tower_sessions_sqlx_store::sqlx::postgres::PgPoolOptions;
use tower_sessions_sqlx_store::sqlx::sqlite::{
    SqliteConnectOptions, SqliteJournalMode, SqliteSynchronous,
};
use tower_sessions_sqlx_store::{PostgresStore, SqliteStore};

use crate::subject::{Result, Subject};
use crate::visit::{Item, Visit};

/// How long a session lives without a request.
const IDLE: time::Duration = time::Duration::days(1);

/// What no client ever got: it is no id at all.
const FORGED: &str = "forged!";

/// How long a connection to SQLite waits for another one's lock.
const BUSY: Duration = Duration::from_secs(30);

/// As many connections to SQLite as sqlx opens of its own accord.
const SQLITE_CONNECTIONS: u32 = 10;

/// As many connections to Redis as the store's own documentation asks for.
const REDIS_CONNECTIONS: usize = 6;

/// Sessions of tower-sessions in one of its stores.
pub(crate) struct Tower<S> {
    /// Shared, as the layer shares it, by the sessions of all requests.
    store: Arc<S>,
}

/// Sessions of tower-sessions in SQLite through one thread of rusqlite.
pub(crate) type TowerRusqlite = Tower<RusqliteStore>;

impl<S> Tower<S> {
    /// Shares the store.
    fn over(store: S) -> Self {
        Self {
            store: Arc::new(store),
        }
    }
}

impl Tower<MemoryStore> {
    /// In the map behind one lock that comes with the library.
    pub(crate) fn memory() -> Self {
        Self::over(MemoryStore::default())
    }
}

impl Tower<MokaStore> {
    /// In a cache that is never full, because sessions must not get lost.
    pub(crate) fn moka() -> Self {
        Self::over(MokaStore::new(None))
    }
}

impl Tower<PostgresStore> {
    /// In a schema of its own, with so many connections.
    pub(crate) async fn postgres(url: &str, pool_size: u32) -> Result<Self> {
        let pool = PgPoolOptions::new()
            .max_connections(pool_size)
            // Otherwise each use of a connection would cost one more round trip.
            .test_before_acquire(false)
            .connect(url)
            .await?;
        let store = PostgresStore::new(pool);
        store.migrate().await?;
        Ok(Self::over(store))
    }
}

impl Tower<SqliteStore> {
    /// In this file, where each write waits for the disk if `full`.
    pub(crate) async fn sqlite(path: &str, full: bool) -> Result<Self> {
        let synchronous = if full {
            SqliteSynchronous::Full
        } else {
            SqliteSynchronous::Normal
        };
        let options = SqliteConnectOptions::new()
            .filename(path)
            .create_if_missing(true)
            .journal_mode(SqliteJournalMode::Wal)
            .synchronous(synchronous)
            .busy_timeout(BUSY);
        let pool = PoolOptions::new()
            .max_connections(SQLITE_CONNECTIONS)
            // Otherwise each use of a connection would wake its thread once more.
            .test_before_acquire(false)
            .connect_with(options)
            .await?;
        let store = SqliteStore::new(pool);
        store.migrate().await?;
        Ok(Self::over(store))
    }
}

impl Tower<RusqliteStore> {
    /// In this file, where each write waits for the disk if `full`.
    pub(crate) async fn open(path: &str, full: bool) -> Result<Self> {
        let connection = tokio_rusqlite::Connection::open(path).await?;
        let synchronous = if full { "FULL" } else { "NORMAL" };
        connection
            .call(move |connection| {
                connection.busy_timeout(BUSY)?;
                connection.execute_batch(&format!(
                    "PRAGMA journal_mode = WAL; PRAGMA synchronous = {synchronous}"
                ))?;
                Ok(())
            })
            .await?;
        let store = RusqliteStore::new(connection);
        store.migrate().await?;
        Ok(Self::over(store))
    }
}

impl Tower<RedisStore<Pool>> {
    /// Through pipelined connections that take turns.
    pub(crate) async fn redis(url: &str) -> Result<Self> {
        let pool = Pool::new(Config::from_url(url)?, None, None, None, REDIS_CONNECTIONS)?;
        pool.init().await?;
        Ok(Self::over(RedisStore::new(pool)))
    }
}

/// Does the work for stores of one core: the sessions of two cores have the same methods and
/// no trait in common.
macro_rules! work_on {
    ($core:ident: $($store:ty),+) => {$(
        impl Tower<$store> {
            /// The session of one request, as the layer makes it of the id that it could read.
            fn session(&self, id: Option<$core::session::Id>) -> $core::Session {
                let expiry = Some($core::Expiry::OnInactivity(IDLE));
                $core::Session::new(id, Arc::clone(&self.store), expiry)
            }
        }

        impl Subject for Tower<$store> {
            /// The cookie's value.
            type Key = String;

            async fn create(&self, visit: &Visit) -> Result<String> {
                let session = self.session(None);
                session.insert("user", visit.user).await?;
                session.insert("roles", &visit.roles).await?;
                session.insert("csrf", &visit.csrf).await?;
                session.insert("cart", &visit.cart).await?;
                session.save().await?;
                let id = session.id().ok_or("a saved session has an id")?;
                Ok(id.to_string())
            }

            async fn load(&self, key: &String) -> Result<u64> {
                let user = self.session(key.parse().ok()).get("user").await?;
                user.ok_or_else(|| "the session is gone".into())
            }

            async fn touch(&self, key: &String) -> Result<u64> {
                let session = self.session(key.parse().ok());
                let user = session.get("user").await?.ok_or("the session is gone")?;
                session.save().await?;
                Ok(user)
            }

            async fn change(&self, key: &String, count: u32) -> Result<u64> {
                let session = self.session(key.parse().ok());
                let cart = session.get("cart").await?;
                let mut cart: Vec<Item> = cart.ok_or("the session is gone")?;
                cart.first_mut().ok_or("the cart is empty")?.count = count;
                session.insert("cart", &cart).await?;
                session.save().await?;
                let user = session.get("user").await?;
                user.ok_or_else(|| "nobody's session".into())
            }

            async fn end(&self, key: String) -> Result<()> {
                self.session(key.parse().ok()).flush().await?;
                Ok(())
            }

            async fn unknown(&self, number: u64) -> Result<bool> {
                // It is not written out only to be read: that would be the client's work.
                let id = $core::session::Id(i128::from(number));
                let user = self.session(Some(id)).get::<u64>("user").await?;
                Ok(user.is_some())
            }

            async fn forged(&self) -> Result<bool> {
                let user = self.session(FORGED.parse().ok()).get::<u64>("user").await?;
                Ok(user.is_some())
            }
        }
    )+};
}

work_on!(tower_sessions: MemoryStore);
work_on!(
    tower_sessions_core_014: MokaStore,
    PostgresStore,
    RedisStore<Pool>,
    RusqliteStore,
    SqliteStore
);
