//! Moves in the background what nobody uses.

use std::sync::Arc;

use futures_util::future::join_all;
use tenure_store::{
    Counts, Entry, Filter, Namespace, Phase, SessionId, State, Timestamp, Tombstone,
};
use tokio::time::sleep_until;

use super::pair::{ANY, BATCH, LEASE, Pair, TOGETHER, is_mark};
use super::store::MigratingStore;
use crate::pace::Pace;
use crate::{Clock, Result, SystemClock};

/// How fast a [`copy`] goes.
#[derive(Clone, Debug)]
pub struct CopyOptions {
    batch: u32,
    per_second: Option<u32>,
    clock: Arc<dyn Clock>,
}

impl Default for CopyOptions {
    /// 100 at once, 1,000 a second.
    fn default() -> Self {
        Self {
            batch: BATCH,
            per_second: Some(1_000),
            clock: Arc::new(SystemClock::default()),
        }
    }
}

impl CopyOptions {
    /// How many sessions are read in one call; at least 1.
    #[must_use]
    pub fn batch(self, sessions: u32) -> Self {
        let batch = sessions.max(1);
        Self { batch, ..self }
    }

    /// How many sessions a second move at most, evenly spread; at least 1. So many that the
    /// service does not feel it.
    #[must_use]
    pub fn per_second(self, sessions: u32) -> Self {
        let per_second = Some(sessions.max(1));
        Self { per_second, ..self }
    }

    /// As fast as the stores can.
    #[must_use]
    pub fn unbounded(self) -> Self {
        let per_second = None;
        Self { per_second, ..self }
    }

    /// The clock to go by, for tests.
    #[must_use]
    pub fn clock(self, clock: Arc<dyn Clock>) -> Self {
        Self { clock, ..self }
    }
}

/// What a [`copy`] did, and what it had to leave.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct CopyReport {
    /// How many live sessions it carried over. Those that were used meanwhile moved by
    /// themselves, and are not among them.
    pub live: u64,
    /// How many that were over, tombstones and dead letters.
    pub ended: u64,
    /// How many could not be moved, each with a warning in the log; they are where they
    /// were.
    pub failed: u64,
    /// What is left in the old store.
    pub left: Counts,
}

/// What [`verify`] found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Verification {
    /// What is left in the old store.
    pub old: Counts,
    /// What is in the new one.
    pub new: Counts,
}

impl Verification {
    /// Whether the old store has nothing left of the namespace, so that the new one can
    /// be used alone.
    pub fn is_done(&self) -> bool {
        total(&self.old) == 0
    }

    /// How many sessions there are in both, tombstones and dead letters included. Exact
    /// while nothing moves; never too low. The old store is counted first, so that what
    /// moves before the new one is counted is in both figures.
    pub fn total(&self) -> u64 {
        total(&self.old) + total(&self.new)
    }
}

impl CopyReport {
    /// Whether nothing is left in the old store.
    pub fn is_complete(&self) -> bool {
        total(&self.left) == 0
    }
}

/// Moves all of a namespace's sessions to the new store, tombstones and dead letters too,
/// while the service goes on.
///
/// One run goes once through the old store. What reapers of an earlier deployment still
/// hold, and what falls due within the next minute, it leaves, and says so: run it again
/// until [`CopyReport::is_complete`]. It keeps no state of its own, so one that was cut
/// off, on this node or another, is simply run again, and two at once do no harm.
///
/// # Errors
/// The store's. What was moved until then has moved; run it again. `NotOpened` if
/// nobody has opened the namespace: start the service on the [`MigratingStore`] first.
pub async fn copy(
    store: &MigratingStore,
    ns: &Namespace,
    options: &CopyOptions,
) -> Result<CopyReport> {
    let run = Run {
        pair: store.pair(),
        ns,
        options,
    };
    run.all().await
}

/// Counts what is in both stores, the old one first.
///
/// # Errors
/// The stores'.
pub async fn verify(
    store: &MigratingStore,
    ns: &Namespace,
    now: Timestamp,
) -> Result<Verification> {
    let pair = store.pair();
    Ok(Verification {
        old: pair.old.count(ns, now).await?,
        new: pair.new.count(ns, now).await?,
    })
}

/// One run.
struct Run<'a> {
    pair: &'a Arc<Pair>,
    ns: &'a Namespace,
    options: &'a CopyOptions,
}

/// What becomes of an entry of the old store.
enum Way {
    Carry,
    Transplant,
    /// When it is due, or nobody holds it any longer.
    Drain,
}

impl Run<'_> {
    async fn all(&self) -> Result<CopyReport> {
        // Refused as a whole, not session by session, if the new store does not know it.
        self.pair
            .new
            .epoch(self.ns, SessionId::from_bytes(ANY))
            .await?;
        let mut report = CopyReport::default();
        let mut pace = Pace::new(self.options.per_second);
        let mut filter = Filter::all(self.options.batch);
        loop {
            let listed = self.pair.old.list(self.ns, &filter, self.now()).await?;
            for some in listed.entries.chunks(TOGETHER) {
                for _ in some {
                    turn(&mut pace).await;
                }
                self.some(some, &mut report).await?;
            }
            if listed.next.is_none() {
                break;
            }
            filter.after = listed.next;
        }
        loop {
            let (batch, now) = (self.options.batch, self.now());
            let drained = self.pair.drain(self.ns, batch, now).await?;
            report.ended += drained.count;
            for _ in 0..drained.count {
                turn(&mut pace).await;
            }
            if !drained.more {
                break;
            }
        }
        report.left = self.pair.old.count(self.ns, self.now()).await?;
        Ok(report)
    }

    /// Moves some at once.
    async fn some(&self, entries: &[Entry], report: &mut CopyReport) -> Result<()> {
        let now = self.now();
        let moves = entries.iter().map(|entry| async move {
            let (id, way) = (entry.record.id, way(entry, now));
            let moved = match way {
                Way::Carry => self.pair.bring(self.ns, id, now).await.map(|_| ()),
                Way::Transplant => self.pair.transplant(self.ns, entry, now).await,
                Way::Drain => Ok(()),
            };
            (id, way, moved)
        });
        for (id, way, moved) in join_all(moves).await {
            match (way, moved) {
                (Way::Carry, Ok(())) => report.live += 1,
                (Way::Transplant, Ok(())) => report.ended += 1,
                (Way::Drain, _) => {}
                (_, Err(error)) if error.is_unavailable() => return Err(error.into()),
                (_, Err(error)) => {
                    report.failed += 1;
                    tracing::warn!(namespace = %self.ns, session = %id, %error, "could not be moved");
                }
            }
        }
        Ok(())
    }

    fn now(&self) -> Timestamp {
        self.options.clock.now()
    }
}

fn way(entry: &Entry, now: Timestamp) -> Way {
    match &entry.state {
        State::Live => Way::Carry,
        State::Ended(tombstone) if !is_mark(tombstone) && is_at_rest(tombstone, now) => {
            Way::Transplant
        }
        State::Over(_) | State::Ended(_) => Way::Drain,
    }
}

/// Whether no reaper can come by while it moves.
fn is_at_rest(tombstone: &Tombstone, now: Timestamp) -> bool {
    match tombstone.phase {
        Phase::Waiting { from } => from > now.plus(LEASE),
        Phase::Held { .. } => false,
        Phase::Dead => true,
    }
}

async fn turn(pace: &mut Pace) {
    while !pace.take() {
        sleep_until(pace.next()).await;
    }
}

fn total(counts: &Counts) -> u64 {
    counts.live + counts.over + counts.waiting + counts.held + counts.dead
}
