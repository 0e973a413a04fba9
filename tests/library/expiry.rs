//! Sessions end when they should, and looking does not keep them alive.

use std::time::Duration;

use tenure::{Clock, Error, Peek};

use crate::support::world::{IDLE, MINUTE, World, resumed, stored};

const MILLISECOND: Duration = Duration::from_millis(1);

pub(crate) async fn a_session_ends_when_nobody_uses_it(world: World) {
    let sessions = world.sessions().await;
    let (_, token) = stored(&sessions).await;
    world.clock.advance(IDLE - MILLISECOND);
    assert!(sessions.peek(&token).await.expect("answers").is_some());
    world.clock.advance(MILLISECOND);
    assert!(sessions.peek(&token).await.expect("answers").is_none());
    assert!(sessions.resume(&token).await.expect("answers").is_none());
}

pub(crate) async fn reading_keeps_a_session_alive_with_few_writes(world: World) {
    let sessions = world.sessions().await;
    let (_, token) = stored(&sessions).await;
    let mut touches = 0;
    for _ in 0..360 {
        world.clock.advance(Duration::from_secs(10));
        resumed(&sessions, &token)
            .await
            .commit()
            .await
            .expect("commits");
        let calls = world.store.calls();
        touches += calls.iter().filter(|call| **call == "touch").count();
    }
    assert!(
        (50..=60).contains(&touches),
        "{touches} touches in an hour, one a minute"
    );
}

pub(crate) async fn passive_requests_do_not_keep_it_alive(world: World) {
    let sessions = world.sessions().await;
    let (_, token) = stored(&sessions).await;
    for n in 0..19 {
        world.clock.advance(MINUTE);
        let session = sessions
            .resume_passive(&token)
            .await
            .expect("answers")
            .expect("live");
        session.set("beats", &n).expect("fits");
        session.commit().await.expect("commits");
        assert_eq!(session.accesses(), 1, "a heart-beat is no access");
    }
    world.clock.advance(MINUTE);
    assert!(sessions.resume(&token).await.expect("answers").is_none());

    let (_, token) = stored(&sessions).await;
    for n in 0..40 {
        world.clock.advance(MINUTE * 15);
        let session = resumed(&sessions, &token).await;
        session.set("beats", &n).expect("fits");
        session
            .commit()
            .await
            .expect("a session that only writes stays alive");
    }
}

pub(crate) async fn a_peek_changes_nothing(world: World) {
    let sessions = world.sessions().await;
    let (session, token) = stored(&sessions).await;
    world.clock.advance(MINUTE * 5);
    world.store.calls();
    let peek = sessions.peek(&token).await.expect("answers").expect("live");
    let expected = Peek {
        time_left: Some(IDLE - MINUTE * 5),
        last_access: session.created(),
        created: session.created(),
    };
    assert_eq!(peek, expected);
    assert_eq!(
        sessions.peek(&token).await.expect("answers"),
        Some(expected)
    );
    assert_eq!(world.store.calls(), ["load", "load"]);
}

pub(crate) async fn a_request_that_never_commits_was_an_access_all_the_same(world: World) {
    let sessions = world.sessions().await;
    let (_, token) = stored(&sessions).await;
    world.clock.advance(MINUTE * 5);
    drop(resumed(&sessions, &token).await);
    while !world.store.calls().contains(&"touch") {
        tokio::task::yield_now().await;
    }
    world.clock.advance(IDLE - MINUTE);
    while sessions.peek(&token).await.expect("answers").is_none() {
        tokio::task::yield_now().await;
    }
}

pub(crate) async fn a_session_of_its_own_time_out_keeps_it(world: World) {
    let sessions = world.sessions().await;
    let (session, token) = stored(&sessions).await;
    session
        .set_idle_timeout(Some(MINUTE))
        .expect("a good time-out");
    session.commit().await.expect("commits");
    for n in 0..10 {
        world.clock.advance(MINUTE / 2);
        let session = resumed(&sessions, &token).await;
        session.set("n", &n).expect("fits");
        session.commit().await.expect("commits");
    }
    world.clock.advance(MINUTE);
    assert!(
        world
            .sessions()
            .await
            .resume(&token)
            .await
            .expect("answers")
            .is_none()
    );

    let (session, token) = stored(&sessions).await;
    session.set_idle_timeout(None).expect("never");
    session.commit().await.expect("commits");
    world.clock.advance(MINUTE * 600);
    let session = resumed(&sessions, &token).await;
    assert_eq!(
        session.expires_at(),
        Some(session.created().plus(MINUTE * 720))
    );
}

pub(crate) async fn the_lifetime_ends_a_busy_session(world: World) {
    let sessions = world
        .builder()
        .lifetime(MINUTE * 60)
        .build()
        .await
        .expect("good settings");
    let (_, mut token) = stored(&sessions).await;
    for _ in 0..5 {
        world.clock.advance(MINUTE * 10);
        let session = resumed(&sessions, &token).await;
        session.log_in("alice").expect("a good name");
        token = session.commit().await.expect("commits").expect("rotated");
    }
    let peek = sessions.peek(&token).await.expect("answers").expect("live");
    assert_eq!(
        peek.time_left,
        Some(MINUTE * 10),
        "rotation does not start it anew"
    );
    world.clock.advance(MINUTE * 10);
    assert!(sessions.resume(&token).await.expect("answers").is_none());
}

pub(crate) async fn bad_time_outs_are_refused(world: World) {
    for bad in [Duration::ZERO, Duration::from_micros(10)] {
        let refused = world.builder().idle_timeout(bad).build().await;
        assert!(matches!(refused, Err(Error::Store(_))), "{refused:?}");
        let refused = world.builder().lifetime(bad).build().await;
        assert!(matches!(refused, Err(Error::Store(_))), "{refused:?}");
    }
    let sessions = world
        .builder()
        .idle_timeout(Duration::MAX)
        .lifetime(None)
        .build()
        .await
        .expect("huge is not bad");
    let (session, token) = stored(&sessions).await;
    assert!(session.set_idle_timeout(Some(Duration::ZERO)).is_err());
    world
        .clock
        .advance(Duration::from_secs(u64::from(u32::MAX)));
    let session = resumed(&sessions, &token).await;
    assert!(session.expires_at() > Some(world.clock.now()));
}
