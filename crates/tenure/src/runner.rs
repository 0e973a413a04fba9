//! Runs the end hooks of claimed tombstones and settles them: a batch of them, or one.
//!
//! A batch is a task of its own, so that leases are renewed, and what has come out is
//! settled, whatever becomes of the caller who waits for it. A caller who is dropped has its
//! hooks stopped.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;

use tenure_store::{Ended, Outcome, Ticket};
use tokio::task::{Id, JoinError, JoinSet};
use tokio::time::{Instant, MissedTickBehavior, interval_at, sleep_until};
use tokio_util::sync::CancellationToken;
use tracing::Instrument as _;

use crate::attempt::{self, Attempt, Said};
use crate::core::Core;
use crate::hook::AnyEndHook;
use crate::pace::Pace;
use crate::settling::Settling;

/// Tombstones that this process has claimed, on their way through the end hook.
pub(crate) struct Batch {
    core: Arc<Core>,
    hook: Arc<dyn AnyEndHook>,
    waiting: VecDeque<Ended>,
    running: JoinSet<Said>,
    attempts: HashMap<Id, Attempt>,
    settling: Settling,
    /// Until when the leases run, as far as is known.
    good_until: Instant,
    concurrency: usize,
    pace: Pace,
    stop: CancellationToken,
    tally: Tally,
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
    /// Of what was claimed, or held, by a call that began at `asked`.
    pub(crate) fn new(
        core: &Arc<Core>,
        hook: &Arc<dyn AnyEndHook>,
        ended: Vec<Ended>,
        asked: Instant,
    ) -> Self {
        Self {
            core: Arc::clone(core),
            hook: Arc::clone(hook),
            waiting: ended.into(),
            running: JoinSet::new(),
            attempts: HashMap::new(),
            settling: Settling::new(Arc::clone(core)),
            good_until: asked + core.policy.hooks.lease,
            concurrency: 1,
            pace: Pace::new(None),
            stop: CancellationToken::new(),
            tally: Tally::default(),
        }
    }

    /// So many hooks at a time, no faster than this: a pace that goes on from one batch to
    /// the next. At a stop, what has begun is finished, and the rest given back.
    pub(crate) fn paced(self, concurrency: usize, pace: Pace, stop: CancellationToken) -> Self {
        Self {
            concurrency,
            pace,
            stop,
            ..self
        }
    }

    /// Runs every hook, whatever happens to the store meanwhile, and settles it. If this is
    /// dropped, hooks that run are stopped, and the rest is given back.
    pub(crate) async fn run(self) -> (Tally, Pace) {
        let (core, pace) = (Arc::clone(&self.core), self.pace);
        let dropped = CancellationToken::new();
        let guard = dropped.clone().drop_guard();
        let task = core.spawn(self.drive(dropped).in_current_span());
        let done = task.await;
        guard.disarm();
        // A runtime that shuts down takes the task along.
        done.unwrap_or((Tally::default(), pace))
    }

    async fn drive(mut self, dropped: CancellationToken) -> (Tally, Pace) {
        let third = self.core.policy.hooks.lease / 3;
        let mut renewal = interval_at(Instant::now() + third, third);
        renewal.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut is_dropped = false;
        loop {
            // Whoever has a lease that may be over begins nothing: others may have.
            if is_dropped || self.stop.is_cancelled() || self.good_until <= Instant::now() {
                self.release_waiting();
            }
            while self.has_room() && self.pace.take() {
                self.begin_next();
            }
            let is_idle = self.running.is_empty() && self.waiting.is_empty();
            if self.settling.is_due(is_idle) {
                self.settling.settle().await;
                continue;
            }
            if is_idle && self.settling.is_empty() {
                return (self.tally, self.pace);
            }
            tokio::select! {
                () = sleep_until(self.pace.next()), if self.has_room() => {}
                () = sleep_until(self.settling.next()), if !self.settling.is_empty() => {}
                Some(done) = self.running.join_next_with_id() => self.finish(done),
                _ = renewal.tick(), if !is_idle => self.renew().await,
                () = self.stop.cancelled(), if !self.waiting.is_empty() => {}
                () = dropped.cancelled(), if !is_dropped => {
                    is_dropped = true;
                    self.running.abort_all();
                }
            }
        }
    }

    fn has_room(&self) -> bool {
        self.running.len() < self.concurrency && !self.waiting.is_empty()
    }

    fn begin_next(&mut self) {
        let Some(ended) = self.waiting.pop_front() else {
            return;
        };
        if let Some(outcome) = attempt::without_call(&self.core, &ended) {
            return self.note(ended.ticket(), outcome);
        }
        let attempt = Attempt::at(&ended);
        let call = attempt::call(Arc::clone(&self.core), Arc::clone(&self.hook), ended);
        let task = self.running.spawn(call);
        self.attempts.insert(task.id(), attempt);
    }

    fn finish(&mut self, done: Result<(Id, Said), JoinError>) {
        let (id, said) = match done {
            Ok((id, said)) => (id, Ok(said)),
            Err(error) => (error.id(), Err(error)),
        };
        if let Some(attempt) = self.attempts.remove(&id) {
            let outcome = attempt.outcome(&self.core, said);
            self.note(attempt.ticket, outcome);
        }
    }

    fn note(&mut self, ticket: Ticket, outcome: Outcome) {
        self.core.metrics.hooks.count(&outcome);
        self.tally.count(&outcome);
        self.settling.push(ticket, outcome, self.good_until);
    }

    fn release_waiting(&mut self) {
        for ended in std::mem::take(&mut self.waiting) {
            self.note(ended.ticket(), Outcome::Release);
        }
    }

    /// Renews the leases of hooks that run or wait. Those that have come out are told within
    /// the lease they have.
    async fn renew(&mut self) {
        let core = &self.core;
        let waiting = self.waiting.iter().map(Ended::ticket);
        let running = self.attempts.values().map(|attempt| attempt.ticket);
        let held: Vec<Ticket> = waiting.chain(running).collect();
        let (asked, lease) = (Instant::now(), core.policy.hooks.lease);
        match core.store.renew(&core.ns, &held, lease, core.now()).await {
            Ok(_) => self.good_until = asked + lease,
            Err(error) => {
                tracing::warn!(namespace = %core.ns, %error, "leases could not be renewed");
            }
        }
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

/// Has the end hook run of a session that this process has just ended, by a call that began
/// at `asked`; if it fails, reapers are told that there is something to try again.
pub(crate) fn run_one(core: &Arc<Core>, hook: &Arc<dyn AnyEndHook>, ended: Ended, asked: Instant) {
    let batch = Batch::new(core, hook, vec![ended], asked);
    let retries = core.retries.clone();
    // In a box, as a task is moved several times before it runs.
    core.spawn(Box::pin(async move {
        let (tally, _) = batch.drive(CancellationToken::new()).await;
        if tally.failed > 0 {
            retries.send_replace(());
        }
    }));
}
