//! The checker sees what it is there to see: each lie is told to it once.

use tenure_conformance::props::{at, counted, endless, id, payload, version};
use tenure_conformance::story::Story as _;
use tenure_store::{After, EndReason, SessionStore};

use crate::line::{connect, opened};
use crate::support::checker::Checker;

/// Two sessions that their caller knows of, 1 and 2; then something happens behind the
/// checker's back.
async fn behind_its_back<F>(then: impl FnOnce(Told) -> F)
where
    F: Future<Output = Told>,
{
    let store = connect("memory:").await;
    let checker = opened(&store).await;
    for _ in 0..2 {
        checker.create(&*store).await;
    }
    let told = then(Told { store, checker }).await;
    told.checker.check(&*told.store, &*told.store).await;
}

struct Told {
    store: std::sync::Arc<dyn SessionStore>,
    checker: std::sync::Arc<Checker>,
}

impl Told {
    async fn ends_one(&self, after: After) {
        let (ns, reason) = (&self.checker.ns, EndReason::Logout);
        let ended = self.store.end(ns, id(1), None, reason, after, at(0)).await;
        assert!(ended.expect("answers").is_some());
    }
}

#[tokio::test]
async fn the_truth_is_no_lie() {
    behind_its_back(|told| async {
        for _ in 0..20 {
            told.checker.live(&*told.store).await;
            told.checker.reap(&*told.store).await;
        }
        told
    })
    .await;
}

#[tokio::test]
#[should_panic(expected = "is None")]
async fn a_lost_session_is_noticed() {
    behind_its_back(|told| async {
        told.ends_one(After::Discard).await;
        told
    })
    .await;
}

#[tokio::test]
#[should_panic(expected = "is Some")]
async fn a_session_that_came_back_is_noticed() {
    behind_its_back(|told| async {
        told.checker.end(&*told.store, id(1)).await;
        told.checker.reap(&*told.store).await;
        let again = told.store.put(&told.checker.ns, &endless(1)).await;
        again.expect("its id is free");
        told
    })
    .await;
}

#[tokio::test]
#[should_panic(expected = "is Some")]
async fn a_lost_update_is_noticed() {
    behind_its_back(|told| async {
        told.checker.update(&*told.store, id(1)).await;
        // As it was before.
        let mut change = counted(1);
        change.payload = Some(payload(1));
        let ns = &told.checker.ns;
        let found = told.store.load(ns, id(1), at(0)).await.expect("answers");
        let present = found.expect("it is live").version;
        assert_ne!(present, version(1));
        let back = told.store.update(ns, id(1), present, &change, at(0)).await;
        assert_eq!(back.expect("answers"), tenure_store::Updated::Done);
        told
    })
    .await;
}

#[tokio::test]
#[should_panic(expected = "is Some")]
async fn an_access_too_many_is_noticed() {
    behind_its_back(|told| async {
        let touched = told.store.touch(&told.checker.ns, id(1), at(0)).await;
        assert!(touched.expect("answers"));
        told
    })
    .await;
}

#[tokio::test]
#[should_panic(expected = "no hook ran")]
async fn a_hook_that_never_ran_is_noticed() {
    behind_its_back(|told| async {
        told.checker.end(&*told.store, id(1)).await;
        let taken = told.store.reap(&told.checker.ns, at(0)).await;
        assert_eq!(taken.expect("answers").len(), 1);
        told
    })
    .await;
}

#[tokio::test]
#[should_panic(expected = "its hook had run")]
async fn a_hook_that_ran_twice_is_noticed() {
    behind_its_back(|told| async {
        told.checker.end(&*told.store, id(1)).await;
        told.checker.reap(&*told.store).await;
        let again = told.store.put(&told.checker.ns, &endless(1)).await;
        again.expect("its id is free");
        told.ends_one(After::Queue).await;
        told
    })
    .await;
}

#[tokio::test]
#[should_panic(expected = "a new node agrees with an old one")]
async fn nodes_that_disagree_are_noticed() {
    let [old, new] = [connect("memory:").await, connect("memory:").await];
    let checker = opened(&old).await;
    checker.create(&*old).await;
    let same = new.open(&checker.ns, tenure_store::Hooks::Expected).await;
    same.expect("opens");
    new.put(&checker.ns, &endless(1))
        .await
        .expect("its id is free");
    // Which its caller never heard of.
    new.put(&checker.ns, &endless(2))
        .await
        .expect("its id is free");
    checker.check(&*old, &*new).await;
}
