//! One multiplexed connection, cloned.

use std::time::Instant;

use deadpool_redis::redis::aio::MultiplexedConnection;
use deadpool_redis::redis::{self, Client};
use uuid::Uuid;

use crate::ours::store::{changed, payload, user};
use crate::subject::{Result, Subject};
use crate::visit::Visit;

const IDLE_S: u64 = 24 * 3_600;

pub(crate) struct Redis(MultiplexedConnection);

impl Redis {
    pub(crate) async fn connect(url: &str) -> Result<Self> {
        Ok(Self(
            Client::open(url)?
                .get_multiplexed_async_connection()
                .await?,
        ))
    }

    async fn ask<T: redis::FromRedisValue>(&self, command: &redis::Cmd) -> Result<T> {
        Ok(command.query_async(&mut self.0.clone()).await?)
    }
}

/// How many seconds it takes to remove so many sessions, so many at a time.
pub(crate) async fn emptied(url: &str, sessions: usize, step: usize) -> Result<f64> {
    let mut connection = Client::open(url)?
        .get_multiplexed_async_connection()
        .await?;
    let keys: Vec<Vec<u8>> = (0..sessions as u128).map(key).collect();
    let value = payload(&Visit::of(1));
    for keys in keys.chunks(step) {
        let mut set = redis::pipe();
        for key in keys {
            set.cmd("SET").arg(key).arg(&value).ignore();
        }
        set.query_async::<()>(&mut connection).await?;
    }
    let began = Instant::now();
    for keys in keys.chunks(step) {
        redis::cmd("UNLINK")
            .arg(keys)
            .query_async::<()>(&mut connection)
            .await?;
    }
    Ok(began.elapsed().as_secs_f64())
}

fn key(id: u128) -> Vec<u8> {
    [b"floor:".as_slice(), &id.to_be_bytes()].concat()
}

impl Subject for Redis {
    type Key = u128;

    async fn create(&self, visit: &Visit) -> Result<u128> {
        let id = Uuid::new_v4().as_u128();
        let mut set = redis::cmd("SET");
        set.arg(key(id)).arg(payload(visit)).arg("EX").arg(IDLE_S);
        self.ask::<()>(&set).await?;
        Ok(id)
    }

    async fn load(&self, id: &u128) -> Result<u64> {
        let found: Vec<u8> = self.ask(redis::cmd("GET").arg(key(*id))).await?;
        user(&found)
    }

    async fn touch(&self, id: &u128) -> Result<u64> {
        let mut getex = redis::cmd("GETEX");
        let found: Vec<u8> = self.ask(getex.arg(key(*id)).arg("EX").arg(IDLE_S)).await?;
        user(&found)
    }

    async fn change(&self, id: &u128, count: u32) -> Result<u64> {
        let found: Vec<u8> = self.ask(redis::cmd("GET").arg(key(*id))).await?;
        let mut set = redis::cmd("SET");
        set.arg(key(*id))
            .arg(changed(&found, count))
            .arg("EX")
            .arg(IDLE_S);
        self.ask::<()>(&set).await?;
        user(&found)
    }

    async fn end(&self, id: u128) -> Result<()> {
        let removed: u64 = self.ask(redis::cmd("DEL").arg(key(id))).await?;
        if removed == 1 {
            Ok(())
        } else {
            Err("it is gone".into())
        }
    }

    async fn unknown(&self, number: u64) -> Result<bool> {
        let found: Option<Vec<u8>> = self
            .ask(redis::cmd("GET").arg(key(u128::from(number))))
            .await?;
        Ok(found.is_some())
    }

    async fn forged(&self) -> Result<bool> {
        self.unknown(0).await
    }
}
