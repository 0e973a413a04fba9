//! A node dies at any of its calls, before or after the store has done it; another one
//! goes on.

use std::sync::Arc;

use tenure::MigratingStore;
use tenure_conformance::props::{IDLE, LEASE, MINUTE, at, id, payload, record};
use tenure_conformance::story::Story;
use tenure_memory::MemoryStore;
use tenure_store::{
    Access, After, Change, Created, EndReason, Field, Hooks, Outcome, SessionStore, State, Timeout,
    Updated, Version,
};

use crate::line::{Death, Life};
use crate::pairs::{Pair, World};

/// More calls than any of these operations makes.
const MANY: u64 = 60;
/// When no lease of a node that has died runs any longer.
pub(crate) const LATER: i64 = MINUTE + 1;

/// Does something on nodes that die at their first call, at their second, and so on, each
/// in a world of its own with one session in the old store, until one lives through it;
/// and each time looks at what is left.
async fn for_every_death<A, B>(pair: &Pair, dying: A, after: B)
where
    A: AsyncFn(&World, &MigratingStore) -> bool,
    B: AsyncFn(&World, &str),
{
    for death in [Death::Before, Death::After] {
        let mut lived = false;
        for last in 0..MANY {
            let world = pair.world().await;
            world.born_before(1).await;
            let life = Life::until(last, death);
            let done = dying(&world, &world.mortal(&life)).await;
            let story = format!("died {death:?} call {last}, done: {done}");
            after(&world, &story).await;
            if !life.has_died() {
                assert!(done && last > 2, "{story}: it does its work");
                lived = true;
                break;
            }
        }
        assert!(lived, "an operation has an end");
    }
}

async fn touched(world: &World, node: &MigratingStore) -> bool {
    node.touch(&world.ns, id(1), at(1))
        .await
        .is_ok_and(|live| live)
}

pub(crate) async fn a_node_that_dies_while_it_carries_a_session_logs_nobody_out(pair: &Pair) {
    for_every_death(pair, touched, async |world, story| {
        let (node, ns) = (world.node(), &world.ns);
        // At once, it can be seen as it was, once.
        let seen = node.load(ns, id(1), at(2)).await.expect("answers");
        assert_eq!(seen.expect(story).payload, payload(1), "{story}");
        let all = node.everything(ns, at(2)).await.expect("answers");
        assert_eq!(all.len(), 1, "{story}");
        assert_eq!(all[0].state, State::Live, "{story}");
        let entry = node.inspect(ns, id(1), at(2)).await.expect("answers");
        assert_eq!(entry.as_ref(), all.first(), "{story}");
        assert_eq!(
            node.count(ns, at(2)).await.expect("answers").live,
            1,
            "{story}"
        );
        let created = node.create(ns, &record(1), at(2)).await.expect("answers");
        assert_eq!(created, Created::Exists, "{story}");
        // No reaper runs its hook.
        assert_eq!(
            node.claim_all(ns, at(2)).await.expect("answers"),
            [],
            "{story}"
        );

        // And when the lease is over at the latest, it can be used.
        let change = Change::new(Version::new(7), Access::Counts);
        let updated = node
            .update(ns, id(1), record(1).version, &change, at(LATER))
            .await;
        assert_eq!(updated.expect("answers"), Updated::Done, "{story}");
        let hook = node
            .end(ns, id(1), None, EndReason::Logout, After::Queue, at(LATER))
            .await;
        assert!(hook.expect("answers").is_some(), "{story}");
        let hooks = world.reap_to_the_end(LATER).await;
        assert_eq!(hooks, [(id(1), EndReason::Logout)], "{story}");
        nothing_is_left(world, story).await;
    })
    .await;
}

pub(crate) async fn what_is_ended_after_a_crash_stays_ended(pair: &Pair) {
    ended_after_a_crash(pair, After::Hold(LEASE)).await;
}

pub(crate) async fn what_is_discarded_after_a_crash_stays_ended(pair: &Pair) {
    ended_after_a_crash(pair, After::Discard).await;
}

/// As soon as another node can end it, it is ended for good: whatever the dead one left.
async fn ended_after_a_crash(pair: &Pair, after: After) {
    for_every_death(pair, touched, async |world, story| {
        let (node, ns) = (world.node(), &world.ns);
        let mut ended = None;
        for now in [2, LATER] {
            let end = node
                .end(ns, id(1), None, EndReason::Logout, after, at(now))
                .await;
            match end {
                Ok(end) => {
                    ended = end;
                    break;
                }
                Err(error) => assert!(error.is_unavailable() && now == 2, "{story}: {error}"),
            }
        }
        let ended = ended.expect(story);
        if after != After::Discard {
            let done = node
                .settle_one(ns, ended.ticket(), Outcome::Done, at(LATER))
                .await;
            assert!(done.expect("answers"), "{story}");
        }
        for now in [3, LATER, 3 * LATER] {
            assert_eq!(
                node.load(ns, id(1), at(now)).await.expect("answers"),
                None,
                "{story}"
            );
            assert!(
                !node.touch(ns, id(1), at(now)).await.expect("answers"),
                "{story}"
            );
        }
        assert_eq!(world.reap_to_the_end(3 * LATER).await, [], "{story}");
        nothing_is_left(world, story).await;
    })
    .await;
}

pub(crate) async fn what_is_purged_after_a_crash_stays_ended(pair: &Pair) {
    for_every_death(pair, touched, async |world, story| {
        let (node, ns) = (world.node(), &world.ns);
        node.open(ns, Hooks::Withdrawn).await.expect("opens");
        // Shortened where it has arrived, so that it is over long before what was left of
        // it is.
        let mut change = Change::new(Version::new(7), Access::Passive);
        change.lifetime = Field::Set(Timeout::from_millis(5).expect("good"));
        let updated = node
            .update(ns, id(1), record(1).version, &change, at(3))
            .await;
        let arrived = updated.is_ok_and(|updated| updated == Updated::Done);
        let purged = node.purge(ns, 10, at(6)).await.expect("answers");
        assert_eq!(purged.removed, u64::from(arrived), "{story}");
        assert_eq!(
            node.claim_all(ns, at(LATER)).await.expect("answers"),
            [],
            "{story}"
        );
        let live = node
            .load(ns, id(1), at(LATER))
            .await
            .expect("answers")
            .is_some();
        assert_eq!(live, !arrived, "{story}");
    })
    .await;
}

/// Its end is found by a reaper, and its hook runs once, whatever the dead node left.
pub(crate) async fn what_runs_out_after_a_crash_stays_over(pair: &Pair) {
    for_every_death(pair, touched, async |world, story| {
        let (node, ns) = (world.node(), &world.ns);
        // Over long before what was left of it is.
        let mut change = Change::new(Version::new(7), Access::Passive);
        change.lifetime = Field::Set(Timeout::from_millis(5).expect("good"));
        let expected = record(1).version;
        let mut updated = node.update(ns, id(1), expected, &change, at(3)).await;
        if updated.is_err() {
            updated = node.update(ns, id(1), expected, &change, at(LATER)).await;
        }
        assert_eq!(updated.expect("answers"), Updated::Done, "{story}");
        let ended = node.claim_one(ns, at(6)).await.expect("answers");
        let done = node
            .settle_one(ns, ended.ticket(), Outcome::Done, at(7))
            .await;
        assert!(done.expect("answers"), "{story}");
        for now in [7, LATER, 3 * LATER] {
            let seen = node.load(ns, id(1), at(now)).await.expect("answers");
            assert_eq!(seen, None, "{story}");
        }
        assert_eq!(world.reap_to_the_end(LATER).await, [], "{story}");
        nothing_is_left(world, story).await;
    })
    .await;
}

pub(crate) async fn a_reset_after_a_crash_ends_what_was_on_its_way(pair: &Pair) {
    for_every_death(pair, touched, async |world, story| {
        let (node, ns) = (world.node(), &world.ns);
        node.reset(ns, at(2)).await.expect("at once");
        assert_eq!(
            node.load(ns, id(1), at(3)).await.expect("answers"),
            None,
            "{story}"
        );
        assert!(
            !node.touch(ns, id(1), at(LATER)).await.expect("answers"),
            "{story}"
        );
        let hooks = world.reap_to_the_end(LATER).await;
        assert_eq!(hooks, [(id(1), EndReason::ApplicationReset)], "{story}");
        nothing_is_left(world, story).await;
    })
    .await;
}

pub(crate) async fn a_node_that_dies_while_it_resets_leaves_a_reset_that_can_be_repeated(
    pair: &Pair,
) {
    let resetting = async |world: &World, node: &MigratingStore| {
        // One is on its way, one has arrived, one has not set out.
        world.born_before(2).await;
        world.born_before(3).await;
        let healthy = world.node();
        assert!(
            healthy
                .touch(&world.ns, id(2), at(1))
                .await
                .expect("answers")
        );
        let life = Life::until(4, Death::After);
        let _ = world.mortal(&life).touch(&world.ns, id(3), at(1)).await;
        node.reset(&world.ns, at(2)).await.is_ok()
    };
    for_every_death(pair, resetting, async |world, story| {
        let (node, ns) = (world.node(), &world.ns);
        node.reset(ns, at(3)).await.expect("answers");
        assert_eq!(
            node.count(ns, at(4)).await.expect("answers").live,
            0,
            "{story}"
        );
        let mut hooks = world.reap_to_the_end(LATER).await;
        let place = |of| (1..=3).position(|number| id(number) == of);
        hooks.sort_by_key(|(of, _)| place(*of));
        let reset = EndReason::ApplicationReset;
        assert_eq!(
            hooks,
            [(id(1), reset), (id(2), reset), (id(3), reset)],
            "{story}"
        );
        nothing_is_left(world, story).await;
    })
    .await;
}

pub(crate) async fn a_node_that_dies_while_it_claims_loses_no_hook(pair: &Pair) {
    let claiming = async |world: &World, node: &MigratingStore| {
        world.born_before(2).await;
        let logout = world
            .old
            .end(
                &world.ns,
                id(2),
                None,
                EndReason::Logout,
                After::Queue,
                at(1),
            )
            .await;
        assert!(logout.expect("answers").is_some());
        node.claim(&world.ns, LEASE, 10, at(IDLE)).await.is_ok()
    };
    for_every_death(pair, claiming, async |world, story| {
        let node = world.node();
        for number in [1, 2] {
            let live = node
                .load(&world.ns, id(number), at(IDLE))
                .await
                .expect("answers");
            assert_eq!(live, None, "{story}");
        }
        let mut hooks = world.reap_to_the_end(IDLE + LATER).await;
        hooks.sort_by_key(|(_, reason)| *reason);
        let expected = [(id(2), EndReason::Logout), (id(1), EndReason::IdleTimeout)];
        assert_eq!(hooks, expected, "{story}");
        nothing_is_left(world, story).await;
    })
    .await;
}

/// However much waits in the old store for its end hook.
pub(crate) async fn what_a_dead_node_left_waits_for_no_backlog(pair: &Pair) {
    const BACKLOG: u64 = 120;
    let world = pair.world().await;
    let ns = &world.ns;
    for number in 2..2 + BACKLOG {
        world.born_before(number).await;
        let (reason, queue) = (EndReason::Logout, After::Queue);
        let ended = world
            .old
            .end(ns, id(number), None, reason, queue, at(1))
            .await;
        assert!(ended.expect("answers").is_some());
    }
    world.born_before(1).await;
    let dying = world.mortal(&Life::until(4, Death::After));
    assert!(!touched(&world, &dying).await);

    let touched = world.node().touch(ns, id(1), at(LATER)).await;
    assert!(touched.expect("answers"), "its lease is over");
    let left = world.old.count(ns, at(LATER)).await.expect("answers");
    assert!(left.waiting > 100, "the others were left: {left:?}");
    let mut hooks = world.reap_to_the_end(LATER).await;
    hooks.retain(|(of, reason)| *of != id(1) && *reason == EndReason::Logout);
    assert_eq!(hooks.len() as u64, BACKLOG);
}

/// A claim in the old store that nobody receives, as the new one takes nothing, is no attempt
/// at an end hook: however long that lasts, the hook is run, and is not given up unrun.
pub(crate) async fn a_new_store_that_refuses_costs_no_attempt(pair: &Pair) {
    let world = pair.world().await;
    let ns = &world.ns;
    world.born_before(1).await;
    let (reason, queue) = (EndReason::Logout, After::Queue);
    let ended = world.old.end(ns, id(1), None, reason, queue, at(1)).await;
    assert!(ended.expect("answers").is_some());
    let full: Arc<dyn SessionStore> = Arc::new(MemoryStore::new().with_payload_limit(0));
    full.open(ns, Hooks::Expected).await.expect("opens");
    let refused = MigratingStore::new(Arc::clone(&world.old), full);
    for lease in 0..20 {
        let claimed = refused.claim(ns, LEASE, 10, at(2 + lease * LATER)).await;
        assert_eq!(claimed.expect("answers").ended, []);
    }
    let claimed = world.node().claim_one(ns, at(2 + 20 * LATER)).await;
    let tombstone = claimed.expect("it comes in the end").tombstone;
    assert_eq!((tombstone.unsettled, tombstone.failures), (1, 0));
    assert_eq!(tombstone.end.reason, reason);
}

pub(crate) async fn nothing_is_left(world: &World, story: &str) {
    for store in [&world.old, &world.new] {
        assert_eq!(world.all_in(store, at(3 * LATER)).await, [], "{story}");
    }
}
