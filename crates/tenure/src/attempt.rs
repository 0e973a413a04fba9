//! One attempt at an end hook: whether it is made, and how it came out.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use tenure_store::{EndReason, Ended, Failure, Outcome, Ticket};
use tokio::task::JoinError;
use tokio::time::timeout;
use tracing::Instrument as _;

use crate::core::Core;
use crate::first_commit::is_provisional;
use crate::hook::{AnyEndHook, EndedSession};

/// What is known of an attempt while its hook runs.
pub(crate) struct Attempt {
    pub(crate) ticket: Ticket,
    /// Its number among the failures, should it be one.
    failures: u32,
}

/// What a hook's task says of it.
pub(crate) type Said = Result<(), Failure>;

impl Attempt {
    pub(crate) fn at(ended: &Ended) -> Self {
        Self {
            ticket: ended.ticket(),
            failures: ended.tombstone.failures.saturating_add(1),
        }
    }

    /// How it came out. A hook that was stopped before its end was begun all the same, and
    /// has failed.
    pub(crate) fn outcome(&self, core: &Core, said: Result<Said, JoinError>) -> Outcome {
        let why = match said {
            Ok(Ok(())) => return Outcome::Done,
            Ok(Err(why)) => why,
            Err(error) if error.is_cancelled() => {
                Failure::new("the end hook was stopped, as the reaper's round was dropped")
            }
            Err(_panic) => Failure::new("the end hook panicked"),
        };
        let (policy, failures) = (&core.policy.hooks, self.failures);
        let session = self.ticket.id;
        tracing::warn!(namespace = %core.ns, %session, failures, "an end hook failed");
        if policy.is_exhausted(failures) {
            return Outcome::Dead { why };
        }
        let jitter = core.draw().unwrap_or_default();
        Outcome::Retry {
            at: core.now().plus(policy.back_off(failures, jitter)),
            why,
        }
    }
}

/// The outcome of a tombstone whose hook is not to be called; `None` if it is.
pub(crate) fn without_call(core: &Core, ended: &Ended) -> Option<Outcome> {
    let unsettled = ended.tombstone.unsettled;
    if ended.tombstone.end.reason == EndReason::Moved || is_provisional(&ended.record) {
        return Some(Outcome::Done);
    }
    // Claims whose answers got lost are unsettled too, and no hook of theirs was begun: who
    // lived through some of them cannot tell a hook that kills its process.
    if !core.policy.hooks.is_deadly(unsettled) || core.lost_claims.load(Ordering::Relaxed) {
        return None;
    }
    let why = format!("claimed {unsettled} times and never settled: does it kill its process?");
    Some(Outcome::Dead {
        why: Failure::new(&why),
    })
}

/// Calls the hook once. All that is the hook's own happens in here, what it does, what its
/// error says and the end of either: so in a task of its own whatever panics is a panic of
/// the hook, and the hook has stopped when the task is over.
pub(crate) async fn call(core: Arc<Core>, hook: Arc<dyn AnyEndHook>, mut ended: Ended) -> Said {
    let id = ended.record.id;
    let attributes = core.open(&mut ended.record);
    let session = EndedSession::new(core.ns.clone(), ended, attributes);
    let span = tracing::debug_span!(
        "tenure.hook",
        namespace = %core.ns,
        session = %id,
        reason = %session.reason(),
        attempt = session.attempt(),
    );
    let _running = Running::new(&core);
    let run = async move { hook.call(session).await }.instrument(span);
    match timeout(core.policy.hooks.time_limit, run).await {
        Ok(Ok(())) => Ok(()),
        Ok(Err(error)) => Err(Failure::new(&error.to_string())),
        Err(_elapsed) => Err(Failure::new("the end hook took longer than its time limit")),
    }
}

/// A hook that is running, as the metrics have it: until this is dropped, however that
/// comes.
struct Running<'a> {
    core: &'a Core,
    began: Duration,
}

impl<'a> Running<'a> {
    fn new(core: &'a Core) -> Self {
        core.metrics.hooks.running.increment(1);
        let began = core.clock.running();
        Self { core, began }
    }
}

impl Drop for Running<'_> {
    fn drop(&mut self) {
        let hooks = &self.core.metrics.hooks;
        hooks.running.decrement(1);
        let took = self.core.clock.running().saturating_sub(self.began);
        hooks.seconds.record(took);
    }
}
