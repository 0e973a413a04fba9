//! A node falls asleep between two of its calls, and wakes up in another world.

use std::time::Duration;

use tenure::{MigratingStore, verify};
use tenure_conformance::props::{LEASE, at, id};
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

/// What moves between the two looks is in both figures, and never in none.
#[tokio::test(start_paused = true)]
async fn a_total_is_never_too_low() {
    let verified = look_asleep(|world, node| {
        let ns = world.ns.clone();
        tokio::spawn(async move { verify(&node, &ns, at(1)).await })
    });
    for verification in verified.await {
        let total = verification.expect("answers").total();
        assert!((1..=2).contains(&total), "{total}");
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

/// A node has died with a session on its way. A reset is held up after any of its calls, and
/// meanwhile a reaper claims what the dead one left, and is held up after any of its own, for
/// longer.
#[tokio::test(start_paused = true)]
async fn no_session_outlives_a_reset_whoever_is_held_up() {
    for reset_at in 0..12 {
        for reaper_at in 0..8 {
            let story = format!("reset held up at call {reset_at}, reaper at {reaper_at}");
            let world = Pair::of("memory", "memory").world().await;
            world.born_before(1).await;
            let dying = world.mortal(&Life::until(4, Death::After));
            assert!(dying.touch(&world.ns, id(1), at(1)).await.is_err());

            let resetter = world.mortal(&Life::napping(reset_at, Duration::from_secs(10)));
            let ns = world.ns.clone();
            let resetting = tokio::spawn(async move { resetter.reset(&ns, at(LATER)).await });
            // Until it sleeps: time stands still as long as anybody has something to do.
            for _ in 0..100 {
                tokio::task::yield_now().await;
            }
            let reaper = world.mortal(&Life::napping(reaper_at, Duration::from_secs(20)));
            let ns = world.ns.clone();
            let claim = async move { reaper.claim(&ns, LEASE, 10, at(LATER)).await };
            let claiming = tokio::spawn(claim);

            resetting.await.expect("no panic").expect(&story);
            let _ = claiming.await.expect("no panic");
            let (node, ns) = (world.node(), &world.ns);
            let live = node.load(ns, id(1), at(LATER + 1)).await.expect("answers");
            assert_eq!(live, None, "{story}");
            let touched = node.touch(ns, id(1), at(LATER + 1)).await;
            assert!(!touched.expect("answers"), "{story}");
            let hooks = world.reap_to_the_end(3 * LATER).await;
            assert_eq!(hooks, [(id(1), EndReason::ApplicationReset)], "{story}");
            nothing_is_left(&world, &story).await;
        }
    }
}
