//! A session's own time-out is its own, from before its first commit to after a restart.

use std::time::Duration;

use tenure::{EndReason, Sessions, Token};

use crate::support::hooks::Notebook;
use crate::support::world::{IDLE, MINUTE, World, resumed};

const MILLISECOND: Duration = Duration::from_millis(1);

/// A session that has this time-out from its first commit on.
async fn with_time_out(sessions: &Sessions, timeout: impl Into<Option<Duration>>) -> Token {
    let session = sessions.start().expect("starts");
    session
        .set_idle_timeout(timeout.into())
        .expect("a good one");
    session.set("theme", "dark").expect("fits");
    let token = session.commit().await.expect("commits");
    token.expect("a token for a new session")
}

async fn is_live(sessions: &Sessions, token: &Token) -> bool {
    sessions.peek(token).await.expect("answers").is_some()
}

pub(crate) async fn a_time_out_set_before_the_first_commit_holds(world: World) {
    let sessions = world.sessions().await;
    let short = with_time_out(&sessions, MINUTE).await;
    let long = with_time_out(&sessions, IDLE * 2).await;
    let never = with_time_out(&sessions, None).await;
    let usual = with_time_out(&sessions, IDLE).await;
    for (token, time_left) in [(&short, Some(MINUTE)), (&long, Some(IDLE * 2))] {
        let peek = sessions.peek(token).await.expect("answers").expect("live");
        assert_eq!(peek.time_left, time_left);
    }
    world.clock.advance(MINUTE - MILLISECOND);
    assert!(is_live(&sessions, &short).await);
    world.clock.advance(MILLISECOND);
    assert!(!is_live(&sessions, &short).await);
    assert!(
        is_live(&sessions, &usual).await,
        "it is of one session only"
    );
    world.clock.advance(IDLE * 2 - MINUTE - MILLISECOND);
    assert!(!is_live(&sessions, &usual).await);
    assert!(is_live(&sessions, &long).await);
    world.clock.advance(MILLISECOND);
    assert!(!is_live(&sessions, &long).await);
    world.clock.advance(IDLE * 10);
    assert!(is_live(&sessions, &never).await);
}

pub(crate) async fn a_time_out_in_a_start_hook_holds(world: World) {
    let builder = world
        .builder()
        .on_start(|session| session.set_idle_timeout(Some(MINUTE)));
    let sessions = builder.build().await.expect("good settings");
    let session = sessions.start().expect("starts");
    session.set("theme", "dark").expect("fits");
    let token = session.commit().await.expect("commits").expect("a token");
    world.clock.advance(MINUTE);
    assert!(!is_live(&sessions, &token).await);
}

pub(crate) async fn a_time_out_of_its_own_survives_requests_and_restarts(mut world: World) {
    let sessions = world.sessions().await;
    let short = with_time_out(&sessions, MINUTE).await;
    let long = with_time_out(&sessions, IDLE * 2).await;
    let never = with_time_out(&sessions, None).await;
    for _ in 0..3 {
        world.clock.advance(MINUTE / 2);
        world.reopen().await;
        // Built with another time-out, as after a change of configuration.
        let builder = world.builder().idle_timeout(IDLE * 3);
        let sessions = builder.build().await.expect("good settings");
        for token in [&short, &long, &never] {
            let session = resumed(&sessions, token).await;
            session.set("seen", &world.now().as_millis()).expect("fits");
            session.commit().await.expect("commits");
        }
    }
    world.reopen().await;
    let notes = Notebook::default();
    let builder = world.builder().on_end(notes.clone());
    let sessions = builder.build().await.expect("good settings");
    let reaper = sessions.reaper().expect("a hook");
    let used = world.now();
    for (token, timeout) in [(&short, MINUTE), (&long, IDLE * 2)] {
        let ends_at = used.plus(timeout);
        world
            .clock
            .advance(ends_at.since(world.now()) - MILLISECOND);
        assert!(is_live(&sessions, token).await);
        assert_eq!(reaper.run_once().await.expect("answers").succeeded, 0);
        world.clock.advance(MILLISECOND);
        assert!(!is_live(&sessions, token).await);
        assert_eq!(reaper.run_once().await.expect("answers").succeeded, 1);
        let call = notes.calls().pop().expect("a call");
        assert_eq!(
            (call.reason(), call.ended_at()),
            (EndReason::IdleTimeout, ends_at)
        );
    }
    world.clock.advance(IDLE * 10);
    assert!(is_live(&sessions, &never).await);
}

pub(crate) async fn a_leave_survives_a_restart(mut world: World) {
    let sessions = world.sessions().await;
    let token = with_time_out(&sessions, IDLE).await;
    let session = resumed(&sessions, &token).await;
    session.leave(MINUTE);
    session.commit().await.expect("commits");
    world.reopen().await;
    let sessions = world.sessions().await;
    world.clock.advance(MINUTE - MILLISECOND);
    assert!(is_live(&sessions, &token).await);
    world.clock.advance(MILLISECOND);
    assert!(!is_live(&sessions, &token).await);
}
