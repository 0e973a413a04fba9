//! What a copy moves, and what it leaves.

use std::sync::Arc;
use std::time::Duration;

use tenure::{CopyOptions, ManualClock, copy, verify};
use tenure_conformance::props::{
    HOUR, IDLE, LEASE, MINUTE, at, endless, failure, id, record, record_of, timeout,
};
use tenure_conformance::story::Story;
use tenure_store::{
    After, EndReason, Entry, ErrorKind, Hooks, Namespace, Outcome, Phase, Record, SessionStore,
    State, Status, Timestamp,
};

use crate::line::{Death, Life};
use crate::pairs::{Pair, World};

fn options(now: Timestamp) -> CopyOptions {
    let clock = Arc::new(ManualClock::new(now));
    CopyOptions::default().batch(3).unbounded().clock(clock)
}

/// Some of everything: 1 to 4 are live, 5 ran out, 6 waits for its hook, 7 waits after it
/// failed twice, 8 is a dead letter, and what 9 was is over by a reset.
async fn some_of_everything(world: &World) {
    let (old, ns) = (&world.old, &world.ns);
    old.put(ns, &endless(9)).await.expect("stored");
    old.reset(ns, at(0)).await.expect("answers");
    for number in 1..=3 {
        old.put(ns, &record_of(number, "alice"))
            .await
            .expect("stored");
    }
    old.put(ns, &endless(4)).await.expect("stored");
    let short = Record {
        idle_timeout: timeout(5),
        ..record(5)
    };
    for number in [7, 8, 6] {
        old.put(ns, &record(number)).await.expect("stored");
        let hold = if number == 6 {
            After::Queue
        } else {
            After::Hold(LEASE)
        };
        let ended = old
            .end(ns, id(number), None, EndReason::Logout, hold, at(1))
            .await;
        let ticket = ended.expect("answers").expect("it was live").ticket();
        let why = failure("no route");
        let outcome = match number {
            7 => Outcome::Retry { at: at(HOUR), why },
            8 => Outcome::Dead { why },
            _ => continue,
        };
        assert!(
            old.settle_one(ns, ticket, outcome, at(2))
                .await
                .expect("answers")
        );
    }
    old.put(ns, &short).await.expect("stored");
}

/// What can be told of a session wherever it lies.
fn told(mut entries: Vec<Entry>) -> Vec<Entry> {
    for entry in &mut entries {
        // A copy makes a tombstone of what is over, as any claim does.
        if let State::Over(end) = entry.state {
            entry.state = State::Ended(tenure_store::Tombstone::new(end));
        }
    }
    entries
}

pub(crate) async fn a_copy_moves_everything_as_it_was(pair: &Pair) {
    let world = pair.world().await;
    some_of_everything(&world).await;
    let (node, ns, now) = (world.node(), &world.ns, at(10));
    let before = told(node.everything(ns, now).await.expect("answers"));
    assert_eq!(
        before,
        told(world.all_in(&world.old, now).await),
        "seen through the node"
    );
    let total = verify(&node, ns, now).await.expect("answers").total();

    let report = copy(&node, ns, &options(now)).await.expect("answers");

    assert!(report.is_complete(), "{report:?}");
    assert_eq!((report.live, report.ended, report.failed), (4, 5, 0));
    assert_eq!(world.all_in(&world.old, now).await, []);
    assert_eq!(world.all_in(&world.new, now).await, before);
    let verification = verify(&node, ns, now).await.expect("answers");
    assert!(verification.is_done());
    assert_eq!(verification.total(), total);
    // Nothing was lost on the way: neither what is to come nor what was counted.
    let seven = world.new.entry(ns, id(7), now).await.expect("answers");
    let State::Ended(tombstone) = seven.state else {
        panic!("it waits");
    };
    assert_eq!((tombstone.claims, tombstone.failures), (1, 1));
    assert_eq!(tombstone.phase, Phase::Waiting { from: at(HOUR) });
    let again = copy(&node, ns, &options(now)).await.expect("answers");
    assert_eq!((again.live, again.ended), (0, 0));
}

pub(crate) async fn a_copy_that_is_cut_off_anywhere_goes_on_where_it_was(pair: &Pair) {
    let mut step = 0;
    loop {
        let world = pair.world().await;
        some_of_everything(&world).await;
        let (node, ns) = (world.node(), &world.ns);
        let before = told(world.all_in(&world.old, at(10)).await);
        let death = if step % 2 == 0 {
            Death::Before
        } else {
            Death::After
        };
        let life = Life::until(step, death);
        let cut = copy(&world.mortal(&life), ns, &options(at(10))).await;
        let story = format!("died {death:?} call {step}");

        let seen = told(node.everything(ns, at(11)).await.expect("answers"));
        let ids = |entries: &[Entry]| entries.iter().map(|e| e.record.clone()).collect::<Vec<_>>();
        assert_eq!(ids(&seen), ids(&before), "{story}: each is seen once");
        let later = at(10 + MINUTE + 1);
        let report = copy(&node, ns, &options(later)).await.expect("answers");
        assert!(report.is_complete(), "{story}: {report:?}");
        let after = world.all_in(&world.new, later).await;
        assert_eq!(ids(&after), ids(&before), "{story}");
        for (entry, before) in after.iter().zip(&before) {
            assert_eq!(entry.status(later), before.status(later), "{story}");
        }
        let mut hooks = world.reap_to_the_end(2 * HOUR).await;
        hooks.retain(|(_, reason)| *reason == EndReason::Logout);
        assert_eq!(hooks.len(), 2, "{story}: 6 and 7 once, 8 not at all");
        if !life.has_died() {
            assert!(cut.is_ok() && step > 20, "{story}");
            break;
        }
        // Calls that are alike need not all be tried.
        step += 3;
    }
}

pub(crate) async fn a_copy_waits_for_what_others_hold(pair: &Pair) {
    let world = pair.world().await;
    let (node, ns) = (world.node(), &world.ns);
    for number in [1, 2] {
        world.born_before(number).await;
    }
    // A reaper of the deployment before is at work.
    let (reason, after) = (EndReason::Logout, After::Hold(LEASE));
    let held = world.old.end(ns, id(1), None, reason, after, at(1)).await;
    let held = held.expect("answers").expect("it was live");
    let report = copy(&node, ns, &options(at(2))).await.expect("answers");
    assert_eq!((report.live, report.left.held), (1, 1));
    assert!(!report.is_complete());
    assert!(!verify(&node, ns, at(2)).await.expect("answers").is_done());
    let settled = world
        .old
        .settle_one(ns, held.ticket(), Outcome::Done, at(3))
        .await;
    assert!(settled.expect("answers"), "its ticket stayed good");
    let report = copy(&node, ns, &options(at(4))).await.expect("answers");
    assert!(report.is_complete());
    assert_eq!(
        node.count(ns, at(4))
            .await
            .expect("answers")
            .of(Status::Live),
        1
    );
    assert_eq!(world.reap_to_the_end(IDLE + LEASE_OVER).await.len(), 1);
}

const LEASE_OVER: i64 = MINUTE + 1;

pub(crate) async fn a_copy_keeps_to_its_rate(pair: &Pair) {
    let world = pair.world().await;
    let (node, ns) = (world.node(), &world.ns);
    for number in 1..=30 {
        world.born_before(number).await;
    }
    let begun = tokio::time::Instant::now();
    let slow = options(at(1)).per_second(100);
    let report = copy(&node, ns, &slow).await.expect("answers");
    assert_eq!(report.live, 30);
    assert!(
        begun.elapsed() >= Duration::from_millis(250),
        "{:?}",
        begun.elapsed()
    );
}

/// Nobody has said to the new store whether its hooks are expected there.
pub(crate) async fn a_copy_of_what_is_not_open_is_refused(pair: &Pair) {
    let world = pair.world().await;
    let unknown = Namespace::sessions("nobody").expect("a good name");
    world
        .old
        .open(&unknown, Hooks::Unstated)
        .await
        .expect("opens");
    world.old.put(&unknown, &record(1)).await.expect("stored");
    let refused = copy(&world.node(), &unknown, &options(at(1))).await;
    let tenure::Error::Store(error) = refused.expect_err("it is refused") else {
        panic!("the store refuses it");
    };
    assert_eq!(error.kind(), ErrorKind::NotOpened);
    assert!(
        world
            .old
            .load(&unknown, id(1), at(1))
            .await
            .expect("answers")
            .is_some()
    );
}
