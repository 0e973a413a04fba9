//! A connection that is taken once and kept: calls share it, one behind the other, without
//! a look whether it still works. When it breaks the next call takes a new one.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex as Lock, PoisonError};
use std::time::Duration;

use deadpool_redis::redis::aio::MultiplexedConnection;
use deadpool_redis::redis::io::tcp::TcpSettings;
use deadpool_redis::redis::{
    AsyncConnectionConfig, ConnectionInfo, ProtocolVersion, PushInfo, PushKind, RedisError,
    RedisResult, pipe,
};
use deadpool_redis::{Connection, Manager, Pool};
use tokio::sync::Mutex;

use crate::error::from_pool;
use crate::scripts;

pub(crate) struct Link {
    pool: Pool,
    kept: Lock<Option<Wire>>,
    connecting: Mutex<()>,
    /// Set by the connection when the server hangs up, so that an idle one is not used
    /// again.
    hung_up: Arc<AtomicBool>,
    taken: AtomicU64,
}

/// A connection, and which of the link's it is.
#[derive(Clone)]
pub(crate) struct Wire {
    pub(crate) connection: MultiplexedConnection,
    number: u64,
}

impl Link {
    /// To be connected when it is first used.
    pub(crate) fn new(info: &ConnectionInfo, patience: Duration) -> RedisResult<Self> {
        let hung_up = Arc::new(AtomicBool::new(false));
        let noticed = Arc::clone(&hung_up);
        let config = AsyncConnectionConfig::new()
            .set_connection_timeout(Some(patience))
            // Each call has a deadline of its own.
            .set_response_timeout(None)
            .set_push_sender(move |push: PushInfo| {
                if push.kind == PushKind::Disconnection {
                    noticed.store(true, Ordering::Release);
                }
                Ok::<(), RedisError>(())
            });
        // Only RESP3 connections say that they were hung up on.
        let settings = info.redis_settings().clone();
        let info = info
            .clone()
            .set_redis_settings(settings.set_protocol(ProtocolVersion::RESP3))
            .set_tcp_settings(TcpSettings::default().set_nodelay(true));
        let manager = Manager::new_with_config(info, config)?;
        let pool = Pool::builder(manager).max_size(1).build();
        Ok(Self {
            pool: pool.map_err(|error| RedisError::from(std::io::Error::other(error)))?,
            kept: Lock::new(None),
            connecting: Mutex::new(()),
            hung_up,
            taken: AtomicU64::new(0),
        })
    }

    /// The connection. If there is none, one caller makes it, and the others wait for it.
    pub(crate) async fn wire(&self) -> RedisResult<Wire> {
        if let Some(wire) = self.kept() {
            return Ok(wire);
        }
        let _connecting = self.connecting.lock().await;
        if let Some(wire) = self.kept() {
            return Ok(wire);
        }
        // The old one first, or somebody takes it for good again.
        self.close();
        self.hung_up.store(false, Ordering::Release);
        // Taken out for good: the pool would ask each time whether it still works.
        let mut connection = Connection::take(self.pool.get().await.map_err(from_pool)?);
        hand_over_scripts(&mut connection).await?;
        let number = self.taken.fetch_add(1, Ordering::Relaxed);
        let wire = Wire { connection, number };
        *self.lock() = Some(wire.clone());
        Ok(wire)
    }

    /// Lets go of a connection that failed, unless somebody else has. Calls that still wait
    /// on it are not disturbed.
    pub(crate) fn discard(&self, wire: &Wire) {
        let mut kept = self.lock();
        if kept.as_ref().is_some_and(|kept| kept.number == wire.number) {
            *kept = None;
        }
    }

    /// Lets go of whatever connection there is.
    pub(crate) fn close(&self) {
        *self.lock() = None;
    }

    /// Whether there was a connection and the server ended it.
    pub(crate) fn is_hung_up(&self) -> bool {
        self.hung_up.load(Ordering::Acquire)
    }

    fn kept(&self) -> Option<Wire> {
        if self.is_hung_up() {
            return None;
        }
        self.lock().clone()
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Option<Wire>> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// So that the first use of a script costs one round trip like all others. Whether the
/// server takes them does not matter here.
async fn hand_over_scripts(connection: &mut MultiplexedConnection) -> RedisResult<()> {
    let mut loading = pipe();
    for script in scripts::ALL {
        loading.cmd("SCRIPT").arg("LOAD").arg(script.code);
    }
    let count = scripts::ALL.len();
    connection.send_packed_commands(&loading, 0, count).await?;
    Ok(())
}
