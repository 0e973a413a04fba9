//! Every end has its hook.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use tenure::{BoxError, EndHook, EndReason, EndedSession, Error, Reaped, Sessions};
use tenure_store::{
    Access, Change, EndReason as Reason, Payload, SessionStore as _, State, Status, Updated,
    Version,
};
use tenure_store::{After, Filter};
use tokio::sync::{mpsc, oneshot, watch};

use crate::support::hooks::{Mood, Notebook};
use crate::support::watched::Failing;
use crate::support::world::{IDLE, MINUTE, World, resumed, stored};

pub(crate) async fn an_explicit_end_runs_its_hook_at_once_and_once(world: World) {
    let (sessions, notes) = world.with_hook().await;
    let (session, _) = stored(&sessions).await;
    assert!(session.end().await.expect("ends"));
    let reaper = sessions.reaper().expect("there is a hook");
    reaper.run_once().await.expect("answers");
    sessions.shutdown().await;
    reaper.run_once().await.expect("answers");
    let calls = notes.calls();
    assert_eq!(calls.len(), 1, "once, with a reaper looking on");
    assert_eq!(calls[0].id(), session.id());
    assert_eq!(calls[0].reason(), EndReason::Logout);
    assert_eq!(calls[0].attempt(), 1);
    let left = world
        .store
        .list(sessions.namespace(), &Filter::all(10), world.now())
        .await;
    assert!(left.expect("answers").entries.is_empty(), "nothing is kept");
}

pub(crate) async fn a_session_that_ran_out_gets_its_hook_from_the_reaper(world: World) {
    let (sessions, notes) = world.with_hook().await;
    let (session, token) = stored(&sessions).await;
    let ended_at = world.now().plus(IDLE);
    world.clock.advance(IDLE * 50);
    assert!(sessions.resume(&token).await.expect("answers").is_none());
    assert!(
        notes.calls().is_empty(),
        "being found absent changes nothing"
    );
    let reaped = sessions
        .reaper()
        .expect("a hook")
        .run_once()
        .await
        .expect("answers");
    assert_eq!(reaped.succeeded, 1);
    let call = notes.calls().pop().expect("one call");
    assert_eq!(
        (call.id(), call.reason()),
        (session.id(), EndReason::IdleTimeout)
    );
    assert_eq!(
        call.ended_at(),
        ended_at,
        "when it ran out, not when it was found"
    );
}

pub(crate) async fn the_hook_gets_the_whole_last_state(world: World) {
    let (sessions, notes) = world.with_hook().await;
    let (session, _) = stored(&sessions).await;
    session.log_in("alice").expect("a good name");
    session.set("cart", &vec![1, 2, 3]).expect("fits");
    session.commit().await.expect("commits");
    session.set("never committed", &1).expect("buffered");
    world.clock.advance(MINUTE);
    session.end().await.expect("ends");
    sessions.shutdown().await;
    let call: EndedSession = notes.calls().pop().expect("one call");
    assert_eq!(call.application(), "portal");
    assert_eq!(call.principal().expect("alice").as_str(), "alice");
    assert_eq!(
        call.get::<Vec<u32>>("cart").expect("numbers"),
        Some(vec![1, 2, 3])
    );
    assert_eq!(call.names(), ["cart", "theme"]);
    assert_eq!(call.created(), session.created());
    assert_eq!(call.ended_at(), world.now());
    assert_eq!(call.accesses(), 2);
    assert_eq!(
        call.idempotency_key(),
        format!("portal/sessions/{}", session.id())
    );
}

pub(crate) async fn a_hook_that_fails_is_tried_again_and_then_set_aside(world: World) {
    let notes = Notebook::default();
    let builder = world.builder().on_end(notes.clone()).hook_attempts(3);
    let sessions = builder.build().await.expect("good settings");
    notes.be(Mood::Fail);
    let (session, _) = stored(&sessions).await;
    session.end().await.expect("ends all the same");
    sessions.shutdown().await;
    let reaper = sessions.reaper().expect("a hook");
    assert_eq!(
        reaper.run_once().await.expect("answers").failed,
        0,
        "not before its back-off"
    );
    world.clock.advance(MINUTE);
    assert_eq!(reaper.run_once().await.expect("answers").failed, 1);
    world.clock.advance(MINUTE);
    assert_eq!(reaper.run_once().await.expect("answers").dead, 1);
    world.clock.advance(MINUTE * 600);
    reaper.run_once().await.expect("answers");
    let attempts: Vec<u32> = notes.calls().iter().map(EndedSession::attempt).collect();
    assert_eq!(attempts, [1, 2, 3], "three attempts, then none");
    let entry = world
        .store
        .inspect(sessions.namespace(), session.id(), world.now())
        .await;
    let entry = entry.expect("answers").expect("kept as a dead letter");
    assert_eq!(entry.status(world.now()), Status::Dead);
    let tenure_store::State::Ended(tombstone) = entry.state else {
        panic!("a dead letter has a tombstone");
    };
    let why = tombstone.last_failure.expect("it says why");
    assert_eq!(why.as_str(), "the mail server is away");
}

pub(crate) async fn a_hook_that_panics_is_a_failed_hook(world: World) {
    let (sessions, notes) = world.with_hook().await;
    notes.be(Mood::Panic);
    let (session, token) = stored(&sessions).await;
    session.end().await.expect("ends all the same");
    sessions.shutdown().await;
    assert!(sessions.resume(&token).await.expect("answers").is_none());
    notes.be(Mood::Succeed);
    world.clock.advance(MINUTE);
    let reaped = sessions
        .reaper()
        .expect("a hook")
        .run_once()
        .await
        .expect("answers");
    assert_eq!(reaped.succeeded, 1);
    assert_eq!(notes.calls().last().map(EndedSession::attempt), Some(2));
}

pub(crate) async fn a_hook_that_hangs_does_not_hold_up_the_others(world: World) {
    let notes = Notebook::default();
    let seen = notes.clone();
    let sessions = world
        .builder()
        .hook_time_limit(Duration::from_secs(2))
        .on_end(move |session: EndedSession| {
            let seen = seen.clone();
            async move {
                let hangs = session.get::<bool>("hangs")?.is_some();
                if hangs {
                    std::future::pending::<()>().await;
                }
                tenure::EndHook::ended(&seen, session).await
            }
        })
        .build()
        .await
        .expect("good settings");
    for n in 0..20 {
        let session = sessions.start().expect("starts");
        session.set("n", &n).expect("fits");
        if n == 0 {
            session.set("hangs", &true).expect("fits");
        }
        session.commit().await.expect("commits");
    }
    world.clock.advance(IDLE);
    let reaped = sessions
        .reaper()
        .expect("a hook")
        .run_once()
        .await
        .expect("answers");
    assert_eq!((reaped.succeeded, reaped.failed), (19, 1));
    assert_eq!(notes.calls().len(), 19);
}

pub(crate) async fn a_hook_cannot_bring_its_session_back(world: World) {
    let store = std::sync::Arc::clone(&world.store);
    let clock = std::sync::Arc::clone(&world.clock);
    let sessions = world
        .builder()
        .on_end(move |session: EndedSession| {
            let (store, clock) = (std::sync::Arc::clone(&store), std::sync::Arc::clone(&clock));
            async move {
                let ns = tenure::Namespace::sessions("portal")?;
                let now = tenure::Clock::now(clock.as_ref());
                let id = session.id();
                assert!(
                    !store.touch(&ns, id, now).await?,
                    "touched an ended session"
                );
                let change = Change::new(Version::new(1), Access::Counts);
                let updated = store.update(&ns, id, Version::new(0), &change, now).await?;
                assert_eq!(updated, Updated::Gone);
                let again = store
                    .end(&ns, id, None, Reason::Logout, After::Queue, now)
                    .await?;
                assert!(again.is_none(), "ended an ended session");
                Ok::<_, tenure::BoxError>(())
            }
        })
        .build()
        .await
        .expect("good settings");
    let (session, token) = stored(&sessions).await;
    session.end().await.expect("ends");
    sessions.shutdown().await;
    assert!(sessions.resume(&token).await.expect("answers").is_none());
    let counts = world.counts().await;
    assert_eq!(
        (counts.live, counts.waiting, counts.dead),
        (0, 0, 0),
        "its hook succeeded"
    );
}

pub(crate) async fn unreadable_attributes_still_reach_the_hook(world: World) {
    let (sessions, notes) = world.with_hook().await;
    let (damaged, token) = stored(&sessions).await;
    let (_, healthy) = stored(&sessions).await;
    let ns = sessions.namespace();
    let record = world
        .store
        .load(ns, damaged.id(), world.now())
        .await
        .expect("answers");
    let mut change = Change::new(Version::new(1), Access::Passive);
    change.payload = Some(Payload::new(vec![0xff; 40]));
    let expected = record.expect("live").version;
    let updated = world
        .store
        .update(ns, damaged.id(), expected, &change, world.now())
        .await;
    assert_eq!(updated.expect("answers"), Updated::Done);
    assert!(matches!(
        sessions.resume(&token).await,
        Err(Error::Unreadable(_))
    ));
    resumed(&sessions, &healthy).await;
    sessions.reset().await.expect("resets");
    let reaped = sessions
        .reaper()
        .expect("a hook")
        .run_once()
        .await
        .expect("answers");
    assert_eq!(reaped.succeeded, 2, "its neighbour is unharmed");
    let calls = notes.calls();
    let call = calls
        .iter()
        .find(|call| call.id() == damaged.id())
        .expect("it was told");
    assert!(matches!(
        call.get::<String>("theme"),
        Err(Error::Unreadable(_))
    ));
    assert_eq!(call.reason(), EndReason::ApplicationReset);
}

pub(crate) async fn an_explicit_end_whose_node_dies_is_found_by_a_reaper(world: World) {
    let (sessions, notes) = world.with_hook().await;
    let (session, _) = stored(&sessions).await;
    // A node that ended it, and died before its hook ran.
    let lease = After::Hold(Duration::from_secs(90));
    let ns = sessions.namespace();
    let ended = world
        .store
        .end(ns, session.id(), None, Reason::Logout, lease, world.now())
        .await;
    assert!(ended.expect("answers").is_some());
    let reaper = sessions.reaper().expect("a hook");
    reaper.run_once().await.expect("answers");
    assert!(
        notes.calls().is_empty(),
        "the lease of the other node still runs"
    );
    world.clock.advance(Duration::from_secs(90));
    reaper.run_once().await.expect("answers");
    assert_eq!(notes.calls().pop().map(|call| call.attempt()), Some(2));
}

pub(crate) async fn a_refused_settlement_runs_no_hook_twice(world: World) {
    const SESSIONS: usize = 20;
    let (sessions, notes) = world.with_hook().await;
    let reaper = sessions.reaper().expect("a hook");
    for how in [Failing::Refused, Failing::Unheard] {
        for _ in 0..SESSIONS {
            stored(&sessions).await;
        }
        sessions.reset().await.expect("resets");
        world.store.fail("settle", 3, how);
        let reaped = reaper.run_once().await.expect("answers");
        assert_eq!(reaped.succeeded, SESSIONS as u64);

        let (session, _) = stored(&sessions).await;
        world.store.fail("settle", 2, how);
        session.end().await.expect("ends");
        settled(&world, &sessions).await;
        world.clock.advance(MINUTE * 10);
        assert_eq!(reaper.run_once().await.expect("answers"), Reaped::default());
    }
    let calls = notes.by_session();
    assert_eq!(calls.len(), 2 * SESSIONS + 2);
    assert!(calls.values().all(|calls| *calls == 1), "each once");
}

/// Waits until nothing is held any more.
async fn settled(world: &World, sessions: &Sessions) {
    sessions.shutdown().await;
    assert_eq!(world.counts().await.held, 0);
}

pub(crate) async fn claims_that_nobody_heard_of_bury_no_hook(world: World) {
    let notes = Notebook::default();
    let builder = world.builder().on_end(notes.clone()).hook_attempts(1);
    let sessions = builder.build().await.expect("good settings");
    let (session, _) = stored(&sessions).await;
    sessions.reset().await.expect("resets");
    let reaper = sessions.reaper().expect("a hook");
    world.store.fail("claim", 15, Failing::Unheard);
    for _ in 0..15 {
        reaper.run_once().await.expect_err("the answer is lost");
        world.clock.advance(MINUTE * 2);
    }
    let entry = world.in_store(&session).await;
    let State::Ended(tombstone) = entry.state else {
        panic!("it was claimed: {:?}", entry.state);
    };
    assert!(tombstone.unsettled > 10, "more than would bury it");
    let reaped = reaper.run_once().await.expect("answers");
    assert_eq!((reaped.succeeded, reaped.dead), (1, 0));
    assert_eq!(notes.calls().len(), 1);
}

pub(crate) async fn a_stopped_node_leaves_first_attempts_to_others(world: World) {
    const SESSIONS: usize = 8;
    let (begun, mut has_begun) = mpsc::channel(SESSIONS);
    let (go_on, wait) = watch::channel(false);
    let stopped = world
        .builder()
        .on_end(move |session: EndedSession| {
            let (begun, mut wait) = (begun.clone(), wait.clone());
            async move {
                begun.send(session.id()).await?;
                wait.wait_for(|go_on| *go_on).await?;
                Err::<(), BoxError>("it has to be done again".into())
            }
        })
        .build()
        .await
        .expect("good settings");
    for _ in 0..SESSIONS {
        stored(&stopped).await;
    }
    stopped.reset().await.expect("resets");
    let reaper = stopped.reaper().expect("a hook").concurrency(1);
    let reaper = reaper.pause(Duration::from_millis(1)).spawn();
    let first = has_begun.recv().await.expect("the first hook begins");
    let mut stopping = Box::pin(reaper.shutdown());
    assert!(futures_util::poll!(&mut stopping).is_pending());
    go_on.send(true).expect("the hook waits");
    stopping.await;

    let (other, notes) = world.with_hook().await;
    let mut attempts = BTreeMap::new();
    let page = other.list(&Filter::all(100)).await.expect("answers");
    for info in page.sessions {
        attempts.insert(info.id(), info.attempts());
    }
    world.clock.advance(MINUTE);
    let reaper = other.reaper().expect("a hook");
    let reaped = reaper.run_once().await.expect("answers");
    assert_eq!(reaped.succeeded, SESSIONS as u64);
    for call in notes.calls() {
        let before = u32::from(call.id() == first);
        assert_eq!(call.attempt(), before + 1);
        assert_eq!(attempts.get(&call.id()).copied().unwrap_or(0), before);
    }
}

/// What a hook says that fails, and fails again at saying what.
#[derive(Debug)]
struct Unspeakable;

impl fmt::Display for Unspeakable {
    fn fmt(&self, _: &mut fmt::Formatter<'_>) -> fmt::Result {
        panic!("an error that cannot be shown")
    }
}

impl std::error::Error for Unspeakable {}

pub(crate) async fn a_hook_whose_error_panics_has_failed(world: World) {
    let notes = Notebook::default();
    let copy = notes.clone();
    let sessions = world
        .builder()
        .on_end(move |session: EndedSession| {
            let notes = copy.clone();
            async move {
                let attempt = session.attempt();
                EndHook::ended(&notes, session).await?;
                match attempt {
                    1 => Err(BoxError::from(Unspeakable)),
                    _ => Ok(()),
                }
            }
        })
        .build()
        .await
        .expect("good settings");
    let (session, _) = stored(&sessions).await;
    session.end().await.expect("ends");
    stored(&sessions).await;
    sessions.reset().await.expect("resets");
    let reaper = sessions.reaper().expect("a hook");
    assert_eq!(reaper.run_once().await.expect("answers").failed, 1);
    settled(&world, &sessions).await;
    world.clock.advance(MINUTE);
    assert_eq!(reaper.run_once().await.expect("answers").succeeded, 2);
    let mut attempts: Vec<u32> = notes.calls().iter().map(EndedSession::attempt).collect();
    attempts.sort_unstable();
    assert_eq!(attempts, [1, 1, 2, 2]);
}

pub(crate) async fn a_dropped_round_stops_its_hook_and_gives_back_the_rest(world: World) {
    const SESSIONS: usize = 5;
    let (begun, mut has_begun) = mpsc::channel::<oneshot::Receiver<()>>(SESSIONS);
    let sessions = world
        .builder()
        .on_end(move |_: EndedSession| {
            let begun = begun.clone();
            async move {
                let (_until_dropped, is_dropped) = oneshot::channel();
                begun.send(is_dropped).await?;
                std::future::pending::<Result<(), BoxError>>().await
            }
        })
        .build()
        .await
        .expect("good settings");
    for _ in 0..SESSIONS {
        stored(&sessions).await;
    }
    sessions.reset().await.expect("resets");
    let reaper = sessions.reaper().expect("a hook").concurrency(1);
    let hook = {
        let round = reaper.run_once();
        tokio::select! {
            reaped = round => panic!("its hook never ends: {reaped:?}"),
            hook = has_begun.recv() => hook.expect("a hook begins"),
        }
    };
    assert!(hook.await.is_err(), "it is stopped, not left running");
    settled(&world, &sessions).await;
    assert!(has_begun.try_recv().is_err(), "no other has begun");

    let (other, notes) = world.with_hook().await;
    world.clock.advance(MINUTE);
    let reaped = other.reaper().expect("a hook").run_once().await;
    assert_eq!(reaped.expect("answers").succeeded, SESSIONS as u64);
    let mut attempts: Vec<u32> = notes.calls().iter().map(EndedSession::attempt).collect();
    attempts.sort_unstable();
    assert_eq!(
        attempts,
        [1, 1, 1, 1, 2],
        "the one that was stopped has failed"
    );
}
