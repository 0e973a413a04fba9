//! The two stores, and what an entry of the old one means.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use tenure_store::{
    EndReason, Entry, Error, ErrorKind, Namespace, Outcome, Phase, Resolve, Result, SessionId,
    SessionStore, State, Ticket, Timestamp, Tombstone,
};

use crate::queue::Queues;

/// How long a carrier alone may finish what it began. Longer than clocks may differ
/// between nodes.
pub(super) const LEASE: Duration = Duration::from_mins(1);

/// How many sessions are carried at once.
pub(super) const TOGETHER: usize = 16;

/// How many entries of the old store are looked at in one call.
pub(super) const BATCH: u32 = 100;

/// An id to ask for an epoch with, when it is the answering that matters.
pub(super) const ANY: [u8; 16] = [0; 16];

/// Where sessions come from, and where they go.
pub(super) struct Pair {
    pub(super) old: Arc<dyn SessionStore>,
    pub(super) new: Arc<dyn SessionStore>,
    pub(super) queues: Queues,
}

impl Pair {
    /// Refuses a new store that could not take all that the old one has.
    pub(super) async fn require_room(&self) -> Result<()> {
        let had = self.old.describe(Timestamp::MIN).await?.payload_limit;
        let has = self.new.describe(Timestamp::MIN).await?.payload_limit;
        if has >= had {
            return Ok(());
        }
        let message = format!(
            "the new store takes payloads of {has} bytes and the old one of {had}: raise its limit"
        );
        Err(Error::new(ErrorKind::Misconfigured, message))
    }

    /// Removes a tombstone of the old store, unless somebody was quicker: whoever has to
    /// know looks again.
    pub(super) async fn remove(
        &self,
        ns: &Namespace,
        id: SessionId,
        tombstone: &Tombstone,
        now: Timestamp,
    ) -> Result<()> {
        if let Phase::Held { .. } = tombstone.phase {
            let claim = tombstone.claims;
            let done = [(Ticket { id, claim }, Outcome::Done)];
            self.old.settle(ns, &done, now).await?;
        } else {
            self.old.resolve(ns, id, Resolve::Discard, now).await?;
        }
        Ok(())
    }
}

impl fmt::Debug for Pair {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Pair")
            .field("old", &self.old)
            .field("new", &self.new)
            .finish_non_exhaustive()
    }
}

/// Whether this is a session on its way, and no end.
pub(super) fn is_mark(tombstone: &Tombstone) -> bool {
    tombstone.end.reason == EndReason::Moved
}

/// An entry of the old store as it is to be seen: one on its way has not ended.
pub(super) fn as_seen(entry: Entry, now: Timestamp) -> Entry {
    match &entry.state {
        State::Ended(tombstone) if is_mark(tombstone) => {
            let over = entry.record.end_by(None, now);
            let state = over.map_or(State::Live, State::Over);
            Entry { state, ..entry }
        }
        _ => entry,
    }
}

/// Does something in a task of its own: a caller who goes away must not leave a session
/// half-way, where others have to wait for a lease to run out.
pub(super) async fn to_the_end<T: Send + 'static>(
    work: impl Future<Output = Result<T>> + Send + 'static,
) -> Result<T> {
    match tokio::spawn(work).await {
        Ok(done) => done,
        Err(stopped) => {
            let message = "the runtime stopped while a session was carried over";
            Err(Error::unavailable(message).with_source(stopped))
        }
    }
}
