//! Finds what has ended and sees to its end hooks, now and then, on every node.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use tenure_store::Timestamp;
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep_until};
use tokio_util::sync::CancellationToken;
use tracing::Instrument as _;

use crate::core::{Core, EndHooks};
use crate::hook::AnyEndHook;
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
}

/// What a round of a [`Reaper`] did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Reaped {
    /// Sessions whose end hook succeeded.
    pub succeeded: u64,
    /// Attempts at end hooks that failed and will be made again. A session whose hook
    /// failed twice during the round counts twice.
    pub failed: u64,
    /// Sessions that are dead letters now.
    pub dead: u64,
    /// Sessions removed without a hook.
    pub purged: u64,
    /// The clock has jumped against the time that passed, so the round ended before its
    /// next step. After a jump forward it would have ended sessions that nobody had time
    /// to use: rounds go on as soon as the clock is set right, or after ten minutes. After
    /// a step back they go on as soon as leases have been renewed by it, within a lease.
    pub paused: bool,
}

/// The wait after the first round that the store refused; it doubles up to the pause.
const FIRST_WAIT: Duration = Duration::from_secs(1);

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

    /// The longest wait between two rounds: 30 s by default, shortened at random by a
    /// quarter at most. A round comes sooner if the store knows of something that is due
    /// sooner, or a hook of this process is to be tried again.
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
    /// If it is dropped, hooks that run are stopped, which is a failed attempt, and sessions
    /// whose hook has not begun are given back: in a task, for which
    /// [`Sessions::shutdown`](crate::Sessions::shutdown) waits.
    ///
    /// # Errors
    /// `Store`; what was not settled by then comes again.
    pub async fn run_once(&self) -> Result<Reaped> {
        let never = CancellationToken::new();
        let round = self.round(&mut Pace::new(None), &never).await?;
        Ok(round.reaped)
    }

    /// Runs rounds in a task until it is shut down. It outlives the store's outages.
    pub fn spawn(self) -> ReaperHandle {
        let stop = CancellationToken::new();
        let core = Arc::clone(&self.core);
        let task = core.runtime().spawn(self.run(stop.clone()));
        ReaperHandle { stop, task }
    }

    async fn run(self, stop: CancellationToken) {
        let mut refusals = 0;
        let mut pace = Pace::new(Some(self.rate));
        let mut retries = self.core.retries.subscribe();
        // Nodes that are started together do not all ask at once.
        let mut wait = self.shortened(self.pause / 16);
        loop {
            tokio::select! {
                () = sleep_until(Instant::now() + wait) => {}
                // The sender lives in the core, which this reaper holds.
                Ok(()) = retries.changed() => {
                    sleep_until(Instant::now() + self.rest).await;
                    retries.mark_unchanged();
                }
                () = stop.cancelled() => return,
            }
            wait = match self.round(&mut pace, &stop).await {
                Ok(round) => {
                    if std::mem::take(&mut refusals) > 0 {
                        tracing::info!(namespace = %self.core.ns, "the reaper works again");
                    }
                    self.until(round.next_due)
                }
                Err(error) => {
                    // Once for each outage: the rounds within one would say the same.
                    if refusals == 0 {
                        tracing::warn!(namespace = %self.core.ns, %error, "the reaper waits");
                    }
                    let wait = FIRST_WAIT.saturating_mul(2_u32.saturating_pow(refusals));
                    refusals = refusals.saturating_add(1);
                    self.shortened(wait.min(self.pause).max(self.rest))
                }
            };
        }
    }

    async fn round(&self, pace: &mut Pace, stop: &CancellationToken) -> Result<Round> {
        let rounds = &self.core.metrics.rounds;
        let span = tracing::debug_span!("tenure.reap", namespace = %self.core.ns);
        let round = match &self.hook {
            Some(hook) => self.claim(hook, pace, stop).instrument(span).await,
            None => self.purge(stop).instrument(span).await,
        };
        match &round {
            Ok(round) if round.reaped.paused => rounds.paused.increment(1),
            Ok(_) => rounds.done.increment(1),
            Err(_) => rounds.failed.increment(1),
        }
        round
    }

    async fn claim(
        &self,
        hook: &Arc<dyn AnyEndHook>,
        pace: &mut Pace,
        stop: &CancellationToken,
    ) -> Result<Round> {
        let core = &self.core;
        let mut tally = Tally::default();
        loop {
            let Some(now) = core.trusted_now() else {
                return Ok(Round::paused(tally.into()));
            };
            let (asked, lease) = (Instant::now(), core.policy.hooks.lease);
            let claim = core.store.claim(&core.ns, lease, self.batch, now);
            let claimed = claim.await.inspect_err(|error| {
                let is_lost = error.is_unavailable();
                core.lost_claims.fetch_or(is_lost, Ordering::Relaxed);
            })?;
            // Else a purge by a process without hooks would remove what is ours to tell of.
            if !claimed.hooks_expected {
                core.store.insist(&core.ns).await;
            }
            core.metrics.rounds.note_lag(&claimed, now);
            let is_through = claimed.ended.is_empty() && !claimed.more;
            if !claimed.ended.is_empty() {
                let batch = Batch::new(core, hook, claimed.ended, asked);
                let batch = batch.paced(self.concurrency, *pace, stop.clone());
                let (of_batch, next) = batch.run().await;
                tally.add(of_batch);
                *pace = next;
            }
            // What is due next is asked once more when all has been done that changes it:
            // a hook that failed is due again.
            if is_through || stop.is_cancelled() {
                return Ok(Round {
                    reaped: tally.into(),
                    next_due: claimed.next_due,
                });
            }
        }
    }

    async fn purge(&self, stop: &CancellationToken) -> Result<Round> {
        let core = &self.core;
        let mut reaped = Reaped::default();
        loop {
            let Some(now) = core.trusted_now() else {
                return Ok(Round::paused(reaped));
            };
            let purged = core.store.purge(&core.ns, self.batch, now).await?;
            reaped.purged += purged.removed;
            if !purged.more || stop.is_cancelled() {
                return Ok(Round {
                    reaped,
                    next_due: purged.next_due,
                });
            }
        }
    }

    /// How long to wait for what is due next: until then, a little later as others may ask
    /// at the same time, and never for longer than the pause.
    fn until(&self, next_due: Option<Timestamp>) -> Duration {
        let pause = self.shortened(self.pause);
        let Some(at) = next_due else {
            return pause;
        };
        let due = at.since(self.core.now()).max(self.rest);
        due.saturating_add(self.rest.saturating_sub(self.shortened(self.rest)))
            .min(pause)
    }

    fn shortened(&self, wait: Duration) -> Duration {
        jittered(wait, self.core.draw().unwrap_or_default())
    }
}

struct Round {
    reaped: Reaped,
    next_due: Option<Timestamp>,
}

impl Round {
    /// One that ended early, having done so much.
    fn paused(reaped: Reaped) -> Self {
        Self {
            reaped: Reaped {
                paused: true,
                ..reaped
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
    stop: CancellationToken,
    task: JoinHandle<()>,
}

impl ReaperHandle {
    /// Stops the reaper: hooks that have begun are finished, claims whose hook has not
    /// begun are given back. If the store is away by then it is tried again until the leases
    /// are over.
    pub async fn shutdown(self) {
        self.stop.cancel();
        let _ = self.task.await;
    }
}
