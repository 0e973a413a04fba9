//! What callers were told of their sessions, and whether a store keeps to it: the one place
//! that says what must hold after any fault.

mod verdict;

use std::collections::BTreeMap;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};

use tenure_conformance::props::{LEASE, at, counted, endless, id, payload, version};
use tenure_store::{
    After, Created, EndReason, Ended, Error, Namespace, Outcome, Record, SessionId, SessionStore,
    Ticket, Updated,
};

/// Notes each answer before anybody can forget it, and each call before it is made: so that
/// one whose answer never came, or that was given up, may have happened or not.
///
/// Each session has one caller at a time; reapers may be many.
pub(crate) struct Checker {
    pub(crate) ns: Namespace,
    drawn: AtomicU64,
    acknowledged: AtomicU64,
    unavailable: AtomicU64,
    known: Mutex<BTreeMap<SessionId, Known>>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Is {
    No,
    Perhaps,
    Surely,
}

#[derive(Debug)]
struct Known {
    created: Is,
    /// All that it was to hold, one after the other; from which of them on it may hold.
    values: Vec<u64>,
    since: usize,
    /// At least and at most.
    accesses: (u64, u64),
    ended: Is,
    /// Whether a reaper had it, and whether one was told that this is over.
    claimed: bool,
    settled: Is,
}

impl Known {
    /// Whether its caller knows that it is live, and what its present version is.
    fn is_certain(&self) -> bool {
        let last = self.values.len() - 1;
        self.created == Is::Surely && self.ended == Is::No && self.since == last
    }

    fn may_be(&self, found: Option<&Record>) -> bool {
        match found {
            None => self.created < Is::Surely || self.ended > Is::No,
            Some(record) => {
                let (least, most) = self.accesses;
                let value = |value: &u64| {
                    record.version == version(*value) && record.payload == payload(*value)
                };
                self.ended < Is::Surely
                    && self.values[self.since..].iter().any(value)
                    && (least..=most).contains(&record.accesses)
            }
        }
    }
}

impl Checker {
    pub(crate) fn of(ns: &Namespace) -> Self {
        Self {
            ns: ns.clone(),
            drawn: AtomicU64::new(1),
            acknowledged: AtomicU64::new(0),
            unavailable: AtomicU64::new(0),
            known: Mutex::default(),
        }
    }

    /// How many calls were acknowledged.
    pub(crate) fn acknowledged(&self) -> u64 {
        self.acknowledged.load(Ordering::SeqCst)
    }

    /// How many calls were answered with "perhaps".
    pub(crate) fn unavailable(&self) -> u64 {
        self.unavailable.load(Ordering::SeqCst)
    }

    pub(crate) async fn create(&self, store: &dyn SessionStore) -> SessionId {
        let number = self.draw();
        let known = Known {
            created: Is::Perhaps,
            values: vec![number],
            since: 0,
            accesses: (1, 1),
            ended: Is::No,
            claimed: false,
            settled: Is::No,
        };
        let id = id(number);
        self.known.lock().expect("not poisoned").insert(id, known);
        let created = store.create(&self.ns, &endless(number), at(0)).await;
        if let Some(created) = self.heard(created) {
            assert_eq!(created, Created::Done, "{id} was nobody's");
            self.note(id, |known| known.created = Is::Surely);
        }
        id
    }

    /// Nothing, if its caller does not know what there is to change.
    pub(crate) async fn update(&self, store: &dyn SessionStore, id: SessionId) {
        let value = self.draw();
        let expected = self.note(id, |known| {
            let expected = known.is_certain().then(|| known.values[known.since]);
            if expected.is_some() {
                known.values.push(value);
                known.accesses.1 += 1;
            }
            expected
        });
        let Some(expected) = expected else {
            return;
        };
        let mut change = counted(value);
        change.payload = Some(payload(value));
        let (expected, ns) = (version(expected), &self.ns);
        let updated = store.update(ns, id, expected, &change, at(0)).await;
        if let Some(updated) = self.heard(updated) {
            assert_eq!(updated, Updated::Done, "{id} is live and nobody else's");
            self.note(id, |known| {
                known.since = known.values.len() - 1;
                known.accesses.0 += 1;
            });
        }
    }

    pub(crate) async fn touch(&self, store: &dyn SessionStore, id: SessionId) {
        if !self.note(id, |known| known.is_certain()) {
            return;
        }
        self.note(id, |known| known.accesses.1 += 1);
        let touched = store.touch(&self.ns, id, at(0)).await;
        if let Some(touched) = self.heard(touched) {
            assert!(touched, "{id} is live");
            self.note(id, |known| known.accesses.0 += 1);
        }
    }

    pub(crate) async fn load(&self, store: &dyn SessionStore, id: SessionId) {
        let loaded = store.load(&self.ns, id, at(0)).await;
        if let Some(found) = self.heard(loaded) {
            self.note(id, |known| {
                assert!(
                    known.may_be(found.as_ref()),
                    "{id}: {known:?}, is {found:?}"
                );
            });
        }
    }

    pub(crate) async fn end(&self, store: &dyn SessionStore, id: SessionId) {
        if !self.note(id, |known| {
            known.created == Is::Surely && known.ended == Is::No
        }) {
            return;
        }
        self.note(id, |known| known.ended = Is::Perhaps);
        let (reason, after) = (EndReason::Logout, After::Queue);
        let ended = store.end(&self.ns, id, None, reason, after, at(0)).await;
        if let Some(ended) = self.heard(ended) {
            assert!(ended.is_some(), "{id} was live until now");
            self.note(id, |known| known.ended = Is::Surely);
        }
    }

    /// One round of a reaper whose hooks succeed.
    pub(crate) async fn reap(&self, store: &dyn SessionStore) {
        let claimed = store.claim(&self.ns, LEASE, 20, at(0)).await;
        let Some(claimed) = self.heard(claimed) else {
            return;
        };
        let done = self.hooks(&claimed.ended);
        let settled = store.settle(&self.ns, &done, at(0)).await;
        if let Some(settled) = self.heard(settled) {
            assert_eq!(settled, done.len() as u64, "the lease still holds");
            self.settled(&claimed.ended);
        }
    }

    /// One session from its beginning to its end, or to where nobody knows any more.
    pub(crate) async fn live(&self, store: &dyn SessionStore) {
        let id = self.create(store).await;
        for _ in 0..3 {
            self.update(store, id).await;
            self.touch(store, id).await;
            self.load(store, id).await;
        }
        if id.as_bytes()[0].is_multiple_of(2) {
            self.end(store, id).await;
        }
    }

    /// Forgives what the servers said they may lose with one of them: all but ends.
    pub(crate) fn forgive_all_but_ends(&self) {
        for known in self.known.lock().expect("not poisoned").values_mut() {
            known.created = Is::Perhaps;
            known.since = 0;
            known.accesses.0 = 1;
            known.settled = known.settled.min(Is::Perhaps);
        }
    }

    /// A call's answer; nothing, if nobody knows whether it happened.
    fn heard<T>(&self, answer: Result<T, Error>) -> Option<T> {
        match answer {
            Ok(answer) => {
                self.acknowledged.fetch_add(1, Ordering::SeqCst);
                Some(answer)
            }
            Err(error) => {
                assert!(error.is_unavailable(), "it could be tried again: {error:?}");
                self.unavailable.fetch_add(1, Ordering::SeqCst);
                None
            }
        }
    }

    /// Notes whose hooks ran.
    fn hooks(&self, ended: &[Ended]) -> Vec<(Ticket, Outcome)> {
        for ended in ended {
            let id = ended.record.id;
            self.note(id, |known| {
                assert!(known.ended > Is::No, "{id}: nobody ended it");
                assert!(known.settled < Is::Surely, "{id}: its hook had run");
                known.claimed = true;
                // Until the answer comes.
                known.settled = Is::Perhaps;
            });
        }
        let done = ended.iter().map(|ended| (ended.ticket(), Outcome::Done));
        done.collect()
    }

    fn settled(&self, ended: &[Ended]) {
        for ended in ended {
            self.note(ended.record.id, |known| known.settled = Is::Surely);
        }
    }

    fn note<T>(&self, id: SessionId, note: impl FnOnce(&mut Known) -> T) -> T {
        let mut known = self.known.lock().expect("not poisoned");
        note(known.get_mut(&id).expect("it was created here"))
    }

    fn draw(&self) -> u64 {
        self.drawn.fetch_add(1, Ordering::SeqCst)
    }
}
