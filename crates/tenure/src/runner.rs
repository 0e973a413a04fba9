//! Runs the end hooks of claimed tombstones and settles them: a batch of them, or one.

use std::collections::{HashSet, VecDeque};
use std::pin::pin;
use std::sync::Arc;

use tenure_store::{EndReason, Ended, Failure, Outcome, Ticket};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::{MissedTickBehavior, interval_at, sleep_until, timeout};

use tracing::Instrument as _;

use crate::core::Core;
use crate::hook::{AnyEndHook, EndedSession};
use crate::pace::Pace;

/// So many outcomes are settled together, or fewer when nothing else runs.
const SETTLE: usize = 100;

/// Tombstones that this process has claimed, on their way through the end hook.
pub(crate) struct Batch {
    core: Arc<Core>,
    hook: Arc<dyn AnyEndHook>,
    waiting: VecDeque<Ended>,
    running: JoinSet<(Ticket, Outcome)>,
    held: HashSet<Ticket>,
    outcomes: Vec<(Ticket, Outcome)>,
    report: Tally,
    pace: Pace,
}

/// How the hooks of a batch came out.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Tally {
    pub(crate) succeeded: u64,
    pub(crate) failed: u64,
    pub(crate) dead: u64,
    pub(crate) released: u64,
}

impl Batch {
    pub(crate) fn new(core: Arc<Core>, hook: Arc<dyn AnyEndHook>, ended: Vec<Ended>) -> Self {
        Self {
            core,
            hook,
            held: ended.iter().map(Ended::ticket).collect(),
            waiting: ended.into(),
            running: JoinSet::new(),
            outcomes: Vec::new(),
            report: Tally::default(),
            pace: Pace::new(None),
        }
    }

    /// No faster than this: a pace that goes on from one batch to the next.
    pub(crate) fn paced(self, pace: Pace) -> Self {
        Self { pace, ..self }
    }

    /// Runs every hook, so many at a time, whatever happens to the store meanwhile: what
    /// cannot be settled comes again when its lease is over. Once `stop` turns true,
    /// finishes what has begun and gives back the rest.
    pub(crate) async fn run_until(
        mut self,
        concurrency: usize,
        mut stop: watch::Receiver<bool>,
    ) -> (Tally, Pace) {
        let third = self.core.policy.hooks.lease / 3;
        let mut renewal = interval_at(tokio::time::Instant::now() + third, third);
        renewal.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            if *stop.borrow_and_update() {
                self.release_waiting();
            }
            while self.running.len() < concurrency
                && !self.waiting.is_empty()
                && self.pace.take()
                && let Some(ended) = self.waiting.pop_front()
            {
                self.begin(ended);
            }
            if self.outcomes.len() >= SETTLE || self.running.is_empty() {
                self.settle().await;
            }
            if self.running.is_empty() && self.waiting.is_empty() {
                return (self.report, self.pace);
            }
            let waits_for_pace = self.running.len() < concurrency && !self.waiting.is_empty();
            tokio::select! {
                () = sleep_until(self.pace.next()), if waits_for_pace => {}
                Some(done) = self.running.join_next() => {
                    // Hooks run in tasks of their own: nothing panics in these.
                    self.outcomes.extend(done);
                }
                _ = renewal.tick() => {
                    let held: Vec<_> = self.held.iter().copied().collect();
                    renew(&self.core, &held).await;
                }
                Ok(()) = stop.changed() => {}
            }
        }
    }

    fn begin(&mut self, ended: Ended) {
        let core = Arc::clone(&self.core);
        let hook = Arc::clone(&self.hook);
        self.running.spawn(async move {
            let ticket = ended.ticket();
            let outcome = attempt(&core, hook, ended).await;
            (ticket, outcome)
        });
    }

    fn release_waiting(&mut self) {
        let released = self.waiting.drain(..);
        self.outcomes
            .extend(released.map(|ended| (ended.ticket(), Outcome::Release)));
    }

    async fn settle(&mut self) {
        if self.outcomes.is_empty() {
            return;
        }
        let outcomes = std::mem::take(&mut self.outcomes);
        for (ticket, outcome) in &outcomes {
            self.held.remove(ticket);
            self.report.count(outcome);
        }
        settle(&self.core, &outcomes).await;
    }
}

impl Tally {
    fn count(&mut self, outcome: &Outcome) {
        *match outcome {
            Outcome::Done => &mut self.succeeded,
            Outcome::Release => &mut self.released,
            Outcome::Retry { .. } => &mut self.failed,
            Outcome::Dead { .. } => &mut self.dead,
        } += 1;
    }

    pub(crate) fn add(&mut self, other: Self) {
        self.succeeded += other.succeeded;
        self.failed += other.failed;
        self.dead += other.dead;
        self.released += other.released;
    }
}

/// Runs the end hook of a session that this process has just ended, and settles it: what a
/// batch of one would do, for a fraction of what a batch costs.
pub(crate) async fn run_one(core: Arc<Core>, hook: Arc<dyn AnyEndHook>, ended: Ended) {
    let ticket = ended.ticket();
    let third = core.policy.hooks.lease / 3;
    let mut attempt = pin!(attempt(&core, hook, ended));
    let outcome = loop {
        match timeout(third, &mut attempt).await {
            Ok(outcome) => break outcome,
            Err(_elapsed) => renew(&core, &[ticket]).await,
        }
    };
    settle(&core, &[(ticket, outcome)]).await;
}

async fn settle(core: &Core, outcomes: &[(Ticket, Outcome)]) {
    for (_, outcome) in outcomes {
        core.metrics.hooks.count(outcome);
    }
    match core.store.settle(&core.ns, outcomes, core.now()).await {
        Ok(settled) if settled < outcomes.len() as u64 => tracing::warn!(
            namespace = %core.ns,
            lost = outcomes.len() as u64 - settled,
            "leases were overrun: other nodes have claimed these end hooks meanwhile"
        ),
        Ok(_) => {}
        Err(error) => tracing::warn!(
            namespace = %core.ns,
            %error,
            hooks = outcomes.len(),
            "end hooks could not be settled; they run again when their lease is over"
        ),
    }
}

async fn renew(core: &Core, held: &[Ticket]) {
    let lease = core.policy.hooks.lease;
    let renewed = core.store.renew(&core.ns, held, lease, core.now());
    if let Err(error) = renewed.await {
        tracing::warn!(namespace = %core.ns, %error, "leases could not be renewed");
    }
}

/// Runs one hook once.
async fn attempt(core: &Core, hook: Arc<dyn AnyEndHook>, mut ended: Ended) -> Outcome {
    let policy = &core.policy.hooks;
    let failures = ended.tombstone.failures + 1;
    let unsettled = ended.tombstone.unsettled;
    if ended.tombstone.end.reason == EndReason::Moved {
        return Outcome::Done;
    }
    if policy.is_deadly(unsettled) {
        let why = format!("claimed {unsettled} times and never settled: does it kill its process?");
        return Outcome::Dead {
            why: Failure::new(&why),
        };
    }
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
    let began = core.clock.running();
    core.metrics.hooks.running.increment(1);
    let mut run = tokio::spawn(hook.call(session).instrument(span));
    let done = timeout(policy.time_limit, &mut run).await;
    core.metrics.hooks.running.decrement(1);
    let took = core.clock.running().saturating_sub(began);
    core.metrics.hooks.seconds.record(took);
    let why = match done {
        Ok(Ok(Ok(()))) => return Outcome::Done,
        Ok(Ok(Err(error))) => Failure::new(&error.to_string()),
        Ok(Err(_panic)) => Failure::new("the end hook panicked"),
        Err(_elapsed) => {
            run.abort();
            Failure::new("the end hook took longer than its time limit")
        }
    };
    tracing::warn!(namespace = %core.ns, session = %id, failures, "an end hook failed");
    if policy.is_exhausted(failures) {
        return Outcome::Dead { why };
    }
    let jitter = core.draw().unwrap_or_default();
    Outcome::Retry {
        at: core.now().plus(policy.back_off(failures, jitter)),
        why,
    }
}
