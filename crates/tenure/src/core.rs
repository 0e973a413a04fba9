//! What all handles of one `Sessions` share.

use std::sync::atomic::AtomicBool;
use std::sync::{Arc, Mutex, PoisonError};

use tenure_store::{After, EndReason, Namespace, Record, SessionId, Timestamp};
use tokio::runtime::Handle;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::Instant;
use tokio_util::task::TaskTracker;

use crate::attributes::Attributes;
use crate::hook::AnyEndHook;
use crate::jump::{JumpWatch, Reading};
use crate::keys::Keys;
use crate::metrics::Metrics;
use crate::policy::Policy;
use crate::queue::Queues;
use crate::reopening::Reopening;
use crate::runner;
use crate::{BoxError, Clock, Randomness, Result, Session};

/// A start hook behind a pointer.
pub(crate) type StartHook =
    Box<dyn Fn(&Session) -> std::result::Result<(), BoxError> + Send + Sync>;

/// What this process does about end hooks.
pub(crate) enum EndHooks {
    /// It runs one.
    Run(Arc<dyn AnyEndHook>),
    /// It has none, and was not told that none are wanted.
    Unstated,
    /// It was told that none are wanted.
    None,
}

pub(crate) struct Core {
    pub(crate) store: Reopening,
    pub(crate) ns: Namespace,
    pub(crate) keys: Keys,
    pub(crate) policy: Policy,
    pub(crate) clock: Arc<dyn Clock>,
    /// Of all reapers together: one that is made anew for each round has seen nothing.
    pub(crate) jumps: Mutex<JumpWatch>,
    pub(crate) random: Arc<dyn Randomness>,
    pub(crate) start_hooks: Vec<StartHook>,
    pub(crate) end_hooks: EndHooks,
    pub(crate) queues: Queues,
    pub(crate) metrics: Metrics,
    /// Drawn at random: tells this process's atomic updates from others'.
    pub(crate) writer: u32,
    /// Where these sessions were built: for work that comes up where there is no runtime.
    pub(crate) built_on: Handle,
    /// What goes on beside requests and is to be waited for: end hooks, above all.
    pub(crate) running: TaskTracker,
    /// Tells reapers that a hook is to be tried again that was none of theirs.
    pub(crate) retries: watch::Sender<()>,
    /// A reaper of this process made claims, perhaps, whose answer got lost.
    pub(crate) lost_claims: AtomicBool,
}

impl Core {
    pub(crate) fn now(&self) -> Timestamp {
        self.clock.now()
    }

    /// What a reaper may take for the time, to be asked before each thing that it does by
    /// it; `None` while the clock is in doubt, as after a jump.
    pub(crate) fn trusted_now(&self) -> Option<Timestamp> {
        let mut jumps = self.jumps.lock().unwrap_or_else(PoisonError::into_inner);
        match jumps.look(self.clock.as_ref()) {
            Reading::Trusted(now) => return Some(now),
            Reading::Ahead(by) => tracing::warn!(
                namespace = %self.ns,
                seconds = by.as_secs(),
                "the clock has jumped forward: reapers pause rather than end everybody"
            ),
            Reading::Back(by) => tracing::warn!(
                namespace = %self.ns,
                seconds = by.as_secs(),
                "the clock has stepped back: reapers pause until leases are renewed by it"
            ),
            Reading::Doubted => {}
        }
        None
    }

    /// Has this done in a task that a shutdown waits for: on the runtime of whoever calls,
    /// or else on the one that these sessions were built on.
    pub(crate) fn spawn<F>(&self, work: F) -> JoinHandle<F::Output>
    where
        F: Future + Send + 'static,
        F::Output: Send + 'static,
    {
        self.running.spawn_on(work, &self.runtime())
    }

    /// Where to spawn.
    pub(crate) fn runtime(&self) -> Handle {
        Handle::try_current().unwrap_or_else(|_| self.built_on.clone())
    }

    pub(crate) fn draw(&self) -> Result<u64> {
        let mut bytes = [0; 8];
        self.random.fill(&mut bytes)?;
        Ok(u64::from_le_bytes(bytes))
    }

    /// Takes the payload out of a record and reads it.
    pub(crate) fn open(&self, record: &mut Record) -> Result<Attributes> {
        self.keys.current().open(record, self.now())
    }

    /// Ends a live session, if it has this rotation where one is given, and sees to it that its end hook runs: here and now if this
    /// process has one, else through whoever has. Says whether there was one to end.
    pub(crate) async fn end(
        self: &Arc<Self>,
        id: SessionId,
        rotation: Option<u32>,
        reason: EndReason,
    ) -> Result<bool> {
        let after = match self.end_hooks {
            EndHooks::Run(_) => After::Hold(self.policy.hooks.lease),
            // What this process does not know about hooks must not lose another's.
            EndHooks::Unstated | EndHooks::None => After::Queue,
        };
        let asked = Instant::now();
        let ended = self
            .store
            .end(&self.ns, id, rotation, reason, after, self.now())
            .await?;
        let Some(ended) = ended else {
            return Ok(false);
        };
        self.metrics.ends.increment(1);
        if let EndHooks::Run(hook) = &self.end_hooks {
            runner::run_one(self, hook, ended, asked);
        }
        Ok(true)
    }
}
