//! A caller that begins a call and does not poll it on holds up nobody else, nor does a runtime
//! that goes away with calls under way.

mod support;

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Waker};
use std::time::Duration;

use futures_util::future::join_all;
use support::{IDLE, Place, at, id, portal, put, record, store};
use tenure_sqlite::SqliteStore;
use tenure_store::{
    Access, After, Change, EndReason, Entry, Epoch, Excess, Field, Filter, Hooks, Namespace,
    Outcome, Payload, Principal, PrincipalLimit, Resolve, Result, SessionStore, State, Ticket,
    Version,
};
use tokio::runtime::{Builder, Runtime};
use tokio::task::JoinSet;

type Call<'a> = Pin<Box<dyn Future<Output = Result<()>> + Send + 'a>>;

const LEASE: Duration = Duration::from_mins(1);

/// What the calls are given.
struct Given {
    ns: Namespace,
    alice: Principal,
    change: Change,
    log_in: Change,
    entry: Entry,
    all: Filter,
    tickets: [Ticket; 1],
    outcomes: [(Ticket, Outcome); 1],
}

impl Given {
    fn new() -> Self {
        let alice = Principal::new("alice").expect("a good name");
        let mut change = Change::new(Version::new(77), Access::Counts);
        change.payload = Some(Payload::new("changed"));
        let mut log_in = change.clone();
        log_in.principal = Field::Set(alice.clone());
        log_in.principal_limit = Some(PrincipalLimit {
            sessions: 1,
            excess: Excess::EndOldest(After::Queue),
        });
        let ticket = Ticket {
            id: id(2),
            claim: 1,
        };
        Self {
            ns: portal(),
            alice,
            change,
            log_in,
            entry: Entry {
                record: record(10),
                state: State::Live,
            },
            all: Filter::all(10),
            tickets: [ticket],
            outcomes: [(ticket, Outcome::Done)],
        }
    }

    /// A call of each kind, but closing.
    fn calls<'a>(&'a self, store: &'a SqliteStore) -> Vec<Call<'a>> {
        macro_rules! calls {
            ($($name:ident($($argument:expr),*)),* $(,)?) => {
                vec![$(Box::pin(async move { store.$name($($argument),*).await.map(drop) })),*]
            };
        }
        let (ns, now, first) = (&self.ns, at(1), id(1));
        let (expected, late) = (Version::new(1), at(IDLE));
        calls![
            open(ns, Hooks::Unstated),
            create(ns, &self.entry.record, now),
            load(ns, first, now),
            load(ns, id(3), now),
            touch(ns, first, now),
            update(ns, first, expected, &self.change, now),
            update(ns, first, expected, &self.log_in, now),
            end(ns, first, None, EndReason::Logout, After::Hold(LEASE), now),
            end_principal(ns, &self.alice, Some(id(3)), After::Queue, now),
            reset(ns, now),
            claim(ns, LEASE, 10, late),
            renew(ns, &self.tickets, LEASE, now),
            settle(ns, &self.outcomes, now),
            purge(ns, 10, late),
            inspect(ns, first, now),
            list(ns, &self.all, now),
            list(ns, &self.all, now),
            count(ns, now),
            namespaces(),
            resolve(ns, id(2), Resolve::Discard, late),
            epoch(ns, first),
            import(ns, &self.entry, Epoch::new(0), now),
            describe(now),
        ]
    }
}

#[tokio::test]
async fn calls_that_are_begun_and_not_polled_on_hold_up_nobody() {
    for (polls, callers) in [(1, 1), (1, 20), (2, 3), (5, 3)] {
        let place = Place::new();
        let options = place.options().readers(1).deadline(Duration::from_secs(10));
        let store = store(options).await;
        for number in 1..4 {
            put(&store, &record(number)).await;
        }
        let given = Given::new();
        let kinds = given.calls(&store).len();
        let mut kept = Vec::new();
        for kind in 0..kinds {
            let mut waits = Context::from_waker(Waker::noop());
            for _ in 0..callers {
                let mut call = given.calls(&store).swap_remove(kind);
                if (0..polls).all(|_| call.as_mut().poll(&mut waits).is_pending()) {
                    kept.push(call);
                }
            }
            // Others are served as if nothing had been begun.
            let others = (0..3).flat_map(|_| given.calls(&store));
            for (number, other) in join_all(others).await.into_iter().enumerate() {
                other.unwrap_or_else(|error| {
                    panic!("{polls} polls of {kind} by {callers}, then {number}: {error}")
                });
            }
        }
        assert!(!kept.is_empty());
        store.close().await.expect("closed");
        drop(kept);
    }
}

#[tokio::test]
async fn lists_that_are_read_slowly_hold_up_nobody() {
    let place = Place::new();
    let store = store(place.options().readers(1).deadline(Duration::from_secs(10))).await;
    put(&store, &record(1)).await;
    let given = Given::new();
    let mut lists: Vec<_> = (0..20)
        .map(|_| Box::pin(store.list(&given.ns, &given.all, at(1))))
        .collect();
    let mut waits = Context::from_waker(Waker::noop());
    for list in &mut lists {
        assert!(list.as_mut().poll(&mut waits).is_pending());
    }
    for _ in 0..10 {
        let page = store.list(&given.ns, &given.all, at(1)).await;
        assert_eq!(page.expect("listed").entries.len(), 1);
        store.count(&given.ns, at(1)).await.expect("counted");
    }
    store.close().await.expect("closed");
}

#[tokio::test]
async fn closing_has_an_end_though_another_process_keeps_its_lock() {
    let place = Place::new();
    let options = place.options().deadline(Duration::from_millis(100));
    let store = store(options).await;
    put(&store, &record(1)).await;
    let outsider = place.outsider();
    outsider.execute_batch("BEGIN IMMEDIATE").expect("locked");
    let portal = portal();
    let touches = (0..100).map(|_| store.touch(&portal, id(1), at(1)));
    let (touched, closed) = tokio::join!(join_all(touches), store.close());
    closed.expect("it gave up what nobody waits for");
    for touched in touched {
        assert!(touched.expect_err("locked").is_unavailable());
    }
    outsider.execute_batch("ROLLBACK").expect("unlocked");
}

fn runtime() -> Runtime {
    let mut runtime = Builder::new_multi_thread();
    runtime.worker_threads(2).enable_all();
    runtime.build().expect("a runtime")
}

async fn some_of_each(store: &SqliteStore) -> Result<()> {
    let ns = portal();
    store.load(&ns, id(1), at(1)).await?;
    store.touch(&ns, id(1), at(1)).await?;
    store.list(&ns, &Filter::all(10), at(1)).await?;
    store.claim(&ns, LEASE, 10, at(1)).await.map(drop)
}

#[test]
fn a_store_whose_runtime_is_gone_serves_the_next_one() {
    let place = Place::new();
    let mut last = runtime();
    let store = Arc::new(last.block_on(async {
        let options = place.options().readers(1).deadline(Duration::from_secs(10));
        let store = store(options).await;
        put(&store, &record(1)).await;
        store
    }));
    for _ in 0..10 {
        for _ in 0..200 {
            let store = Arc::clone(&store);
            last.spawn(async move {
                loop {
                    let _ = some_of_each(&store).await;
                }
            });
        }
        let next = runtime();
        last.block_on(some_of_each(&store))
            .expect("the first serves");
        last.shutdown_background();
        next.block_on(async {
            let mut tasks = JoinSet::new();
            for _ in 0..50 {
                let store = Arc::clone(&store);
                tasks.spawn(async move { some_of_each(&store).await });
            }
            while let Some(served) = tasks.join_next().await {
                served.expect("no panic").expect("served");
            }
        });
        last = next;
    }
    last.block_on(store.close()).expect("closed");
}
