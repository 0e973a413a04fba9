//! What can be seen of the sessions.

use tenure_store::{
    Counts, Cursor, Entry, Filter, Namespace, Page, SessionId, State, Status, Timestamp,
};

use super::{Judgement, Model, life, same};

impl Model {
    pub(crate) fn inspect(&self, ns: &Namespace, id: SessionId, now: Timestamp) -> Option<Entry> {
        self.spaces.get(ns)?.entry(id, now)
    }

    /// That a page has exactly what lies between its two ends. How long a page is is the
    /// store's business, up to the limit.
    pub(crate) fn check_page(
        &self,
        ns: &Namespace,
        filter: &Filter,
        now: Timestamp,
        page: &Page,
    ) -> Judgement {
        if page.entries.len() > filter.limit as usize {
            return Err(format!(
                "a page of {} for a limit of {}",
                page.entries.len(),
                filter.limit
            ));
        }
        if page.next.is_some() && page.next <= filter.after {
            return Err(format!(
                "a page behind {:?} leads on to {:?}",
                filter.after, page.next
            ));
        }
        let place = |entry: &Entry| Cursor {
            created: entry.record.created,
            id: entry.record.id,
        };
        let mut expected: Vec<Entry> = self
            .spaces
            .get(ns)
            .into_iter()
            .flat_map(|space| space.entries(now))
            .filter(|entry| passes(entry, filter, now))
            .filter(|entry| filter.after.is_none_or(|after| place(entry) > after))
            .filter(|entry| page.next.is_none_or(|next| place(entry) <= next))
            .collect();
        expected.sort_by_key(place);
        same("the page", &page.entries, &expected)
    }

    /// That the counts are right. Whether a session that a node whose clock is ahead has
    /// reset counts as due before that instant is the store's business.
    pub(crate) fn check_counts(&self, ns: &Namespace, now: Timestamp, got: &Counts) -> Judgement {
        let entries: Vec<Entry> = self
            .spaces
            .get(ns)
            .into_iter()
            .flat_map(|space| space.entries(now))
            .collect();
        let of = |wanted: Status| {
            let those = entries.iter().filter(|e| life::status(e, now) == wanted);
            those.count() as u64
        };
        let all_dues = entries.iter().filter_map(|entry| match &entry.state {
            State::Live => None,
            State::Over(end) => Some(end.at),
            State::Ended(tombstone) => life::due(tombstone).filter(|due| *due <= now),
        });
        let oldest = all_dues.clone().min();
        let oldest_by_now = all_dues.filter(|due| *due <= now).min();
        let expected = Counts {
            live: of(Status::Live),
            over: of(Status::Over),
            waiting: of(Status::Waiting),
            held: of(Status::Held),
            dead: of(Status::Dead),
            oldest_due: if got.oldest_due == oldest_by_now {
                oldest_by_now
            } else {
                oldest
            },
        };
        same("the count", got, &expected)
    }

    /// That every opened namespace is named, once and in order. Others may be named too:
    /// the store may be older than the model.
    pub(crate) fn check_namespaces(&self, got: &[Namespace]) -> Judgement {
        if !got.is_sorted_by(|one, next| one < next) {
            return Err("the namespaces are out of order, or named twice".to_owned());
        }
        match self.spaces.keys().find(|ns| got.binary_search(ns).is_err()) {
            Some(missing) => Err(format!("{missing} is not among the namespaces")),
            None => Ok(()),
        }
    }
}

fn passes(entry: &Entry, filter: &Filter, now: Timestamp) -> bool {
    let record = &entry.record;
    let status = life::status(entry, now);
    filter.status.is_none_or(|wanted| wanted == status)
        && filter
            .principal
            .iter()
            .all(|wanted| record.principal.as_ref() == Some(wanted))
        && filter.created.start <= record.created
        && record.created < filter.created.end
}
