//! A connection that is made once and kept: calls share it, one behind the other. When it
//! breaks, the next call makes a new one.
//!
//! What a connection must be, a living one to a server that this store works with, is asked in
//! one place, here, when it is made; and when nothing was heard on it for a while, whether it
//! is alive.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex as Lock, PoisonError};
use std::time::Duration;

use deadpool_redis::redis::aio::MultiplexedConnection;
use deadpool_redis::redis::io::tcp::{TcpSettings, socket2::TcpKeepalive};
use deadpool_redis::redis::{
    AsyncConnectionConfig, Client, ConnectionInfo, ProtocolVersion, PushInfo, RedisError,
    RedisResult, Value, cmd, pipe,
};
use tokio::sync::Mutex;
use tokio::task::yield_now;
use tokio::time::{Instant, timeout};

use crate::info::{Info, Kind};
use crate::runtimes::Local;
use crate::scripts;

/// A connection on which nothing was heard for so long is asked whether it is alive before
/// something is sent that could get lost on it.
const QUIET: Duration = Duration::from_secs(1);

/// One that is not in use at the moment.
const IDLE: Duration = Duration::from_millis(10);

/// As many commands as ever wait: a bounded queue would be given room in turn, also to a
/// caller that does not take it.
const BUFFER: usize = 1 << 20;

/// How a server is connected to.
pub(crate) struct Dial {
    client: Client,
    kind: Kind,
    /// How long a connection may take to be made.
    patience: Duration,
}

#[derive(Default)]
pub(crate) struct Link {
    kept: Lock<Option<Wire>>,
    connecting: Mutex<()>,
}

/// A connection, shared.
#[derive(Clone)]
pub(crate) struct Wire {
    pub(crate) connection: MultiplexedConnection,
    life: Arc<Life>,
}

struct Life {
    born: Instant,
    /// When something was heard last, in milliseconds from then.
    heard: AtomicU64,
    /// Set when it is not to be used again.
    over: Arc<AtomicBool>,
    /// Which run of the server it leads to.
    run: String,
}

/// Held by the task that drives a connection: whether the server hangs up or the task's
/// runtime goes, it is let go of.
struct Pulse(Arc<AtomicBool>);

impl Drop for Pulse {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Release);
    }
}

impl Dial {
    /// Connects to nobody yet.
    pub(crate) fn new(info: &ConnectionInfo, kind: Kind, patience: Duration) -> RedisResult<Self> {
        // Only RESP3 connections say that they were hung up on.
        let settings = info.redis_settings().clone();
        let settings = settings.set_protocol(ProtocolVersion::RESP3);
        // A connection that nobody uses is asked now and then whether it is there, so that
        // nothing between here and the server forgets it.
        let keepalive = TcpKeepalive::new()
            .with_time(Duration::from_secs(15))
            .with_interval(Duration::from_secs(5));
        let tcp = TcpSettings::default()
            .set_nodelay(true)
            .set_keepalive(keepalive);
        let info = info.clone().set_redis_settings(settings);
        Ok(Self {
            client: Client::open(info.set_tcp_settings(tcp))?,
            kind,
            patience,
        })
    }

    /// A new connection, to a server that this store works with. Its scripts go along, so
    /// that the first use of one costs one round trip like all others.
    async fn connect(&self) -> RedisResult<Wire> {
        let over = Arc::new(AtomicBool::new(false));
        let pulse = Pulse(Arc::clone(&over));
        let config = AsyncConnectionConfig::new()
            .set_connection_timeout(Some(self.patience))
            // Each call has a deadline of its own.
            .set_response_timeout(None)
            .set_pipeline_buffer_size(BUFFER)
            .set_push_sender(move |_: PushInfo| {
                let _ = &pulse;
                Ok::<(), RedisError>(())
            });
        let client = &self.client;
        let mut connection = client
            .get_multiplexed_async_connection_with_config(&config)
            .await?;
        let mut opening = pipe();
        opening.cmd("INFO");
        for script in scripts::ALL {
            opening.cmd("SCRIPT").arg("LOAD").arg(script.code);
        }
        let count = 1 + scripts::ALL.len();
        let answers = connection.send_packed_commands(&opening, 0, count).await?;
        // Whether the server takes the scripts does not matter here.
        let info = answers.into_iter().next().unwrap_or_default();
        let info = Info::from_value(&info.extract_error()?);
        info.require(self.kind)?;
        let life = Life {
            born: Instant::now(),
            heard: AtomicU64::new(0),
            over,
            run: info.get("run_id").to_owned(),
        };
        Ok(Wire {
            connection,
            life: Arc::new(life),
        })
    }
}

impl Link {
    /// The connection. If there is none, one caller makes it, and the others wait for it.
    pub(crate) async fn wire(&self, dial: &Dial) -> RedisResult<Wire> {
        if let Some(wire) = self.kept().filter(|wire| !wire.is_silent_for(QUIET)) {
            if wire.is_silent_for(IDLE) {
                // What its task has not looked at yet, such as that the server hung up.
                yield_now().await;
            }
            if !wire.is_over() {
                return Ok(wire);
            }
        }
        let _connecting = self.connecting.lock().await;
        if let Some(wire) = self.kept() {
            if !wire.is_silent_for(QUIET) || wire.answers(dial.patience / 2).await {
                return Ok(wire);
            }
            wire.discard();
        }
        // The old one first, or its socket stays open for as long as this takes.
        self.close();
        let silent = || RedisError::from(std::io::Error::from(std::io::ErrorKind::TimedOut));
        let connected = timeout(dial.patience, dial.connect()).await;
        let wire = connected.map_err(|_| silent())??;
        *self.lock() = Some(wire.clone());
        Ok(wire)
    }

    /// Lets go of whatever connection there is. Calls that still wait on it are not disturbed.
    pub(crate) fn close(&self) {
        *self.lock() = None;
    }

    /// Whether there was a connection and it broke. Says so once.
    pub(crate) fn has_broken(&self) -> bool {
        let mut kept = self.lock();
        let broken = kept.as_ref().is_some_and(Wire::is_over);
        if broken {
            *kept = None;
        }
        broken
    }

    fn kept(&self) -> Option<Wire> {
        self.lock().clone().filter(|wire| !wire.is_over())
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Option<Wire>> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Local for Link {
    fn is_idle(&self) -> bool {
        self.kept().is_none() && self.connecting.try_lock().is_ok()
    }
}

impl Wire {
    /// It failed or fell silent: nobody is to use it again.
    pub(crate) fn discard(&self) {
        self.life.over.store(true, Ordering::Release);
    }

    /// Something was heard on it.
    pub(crate) fn hears(&self) {
        self.life.heard.store(self.age(), Ordering::Relaxed);
    }

    /// Which run of a server it leads to: what another run confirms says nothing of this one.
    pub(crate) fn run(&self) -> &str {
        &self.life.run
    }

    fn is_over(&self) -> bool {
        self.life.over.load(Ordering::Acquire)
    }

    fn is_silent_for(&self, time: Duration) -> bool {
        let heard = self.life.heard.load(Ordering::Relaxed);
        u128::from(self.age().saturating_sub(heard)) >= time.as_millis()
    }

    async fn answers(&self, patience: Duration) -> bool {
        let mut connection = self.connection.clone();
        let ping = cmd("PING");
        let asked = timeout(patience, connection.send_packed_command(&ping)).await;
        let alive = matches!(asked, Ok(Ok(answer)) if answer != Value::Nil);
        if alive {
            self.hears();
        }
        alive
    }

    fn age(&self) -> u64 {
        u64::try_from(self.life.born.elapsed().as_millis()).unwrap_or(u64::MAX)
    }
}
