//! A node falls asleep between two of its calls, and wakes up in another world.

use tenure::MigratingStore;
use tenure_conformance::props::{at, id};
use tenure_conformance::story::Story;
use tenure_store::{After, EndReason, Filter, SessionStore, State, Status};
use tokio::task::JoinHandle;

use crate::crashes::{LATER, nothing_is_left};
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

/// At any call a carrier falls asleep; meanwhile another node finishes the move, and the
/// user logs out. When it wakes up, it brings nothing back.
#[tokio::test(start_paused = true)]
async fn a_carrier_that_falls_asleep_brings_nothing_back() {
    for last in 0..8 {
        let world = Pair::of("memory", "memory").world().await;
        world.born_before(1).await;
        let sleepy = world.mortal(&Life::until(last, Death::Asleep));
        let ns = world.ns.clone();
        let carrying = tokio::spawn(async move { sleepy.touch(&ns, id(1), at(1)).await });
        // Until it sleeps: time stands still as long as anybody has something to do.
        for _ in 0..100 {
            tokio::task::yield_now().await;
        }
        let (node, ns, story) = (world.node(), &world.ns, format!("asleep at call {last}"));
        let discard = After::Discard;
        let ended = node
            .end(ns, id(1), None, EndReason::Logout, discard, at(LATER))
            .await;
        assert!(ended.expect("answers").is_some(), "{story}");
        nothing_is_left(&world, &story).await;
        let woken = carrying.await.expect("no panic");
        assert!(!woken.is_ok_and(|live| live && last < 7), "{story}");
        nothing_is_left(&world, &story).await;
    }
}
