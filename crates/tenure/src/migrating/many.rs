//! What is done to many sessions at once: a principal's, or those on their way.

use std::sync::Arc;

use futures_util::future::try_join_all;
use tenure_store::{
    Ended, Entry, Error, Filter, Namespace, Principal, Result, State, Status, Timestamp,
};

use super::carry::{LOOKS, pause};
use super::pair::{BATCH, Pair, TOGETHER, is_mark};

/// So many of a reset's looks leave a mark to its holder.
const PATIENT_LOOKS: u32 = 5;

impl Pair {
    /// Brings all of a principal's live sessions.
    pub(super) async fn gather(
        self: &Arc<Self>,
        ns: &Namespace,
        principal: &Principal,
        now: Timestamp,
    ) -> Result<()> {
        let mut filter = Filter::all(BATCH);
        filter.principal = Some(principal.clone());
        loop {
            let page = self.old.list(ns, &filter, now).await?;
            let theirs: Vec<_> = page.entries.into_iter().filter(is_live).collect();
            for some in theirs.chunks(TOGETHER) {
                try_join_all(some.iter().map(|e| self.bring(ns, e.record.id, now))).await?;
            }
            if page.next.is_none() {
                return Ok(());
            }
            filter.after = page.next;
        }
    }

    /// Removes what is left in the old store of sessions that have arrived, so that the
    /// new one may forget them.
    pub(super) async fn sweep(self: &Arc<Self>, ns: &Namespace, now: Timestamp) -> Result<()> {
        for mark in self.marks(ns, now).await? {
            let id = mark.record.id;
            if self.new.inspect(ns, id, now).await?.is_some() {
                self.bring(ns, id, now).await?;
            }
        }
        Ok(())
    }

    /// The same for a principal's sessions, whatever marks there are besides.
    pub(super) async fn sweep_of(
        self: &Arc<Self>,
        ns: &Namespace,
        principal: &Principal,
        now: Timestamp,
    ) -> Result<()> {
        let mut filter = Filter::all(BATCH);
        filter.principal = Some(principal.clone());
        loop {
            let page = self.new.list(ns, &filter, now).await?;
            for some in page.entries.chunks(TOGETHER) {
                try_join_all(some.iter().map(|e| self.bring(ns, e.record.id, now))).await?;
            }
            if page.next.is_none() {
                return Ok(());
            }
            filter.after = page.next;
        }
    }

    /// Finishes every move that is under way, whoever is at it: for a reset, which must leave
    /// none for later. It is done when there is none any more, and not when each was seen once:
    /// what another node has claimed since the look is on its way all the same.
    pub(super) async fn finish_all(&self, ns: &Namespace, now: Timestamp) -> Result<()> {
        for look in 0..LOOKS {
            let marks = self.marks(ns, now).await?;
            if marks.is_empty() {
                return Ok(());
            }
            // Whoever holds one and is awake is through in a moment.
            let patient = look < PATIENT_LOOKS;
            for mark in marks {
                if !(patient && mark.tombstone.is_held(now)) {
                    self.finish(ns, mark.record.id, now).await?;
                }
            }
            if patient {
                pause().await;
            }
        }
        Err(Error::unavailable(
            "sessions are still being carried to the new store: reset once more",
        ))
    }

    /// Everything that is on its way.
    pub(super) async fn marks(&self, ns: &Namespace, now: Timestamp) -> Result<Vec<Ended>> {
        let counts = self.old.count(ns, now).await?;
        let mut marks = Vec::new();
        if counts.waiting + counts.held == 0 {
            return Ok(marks);
        }
        // In this order: a claim makes one that waits held, and nothing the other way.
        for status in [Status::Waiting, Status::Held] {
            let mut filter = Filter::all(BATCH);
            filter.status = Some(status);
            loop {
                let page = self.old.list(ns, &filter, now).await?;
                marks.extend(page.entries.into_iter().filter_map(mark));
                if page.next.is_none() {
                    break;
                }
                filter.after = page.next;
            }
        }
        Ok(marks)
    }
}

fn mark(entry: Entry) -> Option<Ended> {
    let record = entry.record;
    match entry.state {
        State::Ended(tombstone) if is_mark(&tombstone) => Some(Ended { record, tombstone }),
        _ => None,
    }
}

fn is_live(entry: &Entry) -> bool {
    match &entry.state {
        State::Live => true,
        State::Over(_) => false,
        State::Ended(tombstone) => is_mark(tombstone),
    }
}
