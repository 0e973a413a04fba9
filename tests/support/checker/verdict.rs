//! Whether a store keeps to what callers were told, when the fault is over.

use tenure_conformance::props::{LEASE_MILLIS, at, counted, version};
use tenure_conformance::story::Story as _;
use tenure_store::{Counts, EndReason, Ended, SessionId, SessionStore, Updated, Version};

use super::{Checker, Is, Known};

impl Checker {
    /// That what callers were told is so, on a node that went through it and on a new one;
    /// then ends, reaps and removes everything. The fault must be over.
    ///
    /// # Panics
    /// If something is not as it must be, and says what.
    pub(crate) async fn check(&self, old: &dyn SessionStore, new: &dyn SessionStore) {
        let ids: Vec<_> = self
            .known
            .lock()
            .expect("not poisoned")
            .keys()
            .copied()
            .collect();
        // What was acknowledged is there, and what ended is not.
        for store in [old, new] {
            for id in &ids {
                self.load(store, *id).await;
            }
        }
        let now = at(2 * LEASE_MILLIS);
        let by_old = old.everything(&self.ns, now).await.expect("answers");
        let by_new = new.everything(&self.ns, now).await.expect("answers");
        assert_eq!(by_old, by_new, "a new node agrees with an old one");
        self.every_end_is_told(old, new).await;
        self.what_ended_stays_ended(old, new).await;
        self.a_reset_ends_the_rest(old, new).await;
    }

    /// Once, if it was acknowledged; once more, if nobody knows whether it was.
    async fn every_end_is_told(&self, old: &dyn SessionStore, new: &dyn SessionStore) {
        for (store, leases) in [(old, 2), (new, 4)] {
            let now = at(leases * LEASE_MILLIS);
            let ended = store.claim_all(&self.ns, now).await.expect("answers");
            assert!(
                leases == 2 || ended.is_empty(),
                "they were settled: {ended:?}"
            );
            let done = self.hooks(&ended);
            let settled = store.settle(&self.ns, &done, now).await.expect("answers");
            assert_eq!(settled, done.len() as u64);
            self.settled(&ended);
        }
        for (id, known) in self.known.lock().expect("not poisoned").iter() {
            let told = known.claimed && known.settled > Is::No;
            assert!(
                told || known.ended < Is::Surely,
                "{id} ended, and no hook ran"
            );
        }
    }

    async fn what_ended_stays_ended(&self, old: &dyn SessionStore, new: &dyn SessionStore) {
        for (id, last) in self.surely_ended() {
            for store in [old, new] {
                assert!(!store.touch(&self.ns, id, at(0)).await.expect("answers"));
                let change = counted(self.draw());
                let updated = store.update(&self.ns, id, last, &change, at(0)).await;
                assert_eq!(updated.expect("answers"), Updated::Gone, "{id} is back");
            }
        }
    }

    /// With the version that each had last.
    fn surely_ended(&self) -> Vec<(SessionId, Version)> {
        let known = self.known.lock().expect("not poisoned");
        let ended = known.iter().filter(|(_, known)| known.ended == Is::Surely);
        let last = |known: &Known| version(known.values[known.since]);
        ended.map(|(id, known)| (*id, last(known))).collect()
    }

    async fn a_reset_ends_the_rest(&self, old: &dyn SessionStore, new: &dyn SessionStore) {
        let now = at(6 * LEASE_MILLIS);
        let live = old.count(&self.ns, now).await.expect("answers").live;
        new.reset(&self.ns, now).await.expect("answers");
        assert_eq!(old.count(&self.ns, now).await.expect("answers").live, 0);
        let ended = old.reap(&self.ns, now).await.expect("answers");
        assert_eq!(ended.len() as u64, live, "each has its hook");
        let reset = |ended: &Ended| ended.tombstone.end.reason == EndReason::ApplicationReset;
        assert!(ended.iter().all(reset), "{ended:?}");
        let left = new.count(&self.ns, now).await.expect("answers");
        assert_eq!(left, Counts::default(), "nothing is left");
    }
}
