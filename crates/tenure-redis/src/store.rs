//! The store: its settings, its connections, and the tasks that outlive their callers.

use std::fmt;
use std::sync::Arc;

use tenure_store::{Error, Namespace, Result, SessionId};

use crate::gather::Gather;
use crate::keys::Shard;
use crate::log_in::Turns;
use crate::options::RedisOptions;
use crate::places;
use crate::queue::Queue;
use crate::servers::Servers;
use crate::{describe, layout};

/// Sessions in Redis. See the [crate's documentation](crate).
pub struct RedisStore {
    pub(crate) core: Arc<Core>,
    pub(crate) queue: Queue,
}

/// What an operation works with.
pub(crate) struct Core {
    pub(crate) servers: Servers,
    pub(crate) prefix: String,
    pub(crate) payload_limit: usize,
    pub(crate) turns: Turns,
    pub(crate) loads: Gather,
}

impl RedisStore {
    /// Connects, looks whether this Redis can be worked with, and notes the layout if
    /// nobody has yet. Any number of processes may do so at once. The URL of a single
    /// server will do for the options.
    ///
    /// To be called inside a Tokio runtime with its timer on; the store's tasks run there.
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
        };
        let core = Core {
            servers,
            prefix: options.prefix,
            payload_limit: options.payload_limit,
            turns: Turns::default(),
            loads: Gather::default(),
        };
        describe::require(&core.servers).await?;
        layout::require(&core).await?;
        Ok(Self {
            core: Arc::new(core),
            queue: Queue::new(options.queue_length),
        })
    }

    /// Carries out an operation of several steps in a task of its own: whether its caller
    /// stays makes no difference to it.
    pub(crate) async fn run<T, F>(&self, operation: impl FnOnce(Arc<Core>) -> F) -> Result<T>
    where
        T: Send + 'static,
        F: Future<Output = Result<T>> + Send + 'static,
    {
        let seat = self.queue.enter()?;
        let operation = operation(Arc::clone(&self.core));
        let task = tokio::spawn(async move {
            let _seat = seat;
            operation.await
        });
        task.await.unwrap_or_else(|error| {
            let broken = Error::unavailable("the store stopped before its answer");
            Err(broken.with_source(error))
        })
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
