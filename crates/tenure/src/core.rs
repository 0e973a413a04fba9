//! What all handles of one `Sessions` share.

use std::sync::Arc;

use tenure_store::{After, EndReason, Namespace, Record, SessionId, Timestamp};
use tokio_util::task::TaskTracker;

use crate::attributes::Attributes;
use crate::hook::AnyEndHook;
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
    pub(crate) random: Arc<dyn Randomness>,
    pub(crate) start_hooks: Vec<StartHook>,
    pub(crate) end_hooks: EndHooks,
    pub(crate) queues: Queues,
    pub(crate) metrics: Metrics,
    /// Drawn at random: tells this process's atomic updates from others'.
    pub(crate) writer: u32,
    /// End hooks of sessions that this node ended itself.
    pub(crate) running: TaskTracker,
}

impl Core {
    pub(crate) fn now(&self) -> Timestamp {
        self.clock.now()
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

    /// Ends a live session, and sees to it that its end hook runs: here and now if this
    /// process has one, else through whoever has. Says whether there was one to end.
    pub(crate) async fn end(self: &Arc<Self>, id: SessionId, reason: EndReason) -> Result<bool> {
        let after = match self.end_hooks {
            EndHooks::Run(_) => After::Hold(self.policy.hooks.lease),
            // What this process does not know about hooks must not lose another's.
            EndHooks::Unstated | EndHooks::None => After::Queue,
        };
        let ended = self
            .store
            .end(&self.ns, id, None, reason, after, self.now())
            .await?;
        let Some(ended) = ended else {
            return Ok(false);
        };
        self.metrics.ends.increment(1);
        if let EndHooks::Run(hook) = &self.end_hooks {
            let run = runner::run_one(Arc::clone(self), Arc::clone(hook), ended);
            // In a box, as a task is moved several times before it runs.
            self.running.spawn(Box::pin(run));
        }
        Ok(true)
    }
}
