//! One call of a broken store, and how a wrapper gets at what a store does not offer: by
//! lying about the time, by taking a session out, by importing it as something else.

use tenure_store::{
    After, EndReason, Ended, Entry, Filter, Imported, Namespace, Outcome, Record, Resolve, Result,
    SessionId, SessionStore, State, Ticket, Timestamp, Tombstone,
};

use crate::faults::Fault;

/// On which good store, where and when, and what is to go wrong.
pub(crate) struct Call<'a> {
    pub(crate) good: &'a dyn SessionStore,
    pub(crate) fault: Fault,
    pub(crate) ns: Namespace,
    pub(crate) now: Timestamp,
}

impl Call<'_> {
    /// The same at another time.
    pub(crate) fn at(&self, now: Timestamp) -> Self {
        Self {
            ns: self.ns.clone(),
            now,
            ..*self
        }
    }

    /// The last instant, not later than now, at which the record has not run out.
    pub(crate) fn in_time(&self, record: &Record) -> Timestamp {
        let last = record.expires_at().map(before);
        last.map_or(self.now, |last| last.min(self.now))
    }

    pub(crate) async fn load(&self, id: SessionId) -> Result<Option<Record>> {
        self.good.load(&self.ns, id, self.now).await
    }

    pub(crate) async fn touch(&self, id: SessionId) -> Result<bool> {
        self.good.touch(&self.ns, id, self.now).await
    }

    pub(crate) async fn inspect(&self, id: SessionId) -> Result<Option<Entry>> {
        self.good.inspect(&self.ns, id, self.now).await
    }

    /// Stores an entry, whatever was reset meanwhile.
    pub(crate) async fn import(&self, record: Record, state: State) -> Result<Imported> {
        let entry = Entry { record, state };
        let epoch = self.good.epoch(&self.ns, entry.record.id).await?;
        self.good.import(&self.ns, &entry, epoch, self.now).await
    }

    /// Ends a session for a reason of the wrapper's.
    pub(crate) async fn end(
        &self,
        id: SessionId,
        reason: EndReason,
        after: After,
    ) -> Result<Option<Ended>> {
        self.good
            .end(&self.ns, id, None, reason, after, self.now)
            .await
    }

    /// Settles a tombstone under its latest ticket, whoever has that; says whether it was
    /// held.
    pub(crate) async fn settle(&self, id: SessionId, outcome: Outcome) -> Result<bool> {
        let claim = self.latest_claim(id).await?;
        let settled = [(Ticket { id, claim }, outcome)];
        Ok(self.good.settle(&self.ns, &settled, self.now).await? == 1)
    }

    /// The number of a tombstone's latest claim; 0 if there is no tombstone.
    pub(crate) async fn latest_claim(&self, id: SessionId) -> Result<u32> {
        let entry = self.inspect(id).await?;
        Ok(match entry.map(|entry| entry.state) {
            Some(State::Ended(tombstone)) => tombstone.claims,
            Some(State::Live | State::Over(_)) | None => 0,
        })
    }

    /// Takes a session out, whatever became of it.
    pub(crate) async fn remove(&self, id: SessionId) -> Result<()> {
        let Some(Entry { record, state }) = self.inspect(id).await? else {
            return Ok(());
        };
        match state {
            State::Live | State::Over(_) => {
                let then = self.at(self.in_time(&record));
                then.end(id, EndReason::Moved, After::Discard).await?;
            }
            State::Ended(_) => {
                if !self.settle(id, Outcome::Done).await? {
                    let discard = Resolve::Discard;
                    self.good.resolve(&self.ns, id, discard, self.now).await?;
                }
            }
        }
        Ok(())
    }

    /// Makes something else of a live session.
    pub(crate) async fn rewrite(
        &self,
        id: SessionId,
        change: impl FnOnce(&mut Record) + Send,
    ) -> Result<()> {
        if let Some(mut record) = self.load(id).await? {
            self.remove(id).await?;
            change(&mut record);
            let _ = self.import(record, State::Live).await?;
        }
        Ok(())
    }

    /// Makes something else of a tombstone.
    pub(crate) async fn replace(&self, record: Record, tombstone: Tombstone) -> Result<()> {
        self.remove(record.id).await?;
        let _ = self.import(record, State::Ended(tombstone)).await?;
        Ok(())
    }

    /// Everything in the namespace.
    pub(crate) async fn everything(&self) -> Result<Vec<Entry>> {
        let all = Filter::all(u32::MAX);
        Ok(self.good.list(&self.ns, &all, self.now).await?.entries)
    }

    /// Every tombstone in the namespace.
    pub(crate) async fn tombstones(&self) -> Result<Vec<(SessionId, Tombstone)>> {
        let entries = self.everything().await?.into_iter();
        let tombstones = entries.filter_map(|entry| match entry.state {
            State::Ended(tombstone) => Some((entry.record.id, tombstone)),
            State::Live | State::Over(_) => None,
        });
        Ok(tombstones.collect())
    }
}

/// The millisecond before.
pub(crate) fn before(now: Timestamp) -> Timestamp {
    Timestamp::from_millis_clamped(now.as_millis() - 1)
}
