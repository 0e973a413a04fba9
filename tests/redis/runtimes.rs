//! A store and the runtimes that use it; calls whose callers do not look for the answer.

use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;
use tenure_conformance::props::{LEASE, at, counted, id, passive, principal, record, version};
use tenure_conformance::story::Story as _;
use tenure_store::{
    After, Created, EndReason, Excess, Field, Filter, Namespace, PrincipalLimit, Result,
    SessionStore,
};
use tokio::runtime::{Builder, Runtime};
use tokio::task::JoinSet;
use tokio::time::timeout;

use crate::base::{Base, polled, portal};

/// Long enough for a busy machine, and short for a test.
const DEADLINE: u64 = 5_000;
const PATIENCE: Duration = Duration::from_mins(1);

fn runtime(workers: usize) -> Runtime {
    let runtime = Builder::new_multi_thread()
        .worker_threads(workers)
        .enable_all()
        .build();
    runtime.expect("it starts")
}

/// One of each kind of call, from many tasks at once: all are answered.
async fn all_is_well(store: &Arc<dyn SessionStore>, first: u64) {
    let mut tasks = JoinSet::new();
    for number in first..first + 50 {
        let store = Arc::clone(store);
        tasks.spawn(async move {
            let ns = portal();
            let created = store.create(&ns, &record(number), at(0)).await;
            assert_eq!(created.expect("answers"), Created::Done);
            let loaded = store.load(&ns, id(number), at(1)).await;
            assert!(loaded.expect("answers").is_some());
            assert!(store.touch(&ns, id(number), at(1)).await.expect("answers"));
            let page = store.list(&ns, &Filter::all(5), at(1)).await;
            assert!(!page.expect("answers").entries.is_empty());
            let claimed = store.claim(&ns, LEASE, 10, at(1)).await;
            claimed.expect("answers");
        });
    }
    while let Some(task) = tasks.join_next().await {
        task.expect("each is answered");
    }
}

fn a_store_outlives_its_runtimes(backend: &str) {
    let outer = runtime(2);
    let base = outer.block_on(Base::of(backend));
    let mut present = runtime(2);
    let store = present.block_on(async {
        let store = base.within(DEADLINE).await;
        store.put(&portal(), &record(0)).await.expect("answers");
        store
    });
    for round in 0..10 {
        // Calls of each kind are under way when it goes.
        for task in 0..200 {
            let store = Arc::clone(&store);
            present.spawn(async move {
                let ns = portal();
                loop {
                    let _ = store.load(&ns, id(0), at(1)).await;
                    if task % 10 == 0 {
                        let _ = store.touch(&ns, id(0), at(1)).await;
                        let _ = store.list(&ns, &Filter::all(5), at(1)).await;
                    }
                }
            });
        }
        present.block_on(async {
            for _ in 0..20 {
                let loaded = store.load(&portal(), id(0), at(1)).await;
                assert!(loaded.expect("answers").is_some());
            }
        });
        let gone = std::mem::replace(&mut present, runtime(if round % 2 == 0 { 1 } else { 4 }));
        gone.shutdown_background();
        present.block_on(all_is_well(&store, 1 + 50 * round));
    }
    present.block_on(store.close()).expect("closes");
}

#[test]
#[ignore = "needs Redis: run scripts/test"]
fn a_store_outlives_the_runtime_it_was_made_on() {
    a_store_outlives_its_runtimes("redis");
}

/// One that nobody drives: neither gone, nor at work.
#[test]
#[ignore = "needs Redis: run scripts/test"]
fn a_runtime_that_stands_still_is_in_nobodys_way() {
    let still = Builder::new_current_thread().enable_all().build();
    let still = still.expect("it starts");
    let (base, store) = still.block_on(async {
        let base = Base::new().await;
        let store = base.within(DEADLINE).await;
        let ns = portal();
        store.put(&ns, &record(0)).await.expect("answers");
        // Begun there, and never gone on with.
        for _ in 0..20 {
            let store = Arc::clone(&store);
            tokio::spawn(async move { store.load(&portal(), id(0), at(1)).await });
        }
        tokio::task::yield_now().await;
        (base, store)
    });
    let other = runtime(2);
    other.block_on(all_is_well(&store, 1));
    drop((other, store, base));
}

/// Every kind of call.
fn every_call<'a>(
    store: &'a dyn SessionStore,
    ns: &'a Namespace,
    number: u64,
) -> Vec<BoxFuture<'a, Result<()>>> {
    let own = id(number);
    let limited = move || {
        let mut change = counted(number + 1_000);
        change.principal = Field::Set(principal("bob"));
        change.principal_limit = Some(PrincipalLimit {
            sessions: 3,
            excess: Excess::Refuse,
        });
        change
    };
    vec![
        async move { store.load(ns, own, at(1)).await.map(drop) }.boxed(),
        async move { store.touch(ns, own, at(1)).await.map(drop) }.boxed(),
        async move { store.create(ns, &record(number), at(1)).await.map(drop) }.boxed(),
        async move {
            let change = passive(number + 2_000);
            let updated = store.update(ns, own, version(number), &change, at(1));
            updated.await.map(drop)
        }
        .boxed(),
        async move {
            let change = limited();
            let updated = store.update(ns, own, version(number), &change, at(1));
            updated.await.map(drop)
        }
        .boxed(),
        async move {
            let ended = store.end(ns, own, None, EndReason::Logout, After::Queue, at(1));
            ended.await.map(drop)
        }
        .boxed(),
        async move {
            let carol = principal("carol");
            let ended = store.end_principal(ns, &carol, None, After::Queue, at(1));
            ended.await.map(drop)
        }
        .boxed(),
        async move { store.claim(ns, LEASE, 1, at(1)).await.map(drop) }.boxed(),
        async move { store.inspect(ns, own, at(1)).await.map(drop) }.boxed(),
        async move { store.list(ns, &Filter::all(5), at(1)).await.map(drop) }.boxed(),
        async move { store.count(ns, at(1)).await.map(drop) }.boxed(),
        async move { store.namespaces().await.map(drop) }.boxed(),
        async move { store.describe(at(1)).await.map(drop) }.boxed(),
        async move { store.open(ns, tenure_store::Hooks::Expected).await }.boxed(),
    ]
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs Redis: run scripts/test"]
async fn a_call_that_is_begun_and_not_looked_after_stops_no_other() {
    let base = Base::new().await;
    let ns = portal();
    for polls in [1, 2, 5] {
        let store = base.within(DEADLINE).await;
        let mut kept = Vec::new();
        for number in 0..6 {
            for mut call in every_call(&*store, &ns, 10_000 * polls + number) {
                polled(&mut call, polls).await;
                kept.push(call);
            }
        }
        all_is_well(&store, 100_000 * polls).await;
        let closing = timeout(PATIENCE, store.close()).await;
        closing
            .expect("it ends")
            .expect("all that began is through");
        drop(kept);
    }
}

/// The very first call of a store makes its connections, for all.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs Redis: run scripts/test"]
async fn a_first_call_that_is_not_looked_after_stops_no_other() {
    let base = Base::new().await;
    let ns = portal();
    base.store().await.close().await.expect("closes");
    for polls in [1, 2, 5] {
        let store = base.connect().await.expect("connects");
        let mut kept = every_call(&*store, &ns, polls);
        for call in &mut kept {
            polled(call, polls).await;
        }
        all_is_well(&store, 1_000 * polls).await;
        store.close().await.expect("all that began is through");
    }
}

/// A burst, and then silence: nobody comes later who would take up what was left.
#[test]
#[ignore = "needs Redis: run scripts/test"]
fn a_burst_that_ends_in_silence_is_served_to_the_last() {
    let outer = runtime(1);
    let base = outer.block_on(Base::new());
    for workers in [1, 4] {
        let runtime = runtime(workers);
        runtime.block_on(async {
            let store = base.within(20_000).await;
            let _ = store.create(&portal(), &record(0), at(0)).await;
            for burst in [65, 66, 129, 300, 500].into_iter().cycle().take(50) {
                let mut tasks = JoinSet::new();
                for caller in 0..burst {
                    let store = Arc::clone(&store);
                    tasks.spawn(async move {
                        let ns = portal();
                        if caller % 16 == 15 {
                            store.touch(&ns, id(0), at(1)).await.map(|_| true)
                        } else {
                            store.load(&ns, id(0), at(1)).await.map(|it| it.is_some())
                        }
                    });
                }
                while let Some(task) = tasks.join_next().await {
                    assert!(task.expect("no panic").expect("each is answered"));
                }
            }
            store.close().await.expect("closes");
        });
    }
}

mod redis_cluster {
    #[test]
    #[ignore = "needs Redis Cluster: run scripts/test"]
    fn a_store_outlives_the_runtime_it_was_made_on() {
        super::a_store_outlives_its_runtimes("redis_cluster");
    }
}
