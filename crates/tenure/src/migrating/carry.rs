//! How a session gets from the old store to the new one, whole and once.

use std::sync::Arc;
use std::time::Duration;

use futures_util::{StreamExt, stream};
use tenure_store::{
    After, EndReason, Ended, Entry, Epoch, Error, Imported, Namespace, Outcome, Phase, Resolve,
    Result, SessionId, State, Ticket, Timestamp,
};
use tokio::time::Instant;

use super::pair::{ANY, LEASE, Pair, TOGETHER, is_mark, to_the_end};

/// How often a request looks whether another node has finished carrying its session.
pub(super) const LOOKS: u32 = 50;
/// How long it waits before it looks again.
const BETWEEN_LOOKS: Duration = Duration::from_millis(10);

/// How long it waits for others of its process that bring the same session.
const QUEUED: Duration = Duration::from_secs(2);

/// How many tombstones a request takes over for the sake of its session's.
const FEW: u32 = 8;

/// How often an import whose fate is unknown is tried again: it can happen only once.
const TRIES: u32 = 5;

/// What a [drain](Pair::drain) took over.
#[derive(Debug, Default)]
pub(super) struct Drained {
    pub(super) count: u64,
    /// Whether more may be due in the old store.
    pub(super) more: bool,
    /// From when there is.
    pub(super) next_due: Option<Timestamp>,
}

impl Pair {
    /// Brings a live session to the new store, and removes what was left behind when it
    /// was brought earlier. Says what the old store rightly has of it: something over, or
    /// a tombstone that is not due.
    ///
    /// # Errors
    /// `Unavailable`, among others, if another node is bringing it and takes long.
    pub(super) async fn bring(
        self: &Arc<Self>,
        ns: &Namespace,
        id: SessionId,
        now: Timestamp,
    ) -> Result<Option<Entry>> {
        if self.old.inspect(ns, id, now).await?.is_none() {
            return Ok(None);
        }
        let (pair, ns) = (Arc::clone(self), ns.clone());
        to_the_end(async move {
            let _turn = pair.queues.turn(id, QUEUED).await;
            pair.bring_in_turn(&ns, id, now).await
        })
        .await
    }

    async fn bring_in_turn(
        &self,
        ns: &Namespace,
        id: SessionId,
        now: Timestamp,
    ) -> Result<Option<Entry>> {
        for _ in 0..LOOKS {
            let Some(entry) = self.old.inspect(ns, id, now).await? else {
                return Ok(None);
            };
            match &entry.state {
                State::Live => self.carry(ns, id, now).await?,
                State::Over(_) => return Ok(Some(entry)),
                State::Ended(tombstone) => {
                    if self.new.inspect(ns, id, now).await?.is_some() {
                        self.remove(ns, id, tombstone, now).await?;
                    } else if !is_mark(tombstone) {
                        return Ok(Some(entry));
                    } else if tombstone.is_held(now) {
                        pause().await;
                    } else {
                        self.put_first(ns, id, now).await?;
                        self.drain(ns, FEW, now).await?;
                    }
                }
            }
        }
        Err(Error::unavailable(
            "another node is carrying this session to the new store: try again",
        ))
    }

    /// Puts a mark whose lease is over before everything else that is due, so that whoever
    /// claims next gets it, however much waits there: the request has waited long enough.
    async fn put_first(&self, ns: &Namespace, id: SessionId, now: Timestamp) -> Result<()> {
        // First it waits, which it only does if nobody has claimed it; then since ever.
        if self.old.resolve(ns, id, Resolve::Requeue, now).await? {
            let since_ever = Timestamp::MIN;
            self.old
                .resolve(ns, id, Resolve::Requeue, since_ever)
                .await?;
        }
        Ok(())
    }

    /// The four steps. If the old store no longer has it live, there is nothing to carry.
    async fn carry(&self, ns: &Namespace, id: SessionId, now: Timestamp) -> Result<()> {
        let epoch = self.new.epoch(ns, id).await?;
        let begun = Instant::now();
        let (moved, hold) = (EndReason::Moved, After::Hold(LEASE));
        match self.old.end(ns, id, None, moved, hold, now).await? {
            Some(ended) => self.deliver(ns, ended, epoch, begun, now).await,
            None => Ok(()),
        }
    }

    /// Finishes a move whoever is at it, for a reset of the namespace that follows: then it
    /// does not matter that others may import it as well. It is over when the mark is gone.
    pub(super) async fn finish(&self, ns: &Namespace, id: SessionId, now: Timestamp) -> Result<()> {
        for _ in 0..LOOKS {
            let epoch = self.new.epoch(ns, id).await?;
            // Seen after the epoch was read, and so before the reset that follows.
            let Some(entry) = self.old.inspect(ns, id, now).await? else {
                return Ok(());
            };
            let (record, State::Ended(mark)) = (entry.record, entry.state) else {
                return Ok(());
            };
            if !is_mark(&mark) {
                return Ok(());
            }
            let state = State::Live;
            let live = Entry { record, state };
            match self.new.import(ns, &live, epoch, now).await? {
                Imported::Done | Imported::Exists => self.remove(ns, id, &mark, now).await?,
                Imported::Reset => {}
            }
        }
        Err(Error::unavailable(
            "a session is still being carried to the new store: try again",
        ))
    }

    /// Goes on with what somebody else has begun. Whoever calls it has claimed the
    /// tombstone.
    async fn take_over(
        &self,
        ns: &Namespace,
        ended: Ended,
        begun: Instant,
        now: Timestamp,
    ) -> Result<()> {
        match self.epoch_of(ns, ended.ticket(), now).await? {
            Some(epoch) => self.deliver(ns, ended, epoch, begun, now).await,
            None => Ok(()),
        }
    }

    /// The last steps, for a tombstone that this node holds since `begun`.
    async fn deliver(
        &self,
        ns: &Namespace,
        ended: Ended,
        mut epoch: Epoch,
        begun: Instant,
        now: Timestamp,
    ) -> Result<()> {
        let (ticket, tombstone) = (ended.ticket(), ended.tombstone.clone());
        let entry = as_it_was(ended);
        let mut tries = 0;
        loop {
            if begun.elapsed() > LEASE / 2 {
                return Err(Error::unavailable(
                    "a session was not carried over in time: another node may",
                ));
            }
            match self.new.import(ns, &entry, epoch, now).await {
                Ok(Imported::Done | Imported::Exists) => break,
                Ok(Imported::Reset) => match self.epoch_of(ns, ticket, now).await? {
                    Some(next) => epoch = next,
                    None => return Ok(()),
                },
                // What nobody else can do before the lease is over is worth some patience.
                Err(error) if error.is_unavailable() && tries < TRIES => {
                    tries += 1;
                    pause().await;
                }
                Err(error) => return Err(error),
            }
        }
        self.remove(ns, ticket.id, &tombstone, now).await
    }

    /// The new store's epoch for a session that was still on its way, by this claim, when
    /// that had been read: a reset finishes what is on its way before it changes the
    /// epoch.
    async fn epoch_of(
        &self,
        ns: &Namespace,
        ticket: Ticket,
        now: Timestamp,
    ) -> Result<Option<Epoch>> {
        let epoch = self.new.epoch(ns, ticket.id).await?;
        let entry = self.old.inspect(ns, ticket.id, now).await?;
        let ours = entry.is_some_and(|entry| match entry.state {
            State::Ended(tombstone) => tombstone.claims == ticket.claim,
            State::Live | State::Over(_) => false,
        });
        Ok(ours.then_some(epoch))
    }

    /// Takes what is due in the old store to the new one, up to `limit`: for its reapers.
    /// What cannot be taken now is due again when the lease is over, and what the claim counted
    /// is taken back: no end hook has been tried.
    pub(super) async fn drain(
        &self,
        ns: &Namespace,
        limit: u32,
        now: Timestamp,
    ) -> Result<Drained> {
        // Asked first, so that nothing is claimed in vain while the new store is away.
        self.new.epoch(ns, SessionId::from_bytes(ANY)).await?;
        let begun = Instant::now();
        let claimed = self.old.claim(ns, LEASE, limit, now).await?;
        let mut drained = Drained {
            count: 0,
            more: claimed.more,
            next_due: claimed.next_due,
        };
        let mut failed = None;
        let deliveries = claimed.ended.into_iter().map(|ended| async move {
            let (ticket, is_end) = (ended.ticket(), !is_mark(&ended.tombstone));
            let taken = self.take_over(ns, ended, begun, now).await;
            if is_end && taken.is_err() {
                self.give_back(ns, ticket, now).await;
            }
            taken
        });
        let mut deliveries = stream::iter(deliveries).buffer_unordered(TOGETHER);
        while let Some(delivered) = deliveries.next().await {
            match delivered {
                Ok(()) => drained.count += 1,
                Err(error) if error.is_unavailable() => failed = Some(error),
                // It is the fault of one, and harms no other.
                Err(error) => {
                    tracing::warn!(namespace = %ns, %error, "a session cannot be carried over");
                }
            }
        }
        failed.map_or(Ok(drained), Err)
    }

    /// Lets go of a tombstone that could not be taken over, until its lease would be over.
    async fn give_back(&self, ns: &Namespace, ticket: Ticket, now: Timestamp) {
        let released = [(ticket, Outcome::Release)];
        let given = self.old.settle(ns, &released, now.plus(LEASE)).await;
        if let Err(error) = given {
            tracing::debug!(namespace = %ns, %error, "a tombstone could not be given back");
        }
    }

    /// Takes a tombstone that no reaper will ask for soon to the new store.
    pub(super) async fn transplant(
        &self,
        ns: &Namespace,
        entry: &Entry,
        now: Timestamp,
    ) -> Result<()> {
        let (id, State::Ended(tombstone)) = (entry.record.id, &entry.state) else {
            return Ok(());
        };
        let epoch = self.new.epoch(ns, id).await?;
        match self.new.import(ns, entry, epoch, now).await? {
            Imported::Done | Imported::Exists => self.remove(ns, id, tombstone, now).await,
            Imported::Reset => Ok(()),
        }
    }
}

/// What was claimed in the old store as it was before that: nobody else has seen the
/// claim.
fn as_it_was(ended: Ended) -> Entry {
    let Ended {
        record,
        mut tombstone,
    } = ended;
    if is_mark(&tombstone) {
        let state = State::Live;
        return Entry { record, state };
    }
    tombstone.claims = tombstone.claims.saturating_sub(1);
    tombstone.unsettled = tombstone.unsettled.saturating_sub(1);
    tombstone.phase = Phase::Waiting {
        from: tombstone.end.at,
    };
    let state = State::Ended(tombstone);
    Entry { record, state }
}

#[allow(
    clippy::disallowed_methods,
    reason = "waits for another process, which sends no signal"
)]
pub(super) async fn pause() {
    tokio::time::sleep(BETWEEN_LOOKS).await;
}
