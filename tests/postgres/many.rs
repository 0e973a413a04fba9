//! A principal with very many sessions, and operators who look at very many.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use tenure_conformance::props::{LEASE, at, counted, id, principal, record, record_of, version};
use tenure_conformance::story::Story as _;
use tenure_store::{
    After, Change, EndReason, Excess, Field, Filter, Outcome, PrincipalLimit, SessionStore, Status,
    Updated,
};
use tokio::task::JoinSet;
use tokio::time::timeout;

use crate::base::{Base, connect, portal};

const BOUND: Duration = Duration::from_mins(1);

/// A node whose calls have two seconds, where alice has so many sessions; the first is nobody's.
async fn crowd(sessions: u32) -> (Base, Arc<dyn SessionStore>) {
    let base = Base::new().await;
    let store = base.store().await;
    store
        .put(&portal(), &record_of(2, "alice"))
        .await
        .expect("stored");
    base.run(&format!(
        "INSERT INTO tenure_session (ns, id, queue, due_at, created, last_access, accesses, \
         idle_timeout, lifetime, rotation, version, principal, payload) \
         SELECT ns, gen_random_uuid(), queue, due_at, created - n, last_access, accesses, \
         idle_timeout, lifetime, rotation, version, principal, payload \
         FROM tenure_session, generate_series(1, {sessions} - 1) n"
    ))
    .await;
    store.put(&portal(), &record(1)).await.expect("stored");
    store.close().await.expect("closes");
    let store = connect(&base.hurried(2_000)).await;
    (base, store)
}

fn limited(sessions: u32, excess: Excess) -> Change {
    let mut change = counted(100);
    change.principal = Field::Set(principal("alice"));
    change.principal_limit = Some(PrincipalLimit { sessions, excess });
    change
}

/// What others do meanwhile, until they are told that it is over.
fn others(store: &Arc<dyn SessionStore>) -> (JoinSet<()>, Arc<AtomicBool>) {
    let (mut others, over) = (JoinSet::new(), Arc::new(AtomicBool::new(false)));
    for _ in 0..4 {
        let (store, over) = (Arc::clone(store), Arc::clone(&over));
        others.spawn(async move {
            while !over.load(Ordering::SeqCst) {
                let ns = portal();
                store.load(&ns, id(2), at(1)).await.expect("answers");
                store.touch(&ns, id(1), at(1)).await.expect("answers");
            }
        });
    }
    (others, over)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs PostgreSQL: run scripts/test"]
async fn a_log_in_under_a_new_limit_works_however_many_sessions_there_are() {
    for sessions in [10, 1_000, 2_500, 100_000] {
        for after in [After::Queue, After::Discard] {
            let (base, store) = crowd(sessions).await;
            let (meanwhile, over) = others(&store);
            let ns = portal();

            let refuse = limited(3, Excess::Refuse);
            let refused = store.update(&ns, id(1), version(1), &refuse, at(1));
            let refused = refused.await.expect("answers within its deadline");
            assert_eq!(refused, Updated::Full, "{sessions}");

            let stale = limited(3, Excess::EndOldest(after));
            let stale = store.update(&ns, id(1), version(7), &stale, at(1)).await;
            assert_eq!(stale.expect("answers"), Updated::Changed, "{sessions}");

            let log_in = limited(3, Excess::EndOldest(after));
            let logged_in = store.update(&ns, id(1), version(1), &log_in, at(1));
            let logged_in = timeout(BOUND, logged_in).await.expect("in time");
            assert_eq!(logged_in.expect("answers"), Updated::Done, "{sessions}");
            over.store(true, Ordering::SeqCst);
            meanwhile.join_all().await;

            // The newest stay.
            let counts = store.count(&ns, at(1)).await.expect("answers");
            assert_eq!(counts.live, 3, "{sessions}");
            let left = match after {
                After::Queue => u64::from(sessions) - 2,
                _ => 0,
            };
            assert_eq!(counts.waiting, left, "{sessions}");
            assert!(
                store
                    .load(&ns, id(2), at(1))
                    .await
                    .expect("answers")
                    .is_some()
            );
            let (displaced,) = base
                .row::<(i64,)>("SELECT count(*) FROM tenure_session WHERE end_reason <> 9")
                .await;
            assert_eq!(displaced, 0, "{sessions}");
            store.close().await.expect("closes");
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs PostgreSQL: run scripts/test"]
async fn counts_and_lists_again_and_again_hold_up_no_lease() {
    const SESSIONS: u32 = 200_000;
    let (_base, store) = crowd(SESSIONS).await;
    let ns = portal();
    for number in 10..14 {
        store.put(&ns, &record(number)).await.expect("stored");
        let (logout, queue) = (EndReason::Logout, After::Queue);
        let ended = store.end(&ns, id(number), None, logout, queue, at(1)).await;
        assert!(ended.expect("answers").is_some());
    }
    let claimed = store.claim(&ns, LEASE, 4, at(1)).await.expect("answers");
    let tickets: Vec<_> = claimed
        .ended
        .iter()
        .map(tenure_store::Ended::ticket)
        .collect();
    let why = tenure_conformance::props::failure("it failed");
    let dead = [(tickets[0], Outcome::Dead { why })];
    store.settle(&ns, &dead, at(1)).await.expect("answers");

    let over = Arc::new(AtomicBool::new(false));
    let mut walkers = JoinSet::new();
    for _ in 0..2 {
        let (store, over) = (Arc::clone(&store), Arc::clone(&over));
        walkers.spawn(async move {
            let ns = portal();
            let mut counted = 0;
            while !over.load(Ordering::SeqCst) || counted < 3 {
                let counts = store.count(&ns, at(1)).await.expect("answers");
                assert_eq!(counts.live, u64::from(SESSIONS) + 1);
                assert_eq!((counts.held, counts.dead), (3, 1));
                for (status, some) in [(Status::Dead, 1), (Status::Held, 3)] {
                    let filter = Filter {
                        status: Some(status),
                        ..Filter::all(10)
                    };
                    // On the first page, without a look at the others.
                    let page = store.list(&ns, &filter, at(1)).await.expect("answers");
                    assert_eq!((page.entries.len(), page.next), (some, None));
                }
                counted += 1;
            }
        });
    }
    for _ in 0..200 {
        let renewed = store.renew(&ns, &tickets[1..], LEASE, at(1)).await;
        assert_eq!(renewed.expect("answers"), 3);
        assert!(
            store
                .load(&ns, id(2), at(1))
                .await
                .expect("answers")
                .is_some()
        );
    }
    over.store(true, Ordering::SeqCst);
    walkers.join_all().await;
    store.close().await.expect("closes");
}
