//! A store that outlives the runtime it was made on, as one in a `static` does that several
//! tests share.

use std::sync::Arc;

use tenure_conformance::props::record;
use tenure_conformance::story::Story as _;
use tenure_store::SessionStore;
use tokio::runtime::{Builder, Runtime};
use tokio::task::JoinSet;

use crate::base::{Base, connect, portal};
use crate::calls::{Neglected, call};

const TASKS: u64 = 50;

fn single() -> Runtime {
    let runtime = Builder::new_current_thread().enable_all().build();
    runtime.expect("a runtime can be built")
}

fn multi() -> Runtime {
    let mut builder = Builder::new_multi_thread();
    let runtime = builder.worker_threads(2).enable_all().build();
    runtime.expect("a runtime can be built")
}

/// A store that is made on a runtime of its own, which is gone then.
fn orphan() -> (Base, Arc<dyn SessionStore>) {
    let first = multi();
    first.block_on(async {
        let base = Base::new().await;
        base.store().await.close().await.expect("closes");
        let store = connect(&base.hurried(5_000)).await;
        for number in 0..2 * TASKS {
            store.put(&portal(), &record(number)).await.expect("stored");
        }
        (base, store)
    })
}

#[test]
#[ignore = "needs PostgreSQL: run scripts/test"]
fn a_store_serves_one_runtime_after_another() {
    let (base, store) = orphan();
    for round in 0..10 {
        let runtime = if round % 2 == 0 { single() } else { multi() };
        runtime.block_on(async {
            let mut tasks = JoinSet::new();
            for number in 0..TASKS {
                let store = Arc::clone(&store);
                tasks.spawn(async move {
                    for kind in ["load", "touch", "claim", "log in", "update", "load"] {
                        let done = call(&store, kind, number).await;
                        done.unwrap_or_else(|error| panic!("{kind} in {round}: {error:?}"));
                    }
                });
            }
            tasks.join_all().await;
            // Calls of every kind are under way when it ends, in tasks and in the callers' hands.
            let kinds = ["load", "touch", "claim", "log in", "end"]
                .into_iter()
                .cycle();
            for (number, kind) in (TASKS..2 * TASKS).zip(kinds) {
                let mut begun = Neglected::new(&store, kind, number);
                begun.step();
                if number % 2 == 0 {
                    tokio::spawn(begun.go_on());
                } else {
                    drop(begun);
                }
            }
        });
    }
    single().block_on(async {
        call(&store, "load", 1).await.expect("answers");
        store.close().await.expect("closes");
    });
    drop(base);
}

#[test]
#[ignore = "needs PostgreSQL: run scripts/test"]
fn calls_of_one_runtime_are_done_though_another_that_served_them_ends() {
    let (base, store) = orphan();
    let other = multi();
    for round in 0..10 {
        let ends = multi();
        // These are begun on the runtime that ends, whose caller does not go on.
        let mut kept: Vec<_> = (0..4)
            .map(|number| Neglected::new(&store, "load", number))
            .collect();
        ends.block_on(async { kept.iter_mut().for_each(Neglected::step) });
        let waits: Vec<_> = (0..TASKS)
            .map(|number| {
                let store = Arc::clone(&store);
                other.spawn(async move { call(&store, "load", number).await })
            })
            .collect();
        drop(ends);
        for waits in waits {
            let done = other.block_on(waits).expect("no panic");
            done.unwrap_or_else(|error| panic!("in {round}: {error:?}"));
        }
        drop(kept);
    }
    other.block_on(store.close()).expect("closes");
    drop(base);
}
