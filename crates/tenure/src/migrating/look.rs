//! What is seen of two stores as one. Nothing here changes anything.
//!
//! The old store is always looked at before the new one: what moves in between is then
//! seen twice, which can be told, rather than not at all, which cannot.

use std::collections::BTreeMap;

use tenure_store::{
    Counts, Cursor, Description, Entry, Eviction, Filter, Namespace, Page, Record, Result,
    SessionId, State, Status, Timestamp,
};

use super::pair::{Pair, as_seen};

impl Pair {
    pub(super) async fn load(
        &self,
        ns: &Namespace,
        id: SessionId,
        now: Timestamp,
    ) -> Result<Option<Record>> {
        if let Some(record) = self.new.load(ns, id, now).await? {
            return Ok(Some(record));
        }
        let entry = self.look_behind(ns, id, now).await?;
        Ok(entry
            .filter(|entry| entry.state == State::Live)
            .map(|entry| entry.record))
    }

    pub(super) async fn inspect(
        &self,
        ns: &Namespace,
        id: SessionId,
        now: Timestamp,
    ) -> Result<Option<Entry>> {
        match self.new.inspect(ns, id, now).await? {
            None => self.look_behind(ns, id, now).await,
            there => Ok(there),
        }
    }

    /// What was not to be seen in the new store a moment ago.
    async fn look_behind(
        &self,
        ns: &Namespace,
        id: SessionId,
        now: Timestamp,
    ) -> Result<Option<Entry>> {
        let entry = self.old.inspect(ns, id, now).await?;
        if let Some(Entry {
            state: State::Live | State::Over(_),
            ..
        }) = entry
        {
            return Ok(entry);
        }
        // It may have arrived by now, and then that is the truth.
        match self.new.inspect(ns, id, now).await? {
            None => Ok(entry.map(|entry| as_seen(entry, now))),
            arrived => Ok(arrived),
        }
    }

    pub(super) async fn list(
        &self,
        ns: &Namespace,
        filter: &Filter,
        now: Timestamp,
    ) -> Result<Page> {
        // Of every status: one on its way lies there as ended.
        let any = Filter {
            status: None,
            ..filter.clone()
        };
        let old = self.old.list(ns, &any, now).await?;
        let mut entries = BTreeMap::new();
        for entry in old.entries {
            let id = entry.record.id;
            let ended = matches!(entry.state, State::Ended(_));
            if ended && self.new.inspect(ns, id, now).await?.is_some() {
                continue;
            }
            let entry = as_seen(entry, now);
            if filter.matches(&entry, now) {
                entries.insert(Cursor::of(&entry.record), entry);
            }
        }
        let new = self.new.list(ns, filter, now).await?;
        for entry in new.entries {
            entries.insert(Cursor::of(&entry.record), entry);
        }
        // Up to here both pages are complete.
        let mut next = [old.next, new.next].into_iter().flatten().min();
        entries.retain(|place, _| next.is_none_or(|next| *place <= next));
        let limit = usize::try_from(filter.limit).unwrap_or(usize::MAX);
        while entries.len() > limit {
            entries.pop_last();
            next = entries.last_key_value().map(|(place, _)| *place);
        }
        Ok(Page {
            entries: entries.into_values().collect(),
            next,
        })
    }

    /// Exact while nothing moves, but for tombstones that a crash left in both.
    pub(super) async fn count(&self, ns: &Namespace, now: Timestamp) -> Result<Counts> {
        let marks = self.marks(ns, now).await?;
        let (old, new) = (
            self.old.count(ns, now).await?,
            self.new.count(ns, now).await?,
        );
        let mut counts = Counts {
            live: old.live + new.live,
            over: old.over + new.over,
            waiting: old.waiting + new.waiting,
            held: old.held + new.held,
            dead: old.dead + new.dead,
            oldest_due: [old.oldest_due, new.oldest_due].into_iter().flatten().min(),
        };
        for mark in marks {
            let (id, state) = (mark.record.id, State::Ended(mark.tombstone));
            let record = mark.record;
            let entry = Entry { record, state };
            let wrong = match entry.status(now) {
                Status::Held => &mut counts.held,
                _ => &mut counts.waiting,
            };
            *wrong = wrong.saturating_sub(1);
            if self.new.inspect(ns, id, now).await?.is_none() {
                counts.add(&as_seen(entry, now), now);
            }
        }
        Ok(counts)
    }

    pub(super) async fn namespaces(&self) -> Result<Vec<Namespace>> {
        let mut all = self.old.namespaces().await?;
        all.extend(self.new.namespaces().await?);
        all.sort_unstable();
        all.dedup();
        Ok(all)
    }

    /// The weaker of the two where they differ in what they promise; what concerns new
    /// sessions alone is the new store's.
    pub(super) async fn describe(&self, now: Timestamp) -> Result<Description> {
        let (old, new) = (self.old.describe(now).await?, self.new.describe(now).await?);
        let version = format!(
            "{} {} to {} {}",
            old.backend, old.version, new.backend, new.version
        );
        let mut both = Description::new("migrating", version, new.payload_limit);
        both.clock = new.clock;
        both.durability = old.durability.min(new.durability);
        both.settings = format!("old: {}; new: {}", old.settings, new.settings);
        both.eviction = match (old.eviction, new.eviction) {
            (Eviction::Never, Eviction::Never) => Eviction::Never,
            _ => Eviction::Possible,
        };
        both.schema_applied = new.schema_applied;
        both.schema_expected = new.schema_expected;
        Ok(both)
    }
}
