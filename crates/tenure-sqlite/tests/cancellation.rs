//! A caller that goes away at any point leaves the old state or the new one, and a store
//! that serves the next caller.

mod support;

use std::future::poll_fn;
use std::pin::pin;
use std::task::Poll;
use std::time::Duration;

use support::{IDLE, Place, at, id, portal, put, record};
use tenure_sqlite::SqliteStore;
use tenure_store::{
    Access, After, Change, EndReason, Epoch, Excess, Field, Filter, Hooks, Namespace, Outcome,
    Payload, Principal, PrincipalLimit, Resolve, SessionStore, Ticket, Version,
};

const LEASE: Duration = Duration::from_mins(1);

/// Polls a future up to so many times, each when it asks for it, and then drops it; says
/// whether it came to its end.
async fn polled(times: usize, future: impl Future) -> bool {
    let mut future = pin!(future);
    let mut left = times;
    poll_fn(|context| {
        if left == 0 {
            return Poll::Ready(false);
        }
        left -= 1;
        match future.as_mut().poll(context) {
            Poll::Ready(_) => Poll::Ready(true),
            // The last poll was this one: nobody will wake a future that is dropped.
            Poll::Pending if left == 0 => Poll::Ready(false),
            Poll::Pending => Poll::Pending,
        }
    })
    .await
}

/// Every operation, by number, on session 1; `false` beyond the last.
async fn operation(number: usize, times: usize, store: &SqliteStore) -> Option<bool> {
    let ns = &portal();
    let (first, now) = (id(1), at(1));
    let alice = Principal::new("alice").expect("a good name");
    let ticket = Ticket {
        id: id(2),
        claim: 1,
    };
    let mut change = Change::new(Version::new(77), Access::Counts);
    change.payload = Some(Payload::new("changed"));
    let mut log_in = change.clone();
    log_in.principal = Field::Set(alice.clone());
    log_in.principal_limit = Some(PrincipalLimit {
        sessions: 1,
        excess: Excess::EndOldest(After::Queue),
    });
    let wiki = &Namespace::sessions("wiki").expect("a good name");
    let new = record(9);
    let entry = tenure_store::Entry {
        record: new.clone(),
        state: tenure_store::State::Live,
    };
    let logout = EndReason::Logout;
    Some(match number {
        0 => polled(times, store.open(wiki, Hooks::Expected)).await,
        1 => polled(times, store.create(ns, &new, now)).await,
        2 => polled(times, store.load(ns, first, now)).await,
        3 => polled(times, store.touch(ns, first, now)).await,
        4 => {
            polled(
                times,
                store.update(ns, first, Version::new(1), &change, now),
            )
            .await
        }
        5 => {
            polled(
                times,
                store.end(ns, first, None, logout, After::Hold(LEASE), now),
            )
            .await
        }
        6 => {
            polled(
                times,
                store.end(ns, first, None, logout, After::Discard, now),
            )
            .await
        }
        7 => {
            polled(
                times,
                store.end_principal(ns, &alice, None, After::Queue, now),
            )
            .await
        }
        8 => polled(times, store.reset(ns, now)).await,
        9 => polled(times, store.claim(ns, LEASE, 10, at(IDLE))).await,
        10 => polled(times, store.renew(ns, &[ticket], LEASE, now)).await,
        11 => polled(times, store.settle(ns, &[(ticket, Outcome::Done)], now)).await,
        12 => polled(times, store.purge(ns, 10, at(IDLE))).await,
        13 => polled(times, store.inspect(ns, first, now)).await,
        14 => polled(times, store.list(ns, &Filter::all(10), now)).await,
        15 => polled(times, store.count(ns, now)).await,
        16 => polled(times, store.namespaces()).await,
        17 => polled(times, store.resolve(ns, id(2), Resolve::Discard, at(IDLE))).await,
        18 => polled(times, store.import(ns, &entry, Epoch::new(0), now)).await,
        19 => polled(times, store.describe(now)).await,
        20 => polled(times, store.epoch(ns, first)).await,
        21 => {
            polled(
                times,
                store.update(ns, first, Version::new(1), &log_in, now),
            )
            .await
        }
        22 => polled(times, store.close()).await,
        _ => return None,
    })
}

/// A store with a live session and a held tombstone.
async fn set(place: &Place) -> SqliteStore {
    let store = place.store().await;
    put(&store, &record(1)).await;
    put(&store, &record(2)).await;
    let held = store
        .end(
            &portal(),
            id(2),
            None,
            EndReason::Logout,
            After::Hold(LEASE),
            at(0),
        )
        .await;
    assert!(held.expect("ended").is_some());
    store
}

#[tokio::test]
async fn whatever_is_dropped_the_next_acknowledged_write_lasts() {
    for number in 0.. {
        for times in 0.. {
            let place = Place::new();
            let store = set(&place).await;
            let Some(finished) = operation(number, times, &store).await else {
                assert_eq!(number, 23, "every method of the contract");
                return;
            };
            let store = if number == 22 {
                drop(store);
                place.store().await
            } else {
                store
            };
            // Whether it happened or not, it happened as a whole.
            let entry = store
                .inspect(&portal(), id(1), at(2))
                .await
                .expect("answers");
            if let Some(entry) = entry {
                let changed = entry.record.version == Version::new(77);
                let expected = if changed {
                    Payload::new("changed")
                } else {
                    record(1).payload
                };
                assert_eq!(
                    entry.record.payload, expected,
                    "operation {number}, {times}"
                );
                assert!(!changed || [4, 21].contains(&number));
            }
            let new = store
                .inspect(&portal(), id(9), at(2))
                .await
                .expect("answers");
            assert!(new.is_none_or(|entry| entry.record == record(9)));

            put(&store, &record(50)).await;
            store.close().await.expect("closed");
            let store = place.store().await;
            let loaded = store.load(&portal(), id(50), at(2)).await.expect("answers");
            assert_eq!(loaded, Some(record(50)), "operation {number}, {times}");
            if finished {
                break;
            }
        }
    }
}

#[tokio::test]
async fn a_start_that_is_dropped_leaves_nothing_in_the_way() {
    for times in 0.. {
        let place = Place::new();
        let finished = polled(times, SqliteStore::connect(place.options())).await;
        let store = place.store().await;
        put(&store, &record(1)).await;
        store.close().await.expect("closed");
        if finished {
            assert!(times > 1, "it waited for something");
            return;
        }
    }
}
