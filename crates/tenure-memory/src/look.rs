//! What can be seen of the sessions. Nothing here changes anything.

use std::ops::Bound;

use tenure_store::{Counts, Cursor, Entry, Filter, Page, SessionId, Timestamp};

use crate::epoch::Resets;
use crate::index::earliest;
use crate::merge::Merge;
use crate::record::Session;
use crate::shard::Shard;
use crate::space::Space;

impl Space {
    pub(crate) fn inspect(&self, id: SessionId, now: Timestamp) -> Option<Entry> {
        let resets = self.epochs.resets();
        let shard = self.shard_of(id);
        shard.get(id).map(|session| entry(session, &resets, now))
    }

    /// A page looks at no more sessions than it may return: it goes through those of
    /// the principal, if one is asked for, and through all of them else. The shards'
    /// orders are merged one session at a time, each under its shard's lock.
    pub(crate) fn list(&self, filter: &Filter, now: Timestamp) -> Page {
        let resets = self.epochs.resets();
        let next = |shard: &Shard, start: Bound<Cursor>| {
            let next = shard.index().first(filter.principal.as_ref(), start);
            next.filter(|place| place.created < filter.created.end)
        };
        let start = start(filter);
        let mut heads = Merge::new(self.shards().map(|shard| next(&shard, start)));
        let mut entries = Vec::new();
        let mut seen = None;
        for _ in 0..filter.limit {
            let Some((place, number)) = heads.pop() else {
                break;
            };
            let shard = self.shard(number);
            if let Some(session) = shard.get(place.id) {
                let entry = entry(session, &resets, now);
                if filter.matches(&entry, now) {
                    entries.push(entry);
                }
            }
            heads.push(next(&shard, Bound::Excluded(place)), number);
            seen = Some(place);
        }
        Page {
            entries,
            next: heads.first().and(seen),
        }
    }

    pub(crate) fn count(&self, now: Timestamp) -> Counts {
        let resets = self.epochs.resets();
        let mut counts = Counts::default();
        for shard in self.shards() {
            for session in shard.iter() {
                let entry = Entry {
                    record: session.outline(),
                    state: session.state(&resets, now),
                };
                counts.add(&entry, now);
            }
        }
        counts
    }
}

fn entry(session: &Session, resets: &Resets, now: Timestamp) -> Entry {
    Entry {
        record: session.record(),
        state: session.state(resets, now),
    }
}

/// Where a scan with this filter begins: behind the last page, and not before the
/// range of creation times does.
fn start(filter: &Filter) -> Bound<Cursor> {
    let earliest = earliest(filter.created.start);
    match filter.after {
        Some(after) if after >= earliest => Bound::Excluded(after),
        _ => Bound::Included(earliest),
    }
}
