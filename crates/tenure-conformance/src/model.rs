//! What a store must answer and keep, written once more from the contract alone.
//!
//! Nothing here calls the judging helpers of `tenure-store` (`Record::end_by`,
//! `Change::apply_to`, `Tombstone::claim`, `Filter::matches` and the like): a store that
//! shares a fault with them would agree with a model that did. Where the contract leaves
//! a store free, the model does not predict: it is shown the answer and judges it.

mod life;
mod log_in;
mod look;
mod many;
mod reap;

use std::collections::BTreeMap;
use std::fmt::Debug;

use tenure_store::{
    Access, After, Change, Created, End, EndReason, Ended, Entry, Error, ErrorKind, Field, Hooks,
    Namespace, Record, Result, SessionId, State, Timestamp, Tombstone, Updated, Version,
};

/// What the model says of an answer: nothing, or what is wrong with it.
pub(crate) type Judgement = Result<(), String>;

/// Every namespace that was opened.
#[derive(Debug, Default)]
pub(crate) struct Model {
    spaces: BTreeMap<Namespace, Space>,
}

#[derive(Debug, Default)]
struct Space {
    hooks_expected: bool,
    /// One instant for each reset, in the order in which they happened. A session that
    /// was born after `n` of them was reset under by the one at index `n`.
    resets: Vec<Timestamp>,
    sessions: BTreeMap<SessionId, Kept>,
}

#[derive(Clone, Debug)]
struct Kept {
    record: Record,
    fate: Fate,
}

#[derive(Clone, Debug)]
enum Fate {
    /// Nobody ended it; whether it is live depends on who asks when.
    Running {
        born_after: usize,
    },
    Ended(Tombstone),
}

impl Space {
    fn state(&self, kept: &Kept, now: Timestamp) -> State {
        match &kept.fate {
            Fate::Ended(tombstone) => State::Ended(tombstone.clone()),
            Fate::Running { born_after } => {
                let reset = self.resets.get(*born_after).copied();
                life::over(&kept.record, reset, now).map_or(State::Live, State::Over)
            }
        }
    }

    fn entry(&self, id: SessionId, now: Timestamp) -> Option<Entry> {
        let kept = self.sessions.get(&id)?;
        Some(Entry {
            record: kept.record.clone(),
            state: self.state(kept, now),
        })
    }

    fn entries(&self, now: Timestamp) -> impl Iterator<Item = Entry> {
        self.sessions
            .keys()
            .filter_map(move |id| self.entry(*id, now))
    }

    fn live(&mut self, id: SessionId, now: Timestamp) -> Option<&mut Kept> {
        let entry = self.entry(id, now)?;
        match entry.state {
            State::Live => self.sessions.get_mut(&id),
            State::Over(_) | State::Ended(_) => None,
        }
    }

    fn end_live(
        &mut self,
        id: SessionId,
        reason: EndReason,
        after: After,
        now: Timestamp,
    ) -> Option<Ended> {
        let kept = self.live(id, now)?;
        let mut tombstone = life::tombstone(End { reason, at: now });
        if let After::Hold(lease) = after {
            life::hold(&mut tombstone, lease, now);
        }
        let ended = Ended {
            record: kept.record.clone(),
            tombstone: tombstone.clone(),
        };
        kept.fate = Fate::Ended(tombstone);
        if after == After::Discard {
            self.sessions.remove(&id);
        }
        Some(ended)
    }
}

impl Model {
    pub(crate) fn is_open(&self, ns: &Namespace) -> bool {
        self.spaces.contains_key(ns)
    }

    /// The version that an update would have to expect.
    pub(crate) fn version(&self, ns: &Namespace, id: SessionId) -> Option<Version> {
        Some(self.spaces.get(ns)?.sessions.get(&id)?.record.version)
    }

    /// When something happens to a session by itself: it runs out, or falls due.
    pub(crate) fn next_edge(&self, ns: &Namespace, id: SessionId) -> Option<Timestamp> {
        let kept = self.spaces.get(ns)?.sessions.get(&id)?;
        match &kept.fate {
            Fate::Running { .. } => life::runs_out(&kept.record).map(|end| end.at),
            Fate::Ended(tombstone) => life::due(tombstone),
        }
    }

    pub(crate) fn open(&mut self, ns: &Namespace, hooks: Hooks) {
        let space = self.spaces.entry(ns.clone()).or_default();
        match hooks {
            Hooks::Expected => space.hooks_expected = true,
            Hooks::Unstated => {}
            Hooks::Withdrawn => space.hooks_expected = false,
        }
    }

    pub(crate) fn create(&mut self, ns: &Namespace, record: &Record) -> Result<Created, ErrorKind> {
        let space = self.opened(ns)?;
        if space.sessions.contains_key(&record.id) {
            return Ok(Created::Exists);
        }
        let born_after = space.resets.len();
        let kept = Kept {
            record: record.clone(),
            fate: Fate::Running { born_after },
        };
        space.sessions.insert(record.id, kept);
        Ok(Created::Done)
    }

    pub(crate) fn load(&self, ns: &Namespace, id: SessionId, now: Timestamp) -> Option<Record> {
        let entry = self.inspect(ns, id, now)?;
        match entry.state {
            State::Live => Some(entry.record),
            State::Over(_) | State::Ended(_) => None,
        }
    }

    pub(crate) fn touch(&mut self, ns: &Namespace, id: SessionId, now: Timestamp) -> bool {
        let live = self.spaces.get_mut(ns).and_then(|s| s.live(id, now));
        live.map(|kept| life::used(&mut kept.record, now)).is_some()
    }

    pub(crate) fn update(
        &mut self,
        ns: &Namespace,
        id: SessionId,
        expected: Version,
        change: &Change,
        now: Timestamp,
    ) -> Updated {
        let Some(space) = self.spaces.get_mut(ns) else {
            return Updated::Gone;
        };
        match space.live(id, now) {
            None => return Updated::Gone,
            Some(kept) if kept.record.version != expected => return Updated::Changed,
            Some(_) => {}
        }
        if !space.admits(id, change, now) {
            return Updated::Full;
        }
        let Some(kept) = space.live(id, now) else {
            return Updated::Gone;
        };
        let record = &mut kept.record;
        if change.access == Access::Counts {
            life::used(record, now);
        }
        record.version = change.version;
        if let Some(payload) = &change.payload {
            record.payload = payload.clone();
        }
        if let Some(rotation) = change.rotation {
            record.rotation = rotation;
        }
        put(&mut record.principal, &change.principal);
        put(&mut record.idle_timeout, &change.idle_timeout);
        put(&mut record.lifetime, &change.lifetime);
        put(&mut record.leaves_at, &change.leaves_at);
        Updated::Done
    }

    pub(crate) fn end(
        &mut self,
        ns: &Namespace,
        id: SessionId,
        reason: EndReason,
        after: After,
        now: Timestamp,
    ) -> Option<Ended> {
        self.spaces.get_mut(ns)?.end_live(id, reason, after, now)
    }

    fn opened(&mut self, ns: &Namespace) -> Result<&mut Space, ErrorKind> {
        self.spaces.get_mut(ns).ok_or(ErrorKind::NotOpened)
    }
}

fn put<T: Clone>(field: &mut Option<T>, change: &Field<T>) {
    match change {
        Field::Keep => {}
        Field::Clear => *field = None,
        Field::Set(value) => *field = Some(value.clone()),
    }
}

/// That a value is the expected one.
pub(crate) fn same<T: PartialEq + Debug>(what: &str, got: &T, expected: &T) -> Judgement {
    if got == expected {
        return Ok(());
    }
    let (got, expected) = (format!("{got:?}"), format!("{expected:?}"));
    if got == expected {
        return Err(format!(
            "{what} has another payload or principal than it should, in\n  {got}"
        ));
    }
    Err(format!("{what} is\n  {got}\nbut should be\n  {expected}"))
}

/// That an operation answered, or failed, as expected.
pub(crate) fn same_answer<T: PartialEq + Debug>(
    what: &str,
    got: Result<T, Error>,
    expected: Result<T, ErrorKind>,
) -> Judgement {
    match (got, expected) {
        (Ok(got), Ok(expected)) => same(what, &got, &expected),
        (Err(got), Err(expected)) if got.kind() == expected => Ok(()),
        (got, expected) => Err(format!("{what} is {got:?} but should be {expected:?}")),
    }
}
