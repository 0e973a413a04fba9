//! A look at what moves in the middle of the look.

use tenure::MigratingStore;
use tenure_conformance::props::{at, id};
use tenure_conformance::story::Story;
use tenure_store::{Filter, SessionStore, State, Status};
use tokio::task::JoinHandle;

use crate::line::{Death, Life};
use crate::pairs::{Pair, World};

/// Looks with nodes that fall asleep after their first call, after their second, and so
/// on; meanwhile another node moves the session.
async fn look_asleep<T, L>(look: L) -> Vec<T>
where
    T: Send + 'static,
    L: Fn(&World, MigratingStore) -> JoinHandle<T>,
{
    let mut seen = Vec::new();
    for last in 0..4 {
        let world = Pair::of("memory", "memory").world().await;
        world.born_before(1).await;
        let sleepy = world.mortal(&Life::until(last, Death::Asleep));
        let looking = look(&world, sleepy);
        // Until it sleeps: time stands still as long as anybody has something to do.
        for _ in 0..100 {
            tokio::task::yield_now().await;
        }
        let moved = world.node().touch(&world.ns, id(1), at(1)).await;
        assert!(moved.expect("answers"));
        assert_eq!(world.all_in(&world.old, at(1)).await, []);
        seen.push(looking.await.expect("no panic"));
    }
    seen
}

#[tokio::test(start_paused = true)]
async fn a_session_that_moves_is_loaded() {
    let loaded = look_asleep(|world, node| {
        let ns = world.ns.clone();
        tokio::spawn(async move { node.load(&ns, id(1), at(1)).await })
    });
    for record in loaded.await {
        assert_eq!(
            record
                .expect("answers")
                .expect("it was live all the time")
                .id,
            id(1)
        );
    }
}

#[tokio::test(start_paused = true)]
async fn a_session_that_moves_is_inspected() {
    let inspected = look_asleep(|world, node| {
        let ns = world.ns.clone();
        tokio::spawn(async move { node.inspect(&ns, id(1), at(1)).await })
    });
    for entry in inspected.await {
        let entry = entry.expect("answers").expect("it was there all the time");
        assert_eq!(entry.state, State::Live);
    }
}

#[tokio::test(start_paused = true)]
async fn a_session_that_moves_is_listed_once() {
    for status in [None, Some(Status::Live)] {
        let listed = look_asleep(|world, node| {
            let ns = world.ns.clone();
            let filter = Filter {
                status,
                ..Filter::all(1)
            };
            tokio::spawn(async move { node.scan(&ns, &filter, at(1)).await })
        });
        for entries in listed.await {
            let entries = entries.expect("answers");
            assert_eq!(entries.len(), 1);
            assert_eq!(entries[0].state, State::Live);
        }
    }
}
