//! Reapers, alone and side by side.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use tenure::{BoxError, Clock as _, EndedSession, Error, Sessions};

use crate::support::world::{IDLE, World, opens, stored};

pub(crate) async fn many_reapers_run_each_hook_once(world: World) {
    const SESSIONS: usize = 1_000;
    let (sessions, notes) = world.with_hook().await;
    for _ in 0..SESSIONS {
        stored(&sessions).await;
    }
    sessions.reset().await.expect("resets");
    let mut reapers = tokio::task::JoinSet::new();
    for _ in 0..8 {
        let reaper = sessions.reaper().expect("a hook").batch(37);
        reapers.spawn(async move { reaper.run_once().await });
    }
    let mut succeeded = 0;
    while let Some(reaped) = reapers.join_next().await {
        succeeded += reaped.expect("no panic").expect("answers").succeeded;
    }
    assert_eq!(succeeded, SESSIONS as u64);
    let by_session = notes.by_session();
    assert_eq!(by_session.len(), SESSIONS);
    assert!(by_session.values().all(|calls| *calls == 1), "each once");
    let counts = world.counts().await;
    assert_eq!(
        (counts.over, counts.waiting, counts.held),
        (0, 0, 0),
        "drained"
    );
}

pub(crate) async fn a_reaper_without_a_hook_needs_to_be_asked_for(world: World) {
    let unstated = world.sessions().await;
    assert!(matches!(unstated.reaper(), Err(Error::Policy(_))));
    let sessions = world
        .builder()
        .no_end_hook()
        .build()
        .await
        .expect("good settings");
    let (session, _) = stored(&sessions).await;
    stored(&sessions).await;
    session.end().await.expect("ends");
    world.clock.advance(IDLE);
    let reaped = sessions
        .reaper()
        .expect("asked for")
        .run_once()
        .await
        .expect("answers");
    assert_eq!(reaped.purged, 2);
}

pub(crate) async fn a_reaper_without_hooks_cannot_take_anothers(world: World) {
    let (with, notes) = world.with_hook().await;
    let without = world
        .builder()
        .no_end_hook()
        .build()
        .await
        .expect("good settings");
    stored(&with).await;
    let (session, _) = stored(&without).await;
    session.end().await.expect("ends");
    world.clock.advance(IDLE);
    let refused = without.reaper().expect("asked for").run_once().await;
    assert!(matches!(&refused, Err(Error::Store(_))), "{refused:?}");
    let reaped = with
        .reaper()
        .expect("a hook")
        .run_once()
        .await
        .expect("answers");
    assert_eq!(
        reaped.succeeded, 2,
        "one ran out, one was ended by a node without hooks"
    );
    assert_eq!(notes.calls().len(), 2);
}

pub(crate) async fn a_reaper_that_is_shut_down_gives_back_what_it_has_not_begun(world: World) {
    let (begun, mut is_begun) = tokio::sync::mpsc::channel(8);
    let (go_on, wait) = tokio::sync::watch::channel(false);
    let sessions = world
        .builder()
        .on_end(move |_: EndedSession| {
            let (begun, mut wait) = (begun.clone(), wait.clone());
            async move {
                begun.send(()).await?;
                wait.wait_for(|go_on| *go_on).await?;
                Ok::<_, tenure::BoxError>(())
            }
        })
        .build()
        .await
        .expect("good settings");
    for _ in 0..10 {
        stored(&sessions).await;
    }
    sessions.reset().await.expect("resets");
    let reaper = sessions.reaper().expect("a hook");
    let reaper = reaper
        .concurrency(2)
        .pause(Duration::from_millis(1))
        .spawn();
    is_begun.recv().await.expect("the first hook begins");
    is_begun.recv().await.expect("the second hook begins");
    let mut stopping = Box::pin(reaper.shutdown());
    assert!(
        futures_util::poll!(&mut stopping).is_pending(),
        "two hooks are under way"
    );
    go_on.send(true).expect("hooks are waiting");
    stopping.await;
    let counts = world.counts().await;
    assert_eq!(counts.held, 0, "nothing is left in its hands");
    assert_eq!(
        counts.over + counts.waiting,
        8,
        "two were finished, eight given back"
    );
}

pub(crate) async fn a_reaper_survives_an_outage(world: World) {
    let (sessions, notes) = world.with_hook().await;
    let (session, _) = stored(&sessions).await;
    world.clock.advance(IDLE);
    world.store.fail_next(3);
    let reaper = sessions
        .reaper()
        .expect("a hook")
        .pause(Duration::from_millis(1))
        .spawn();
    while notes.calls().is_empty() {
        tokio::task::yield_now().await;
    }
    reaper.shutdown().await;
    assert_eq!(notes.calls()[0].id(), session.id());
}

pub(crate) async fn a_clock_that_jumped_ends_nobody(world: World) {
    let (sessions, notes) = world.with_hook().await;
    for _ in 0..3 {
        stored(&sessions).await;
    }
    let reaper = sessions.reaper().expect("a hook");
    reaper.run_once().await.expect("answers");
    let right = world.now();
    world.clock.set(right.plus(IDLE * 100));
    assert!(reaper.run_once().await.expect("answers").paused);
    world.clock.set(right);
    assert!(!reaper.run_once().await.expect("answers").paused);
    assert_eq!(
        (world.counts().await.live, notes.calls().len()),
        (3, 0),
        "nobody was ended"
    );
    world.clock.advance(IDLE);
    let reaped = reaper.run_once().await.expect("answers");
    assert_eq!(reaped.succeeded, 3, "time that passes ends them");
}

pub(crate) async fn a_clock_that_jumps_during_a_round_ends_nobody(world: World) {
    const ENDED: usize = 60;
    let (clock, jumped) = (Arc::clone(&world.clock), Arc::new(AtomicBool::new(false)));
    let right = world.now();
    let sessions = world
        .builder()
        .on_end(move |_: EndedSession| {
            if !jumped.swap(true, Ordering::Relaxed) {
                clock.set(clock.now().plus(IDLE * 3));
            }
            async { Ok::<_, BoxError>(()) }
        })
        .build()
        .await
        .expect("good settings");
    for _ in 0..ENDED {
        stored(&sessions).await;
    }
    sessions.reset().await.expect("resets");
    let mut live = Vec::new();
    for _ in 0..10 {
        live.push(stored(&sessions).await.1);
    }
    let reaper = sessions.reaper().expect("a hook").batch(7);
    let reaped = reaper.run_once().await.expect("answers");
    assert!(reaped.paused, "{reaped:?}");
    assert_eq!(reaped.succeeded, 7, "what was claimed before");
    world.clock.set(right);
    for token in &live {
        assert!(opens(&sessions, token).await, "it was used within its time");
    }
    let reaped = reaper.run_once().await.expect("answers");
    assert_eq!((reaped.succeeded, reaped.paused), (ENDED as u64 - 7, false));
    for token in &live {
        assert!(opens(&sessions, token).await, "it was used within its time");
    }
}

pub(crate) async fn a_reaper_made_for_each_round_doubts_a_jump_too(world: World) {
    let (with, notes) = world.with_hook().await;
    let without = world.builder_of("intranet").no_end_hook();
    let without = without.build().await.expect("good settings");
    let right = world.now();
    let (_, one) = stored(&with).await;
    let (_, two) = stored(&without).await;
    let round = async |sessions: &Sessions| {
        let reaper = sessions.reaper().expect("asked for");
        reaper.run_once().await.expect("answers")
    };
    for _ in 0..2 {
        world.clock.set(right.plus(IDLE * 3));
        assert!(round(&with).await.paused);
        assert!(round(&without).await.paused);
        world.clock.set(right);
        assert!(!round(&with).await.paused);
        assert!(!round(&without).await.paused);
    }
    assert!(opens(&with, &one).await && opens(&without, &two).await);
    assert!(notes.calls().is_empty());
}
