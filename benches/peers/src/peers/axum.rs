//! axum_session: its databases, with what its middleware keeps there.
//!
//! Its `Session` is made by its middleware alone, so this does what the middleware does with a
//! database when it is told to keep nothing in memory.

use std::collections::HashMap;

use axum_session::{DatabaseError, DatabasePool};
use axum_session_redispool::SessionRedisPool;
use axum_session_sqlx::SessionPgPool;
use deadpool_redis::redis::Client;
use redis_pool::RedisPool;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use sqlx::postgres::PgPoolOptions;
use time::OffsetDateTime;
use uuid::Uuid;

use crate::subject::{Result, Subject};
use crate::visit::{Item, Visit};

/// The table in Postgres, and what keys in Redis begin with.
const TABLE: &str = "axum_session";

/// How long a session lives without a request.
const IDLE: time::Duration = time::Duration::days(1);

/// What no client ever got.
const FORGED: &str = "forged!";

/// Its pool keeps as many connections as this when nothing else is said; here it also opens no
/// more, because it would throw away each one beyond these after one command.
const REDIS_CONNECTIONS: usize = 16;

/// Sessions of axum_session in one of its databases.
pub(crate) struct Axum<P> {
    /// The database as the peer sees it.
    pool: P,
}

/// What its `SessionData` becomes in a database.
#[derive(Default, Serialize, Deserialize)]
struct Data {
    /// Each attribute as a text of JSON.
    data: HashMap<String, String>,
    /// Whether a session outlives the usual time, which none does here.
    longterm: bool,
}

impl Data {
    /// Reads an attribute as its `Session::get` does.
    fn get<T: DeserializeOwned>(&self, name: &str) -> Result<T> {
        let text = self
            .data
            .get(name)
            .ok_or("the session lacks an attribute")?;
        Ok(serde_json::from_str(text)?)
    }

    /// Sets an attribute as its `Session::set` does.
    fn set(&mut self, name: &str, value: impl Serialize) -> Result<()> {
        self.data
            .insert(name.to_owned(), serde_json::to_string(&value)?);
        Ok(())
    }
}

impl Axum<SessionPgPool> {
    /// In a table of its own, with so many connections.
    pub(crate) async fn postgres(url: &str, pool_size: u32) -> Result<Self> {
        let pool = PgPoolOptions::new()
            .max_connections(pool_size)
            // Otherwise each use of a connection would cost one more round trip.
            .test_before_acquire(false)
            .connect(url)
            .await?;
        Self::over(pool.into()).await
    }
}

impl Axum<SessionRedisPool> {
    /// Through connections that each serve one command at a time.
    pub(crate) async fn redis(url: &str) -> Result<Self> {
        let client = Client::open(url)?;
        let pool = RedisPool::new(client, REDIS_CONNECTIONS, Some(REDIS_CONNECTIONS));
        Self::over(pool.into()).await
    }
}

impl<P: DatabasePool> Axum<P> {
    /// Makes what the database needs.
    async fn over(pool: P) -> Result<Self> {
        pool.initiate(TABLE).await?;
        Ok(Self { pool })
    }

    /// A live session's data.
    async fn find(&self, id: &str) -> Result<Option<Data>> {
        let text = match self.pool.load(id, TABLE).await {
            Ok(text) => text,
            // It cannot take in Redis's answer for what is not there; its middleware takes any
            // error for that.
            Err(DatabaseError::GenericSelectError(text)) if text.contains("nil") => None,
            Err(error) => return Err(error.into()),
        };
        Ok(text.as_deref().map(serde_json::from_str).transpose()?)
    }

    /// A live session's data, where there must be one.
    async fn found(&self, id: &str) -> Result<Data> {
        self.find(id)
            .await?
            .ok_or_else(|| "the session is gone".into())
    }

    /// Writes all data of a session, which then lives for a whole time-out.
    async fn store(&self, id: &str, data: &Data) -> Result<()> {
        let text = serde_json::to_string(data)?;
        let expires = (OffsetDateTime::now_utc() + IDLE).unix_timestamp();
        Ok(self.pool.store(id, &text, expires, TABLE).await?)
    }
}

impl<P: DatabasePool + Send + Sync + 'static> Subject for Axum<P> {
    /// The cookie's value.
    type Key = String;

    async fn create(&self, visit: &Visit) -> Result<String> {
        // It takes no id without having asked for it.
        let mut id = Uuid::new_v4().to_string();
        while self.pool.exists(&id, TABLE).await? {
            id = Uuid::new_v4().to_string();
        }
        let mut data = Data::default();
        data.set("user", visit.user)?;
        data.set("roles", &visit.roles)?;
        data.set("csrf", &visit.csrf)?;
        data.set("cart", &visit.cart)?;
        self.store(&id, &data).await?;
        Ok(id)
    }

    async fn load(&self, id: &String) -> Result<u64> {
        self.found(id).await?.get("user")
    }

    async fn touch(&self, id: &String) -> Result<u64> {
        let data = self.found(id).await?;
        let user = data.get("user")?;
        self.store(id, &data).await?;
        Ok(user)
    }

    async fn change(&self, id: &String, count: u32) -> Result<u64> {
        let mut data = self.found(id).await?;
        let mut cart: Vec<Item> = data.get("cart")?;
        cart.first_mut().ok_or("the cart is empty")?.count = count;
        data.set("cart", &cart)?;
        self.store(id, &data).await?;
        data.get("user")
    }

    async fn end(&self, id: String) -> Result<()> {
        Ok(self.pool.delete_one_by_id(&id, TABLE).await?)
    }

    async fn unknown(&self, number: u64) -> Result<bool> {
        let id = Uuid::from_u128(u128::from(number)).to_string();
        Ok(self.find(&id).await?.is_some())
    }

    async fn forged(&self) -> Result<bool> {
        Ok(self.find(FORGED).await?.is_some())
    }
}
