//! The store: its settings, its connections, and the tasks that outlive their callers.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use tenure_store::{Error, Namespace, Result, SessionId};
use tokio::task::{JoinError, JoinHandle};

use crate::gather::Gather;
use crate::keys::Shard;
use crate::log_in::Turns;
use crate::options::RedisOptions;
use crate::places;
use crate::queue::{Queue, Seat};
use crate::runtimes::PerRuntime;
use crate::servers::Servers;
use crate::{describe, layout};

/// Sessions in Redis. See the [crate's documentation](crate).
pub struct RedisStore {
    pub(crate) core: Arc<Core>,
    pub(crate) queue: Queue,
}

/// What an operation works with.
pub(crate) struct Core {
    pub(crate) servers: Arc<Servers>,
    pub(crate) prefix: String,
    pub(crate) payload_limit: usize,
    pub(crate) turns: PerRuntime<Turns>,
    pub(crate) loads: Gather,
}

impl RedisStore {
    /// Connects, looks whether this Redis can be worked with, and notes the layout if
    /// nobody has yet. Any number of processes may do so at once. The URL of a single
    /// server will do for the options.
    ///
    /// To be called inside a Tokio runtime with its timer on, as all of the store's methods.
    /// An operation runs in a task of the runtime that it is called on. A store may be used
    /// on several runtimes, each of which gets connections of its own, and goes on when one
    /// of them has gone.
    ///
    /// # Errors
    /// - `Misconfigured`: a setting is out of range or a URL cannot be read; the server is
    ///   older than 7.0, may evict sessions, or refuses this user;
    /// - `SchemaMismatch`: what is stored under this prefix has another layout;
    /// - `Unavailable`: no server answered in time.
    pub async fn connect(options: impl Into<RedisOptions>) -> Result<Self> {
        let options = options.into();
        options.validate()?;
        let servers = Servers {
            place: places::place(&options)?,
            deadline: options.deadline,
            replicas: options.replicas,
            closed: AtomicBool::new(false),
        };
        let core = Core {
            servers: Arc::new(servers),
            prefix: options.prefix,
            payload_limit: options.payload_limit,
            turns: PerRuntime::default(),
            loads: Gather::default(),
        };
        describe::require(&core.servers).await?;
        layout::require(&core).await?;
        Ok(Self {
            core: Arc::new(core),
            queue: Queue::new(options.queue_length),
        })
    }

    /// Carries out an operation in a task of its own: whether its caller stays, and whether it
    /// looks for the answer, makes no difference to this one or to any other.
    pub(crate) async fn run<T, F>(&self, operation: impl FnOnce(Arc<Core>) -> F) -> Result<T>
    where
        T: Send + 'static,
        F: Future<Output = Result<T>> + Send + 'static,
    {
        let seat = self.queue.enter()?;
        let operation = operation(Arc::clone(&self.core));
        answer(tokio::spawn(seated(seat, operation)).await)
    }

    /// The same of an operation that only reads: when its caller goes, it ends.
    pub(crate) async fn look<T, F>(&self, operation: impl FnOnce(Arc<Core>) -> F) -> Result<T>
    where
        T: Send + 'static,
        F: Future<Output = Result<T>> + Send + 'static,
    {
        let seat = self.queue.enter()?;
        let operation = operation(Arc::clone(&self.core));
        let mut task = Watched(tokio::spawn(seated(seat, operation)));
        answer((&mut task.0).await)
    }
}

async fn seated<T>(seat: Seat, operation: impl Future<Output = Result<T>>) -> Result<T> {
    let _seat = seat;
    operation.await
}

fn answer<T>(ended: std::result::Result<Result<T>, JoinError>) -> Result<T> {
    ended.unwrap_or_else(|error| {
        let broken = Error::unavailable("the store stopped before its answer");
        Err(broken.with_source(error))
    })
}

/// A task that ends with whoever waits for it.
struct Watched<T>(JoinHandle<T>);

impl<T> Drop for Watched<T> {
    fn drop(&mut self) {
        self.0.abort();
    }
}

impl Core {
    /// The shards of a namespace.
    pub(crate) fn shards(&self, ns: &Namespace) -> Vec<Shard> {
        Shard::all(&self.prefix, ns)
    }

    /// The shard in which a session lies.
    pub(crate) fn shard(&self, ns: &Namespace, id: SessionId) -> Shard {
        Shard::of(&self.prefix, ns, id)
    }
}

impl fmt::Debug for RedisStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RedisStore")
            .field("prefix", &self.core.prefix)
            .field("cluster", &self.core.servers.is_cluster())
            .finish_non_exhaustive()
    }
}
