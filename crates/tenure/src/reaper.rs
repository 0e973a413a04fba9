//! Finds what has ended and sees to its end hooks, now and then, on every node.

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tenure_store::Timestamp;
use tokio::sync::watch;
use tokio::task::JoinHandle;

use tracing::Instrument as _;

use crate::core::{Core, EndHooks};
use crate::hook::AnyEndHook;
use crate::jump::{JumpWatch, Reading};
use crate::pace::Pace;
use crate::policy::jittered;
use crate::runner::{Batch, Tally};
use crate::{Error, Result};

/// Finds the ended sessions of an application and runs their end hooks; from
/// [`Sessions::reaper`](crate::Sessions::reaper).
///
/// Any number of reapers on any number of nodes work side by side: each ended session is
/// claimed by one of them at a time. Sessions that ran out while no reaper was running
/// are found when one runs again.
pub struct Reaper {
    core: Arc<Core>,
    /// `None` removes without a hook.
    hook: Option<Arc<dyn AnyEndHook>>,
    batch: u32,
    concurrency: usize,
    rate: u32,
    pause: Duration,
    rest: Duration,
    clock: Mutex<JumpWatch>,
}

/// What a round of a [`Reaper`] did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Reaped {
    /// Sessions whose end hook succeeded.
    pub succeeded: u64,
    /// Sessions whose end hook failed and will be run again.
    pub failed: u64,
    /// Sessions that are dead letters now.
    pub dead: u64,
    /// Sessions removed without a hook.
    pub purged: u64,
    /// The clock has jumped forward against the time that passed, so the round did
    /// nothing: it would have ended sessions that nobody had time to use. Rounds go on
    /// when the clock is set right, or after ten minutes.
    pub paused: bool,
}

impl Reaper {
    pub(crate) fn new(core: Arc<Core>) -> Result<Self> {
        let hook = match &core.end_hooks {
            EndHooks::Run(hook) => Some(Arc::clone(hook)),
            EndHooks::None => None,
            EndHooks::Unstated => {
                return Err(Error::Policy(
                    "a reaper needs to know about end hooks: build Sessions with on_end, or \
                     with no_end_hook",
                ));
            }
        };
        Ok(Self {
            core,
            hook,
            batch: 500,
            concurrency: 16,
            rate: 1_000,
            pause: Duration::from_secs(30),
            // What is due was held back by somebody's lease; asking at once would only spin.
            rest: Duration::from_millis(50),
            clock: Mutex::new(JumpWatch::new()),
        })
    }

    /// How many sessions are claimed at once: 500 by default, at least 1.
    #[must_use]
    pub fn batch(mut self, sessions: u32) -> Self {
        self.batch = sessions.max(1);
        self
    }

    /// How many end hooks run at once: 16 by default, at least 1.
    #[must_use]
    pub fn concurrency(mut self, hooks: usize) -> Self {
        self.concurrency = hooks.max(1);
        self
    }

    /// How many end hooks a spawned reaper begins in a second at most: 1,000 by default, at
    /// least 1. It spreads what a reset of many sessions leaves behind.
    #[must_use]
    pub fn rate(mut self, hooks_per_second: u32) -> Self {
        self.rate = hooks_per_second.max(1);
        self
    }

    /// The longest wait between two rounds: 30 s by default. A round comes sooner if the
    /// store knows of something that is due sooner.
    #[must_use]
    pub fn pause(mut self, pause: Duration) -> Self {
        self.pause = pause;
        self
    }

    /// Rounds at this interval, whatever the store knows of in between.
    pub(crate) fn every(mut self, interval: Duration) -> Self {
        self.pause = interval;
        self.rest = interval;
        self
    }

    /// One round: everything that is due now, as fast as the
    /// [concurrency](Self::concurrency) allows. For tests and scheduled jobs; a service
    /// [spawns](Self::spawn) its reaper.
    ///
    /// # Errors
    /// `Store`; what was not settled by then comes again.
    pub async fn run_once(&self) -> Result<Reaped> {
        let (_go_on, stop) = watch::channel(false);
        let round = self.round(&mut Pace::new(None), &stop).await?;
        Ok(round.reaped)
    }

    /// Runs rounds in a task until it is shut down. It outlives the store's outages.
    pub fn spawn(self) -> ReaperHandle {
        let (stop, stopped) = watch::channel(false);
        let task = tokio::spawn(self.run(stopped));
        ReaperHandle { stop, task }
    }

    async fn run(self, mut stop: watch::Receiver<bool>) {
        let mut outage = false;
        let mut pace = Pace::new(Some(self.rate));
        // Nodes that are started together do not all ask at once.
        self.wait(self.pause / 16, &mut stop).await;
        while !*stop.borrow() {
            let wait = match self.round(&mut pace, &stop).await {
                Ok(round) => {
                    if std::mem::take(&mut outage) {
                        tracing::info!(namespace = %self.core.ns, "the reaper works again");
                    }
                    self.until(round.next_due)
                }
                Err(error) => {
                    // Once for each outage: the rounds within one would say the same.
                    if !std::mem::replace(&mut outage, true) {
                        tracing::warn!(namespace = %self.core.ns, %error, "the reaper waits");
                    }
                    self.pause
                }
            };
            self.wait(wait, &mut stop).await;
        }
    }

    /// Waits about this long, or until the reaper is shut down.
    async fn wait(&self, wait: Duration, stop: &mut watch::Receiver<bool>) {
        let draw = self.core.draw().unwrap_or_default();
        let stopped = async {
            if stop.wait_for(|stop| *stop).await.is_err() {
                // The handle was dropped: nobody will ever say stop.
                std::future::pending::<()>().await;
            }
        };
        let _ = tokio::time::timeout(jittered(wait, draw), stopped).await;
    }

    async fn round(&self, pace: &mut Pace, stop: &watch::Receiver<bool>) -> Result<Round> {
        let rounds = &self.core.metrics.rounds;
        if self.clock_jumped() {
            rounds.paused.increment(1);
            return Ok(Round::paused());
        }
        let span = tracing::debug_span!("tenure.reap", namespace = %self.core.ns);
        let round = match &self.hook {
            Some(hook) => self.claim(hook, pace, stop).instrument(span).await,
            None => self.purge(stop).instrument(span).await,
        };
        match &round {
            Ok(_) => rounds.done.increment(1),
            Err(_) => rounds.failed.increment(1),
        }
        round
    }

    fn clock_jumped(&self) -> bool {
        let mut clock = self.clock.lock().unwrap_or_else(PoisonError::into_inner);
        let reading = clock.look(self.core.clock.as_ref());
        if let Reading::Jumped(jump) = reading {
            tracing::warn!(
                namespace = %self.core.ns,
                seconds = jump.as_secs(),
                "the clock has jumped forward: the reaper pauses rather than end everybody"
            );
        }
        reading != Reading::Trusted
    }

    async fn claim(
        &self,
        hook: &Arc<dyn AnyEndHook>,
        pace: &mut Pace,
        stop: &watch::Receiver<bool>,
    ) -> Result<Round> {
        let core = &self.core;
        let mut tally = Tally::default();
        loop {
            let lease = core.policy.hooks.lease;
            let claimed = core
                .store
                .claim(&core.ns, lease, self.batch, core.now())
                .await?;
            // Else a purge by a process without hooks would remove what is ours to tell of.
            if !claimed.hooks_expected {
                core.store.insist(&core.ns).await;
            }
            if let Some(last) = claimed.ended.last() {
                let lag = core.now().since(last.tombstone.end.at);
                core.metrics.rounds.lag.set(lag);
                let batch = Batch::new(Arc::clone(core), Arc::clone(hook), claimed.ended);
                let run = batch.paced(*pace).run_until(self.concurrency, stop.clone());
                let (of_batch, next) = run.await;
                tally.add(of_batch);
                *pace = next;
            }
            if !claimed.more || *stop.borrow() {
                return Ok(Round {
                    reaped: tally.into(),
                    next_due: claimed.next_due,
                });
            }
        }
    }

    async fn purge(&self, stop: &watch::Receiver<bool>) -> Result<Round> {
        let core = &self.core;
        let mut reaped = Reaped::default();
        loop {
            let purged = core.store.purge(&core.ns, self.batch, core.now()).await?;
            reaped.purged += purged.removed;
            if !purged.more || *stop.borrow() {
                return Ok(Round {
                    reaped,
                    next_due: purged.next_due,
                });
            }
        }
    }

    fn until(&self, next_due: Option<Timestamp>) -> Duration {
        let due = next_due.map_or(self.pause, |at| at.since(self.core.now()));
        due.min(self.pause).max(self.rest)
    }
}

struct Round {
    reaped: Reaped,
    next_due: Option<Timestamp>,
}

impl Round {
    fn paused() -> Self {
        Self {
            reaped: Reaped {
                paused: true,
                ..Reaped::default()
            },
            next_due: None,
        }
    }
}

impl From<Tally> for Reaped {
    fn from(tally: Tally) -> Self {
        Self {
            succeeded: tally.succeeded,
            failed: tally.failed,
            dead: tally.dead,
            ..Self::default()
        }
    }
}

impl fmt::Debug for Reaper {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Reaper")
            .field("namespace", &self.core.ns.to_string())
            .field("batch", &self.batch)
            .field("concurrency", &self.concurrency)
            .field("pause", &self.pause)
            .finish_non_exhaustive()
    }
}

/// A reaper at work. Dropping it leaves the reaper working.
#[derive(Debug)]
pub struct ReaperHandle {
    stop: watch::Sender<bool>,
    task: JoinHandle<()>,
}

impl ReaperHandle {
    /// Stops the reaper: hooks that have begun are finished, claims whose hook has not
    /// begun are given back.
    pub async fn shutdown(self) {
        let _ = self.stop.send(true);
        let _ = self.task.await;
    }
}
