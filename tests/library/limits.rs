//! A principal has as many sessions as it may have, and no more.

use std::collections::BTreeSet;

use tenure::{EndReason, Error, OnExcess, Session, Sessions, Token};
use tokio::task::JoinSet;

use crate::support::hooks::Notebook;
use crate::support::world::{World, resumed, stored};

async fn limited(world: &World, limit: u32, excess: OnExcess) -> Sessions {
    world
        .builder()
        .sessions_per_principal(limit, excess)
        .build()
        .await
        .expect("good settings")
}

async fn log_in(session: &Session, name: &str) -> Result<Token, Error> {
    session.log_in(name)?;
    let token = session.commit().await?;
    Ok(token.expect("a log-in makes a token"))
}

async fn is_live(sessions: &Sessions, token: &Token) -> bool {
    sessions.peek(token).await.expect("answers").is_some()
}

pub(crate) async fn the_oldest_session_ends_with_its_hook(world: World) {
    let notes = Notebook::default();
    let sessions = world
        .builder()
        .on_end(notes.clone())
        .sessions_per_principal(2, OnExcess::EndOldest)
        .build()
        .await
        .expect("good settings");
    let mut alices = Vec::new();
    for _ in 0..3 {
        let (session, _) = stored(&sessions).await;
        alices.push((log_in(&session, "alice").await.expect("let in"), session));
        world.clock.advance(std::time::Duration::from_secs(1));
    }
    let (bob, _) = stored(&sessions).await;
    let bob = log_in(&bob, "bob").await.expect("let in");
    assert!(!is_live(&sessions, &alices[0].0).await, "the oldest");
    for token in [&alices[1].0, &alices[2].0, &bob] {
        assert!(is_live(&sessions, token).await);
    }
    let reaper = sessions.reaper().expect("a hook");
    assert_eq!(reaper.run_once().await.expect("answers").succeeded, 1);
    let calls = notes.calls();
    assert_eq!(calls.len(), 1);
    assert_eq!(calls[0].id(), alices[0].1.id());
    assert_eq!(calls[0].reason(), EndReason::Displaced);
}

pub(crate) async fn the_newest_session_is_refused_and_can_try_again(world: World) {
    let sessions = limited(&world, 1, OnExcess::RefuseNewest).await;
    let (first, _) = stored(&sessions).await;
    let held = log_in(&first, "alice").await.expect("let in");
    let (second, token) = stored(&sessions).await;
    second.set("role", "admin").expect("fits");
    let refused = log_in(&second, "alice").await.expect_err("one too many");
    assert!(matches!(refused, Error::TooManySessions), "{refused:?}");

    let seen = resumed(&sessions, &token).await;
    assert_eq!(seen.principal(), None);
    assert_eq!(seen.get::<String>("role").expect("text"), None);
    assert!(is_live(&sessions, &held).await);

    // The changes stay together: none is stored without the log-in that it belongs to.
    second.set("later", &1).expect("fits");
    let again = second.commit().await.expect_err("still one too many");
    assert!(matches!(again, Error::TooManySessions), "{again:?}");
    first.end().await.expect("ends");
    let token = second.commit().await.expect("let in").expect("a token");
    let seen = resumed(&sessions, &token).await;
    let principal = seen.principal().expect("logged in");
    assert_eq!(principal.as_str(), "alice");
    assert_eq!(seen.names(), ["later", "role", "theme"]);
}

pub(crate) async fn logging_in_again_is_no_excess(world: World) {
    for excess in [OnExcess::EndOldest, OnExcess::RefuseNewest] {
        let sessions = limited(&world, 1, excess).await;
        let (session, _) = stored(&sessions).await;
        let first = log_in(&session, "alice").await.expect("let in");
        let session = resumed(&sessions, &first).await;
        let second = log_in(&session, "alice").await.expect("let in again");
        assert!(is_live(&sessions, &second).await, "{excess:?}");
        assert!(!is_live(&sessions, &first).await, "{excess:?}");
        session.end().await.expect("ends");
    }
}

pub(crate) async fn a_session_that_was_never_stored_is_held_to_the_limit(world: World) {
    let sessions = limited(&world, 1, OnExcess::RefuseNewest).await;
    let first = sessions.start().expect("starts");
    first.set("a", &1).expect("fits");
    world.store.calls();
    let token = log_in(&first, "alice").await.expect("let in");
    assert_eq!(world.store.calls(), ["create", "update"]);
    let seen = resumed(&sessions, &token).await;
    assert_eq!(seen.principal().expect("logged in").as_str(), "alice");
    assert_eq!(seen.names(), ["a"]);

    let second = sessions.start().expect("starts");
    let refused = log_in(&second, "alice").await.expect_err("one too many");
    assert!(matches!(refused, Error::TooManySessions), "{refused:?}");
    assert_eq!(world.counts().await.live, 1, "nothing stays behind");
    assert_eq!(world.counts().await.waiting, 0, "nor a tombstone");
    seen.end().await.expect("ends");
    let hits = second.update("hits", |n: Option<u8>| n.unwrap_or(0) + 1);
    assert_eq!(hits.await.expect("let in"), 1);
    let token = second.token().expect("randomness").expect("stored");
    let seen = resumed(&sessions, &token).await;
    assert_eq!(seen.principal().expect("logged in").as_str(), "alice");
    assert_eq!(seen.get::<u8>("hits").expect("a number"), Some(1));
}

pub(crate) async fn a_lost_answer_lets_nobody_in_twice_or_not_at_all(world: World) {
    for nth in [1, 2, 3] {
        let sessions = limited(&world, 1, OnExcess::EndOldest).await;
        world.store.lose_every_nth_answer(nth);
        let session = sessions.start().expect("starts");
        session.set("a", &1).expect("fits");
        let token = log_in(&session, "alice").await.expect("let in");
        world.store.lose_every_nth_answer(0);
        let seen = resumed(&sessions, &token).await;
        assert_eq!(seen.principal().expect("logged in").as_str(), "alice");
        assert_eq!(world.counts().await.live, 1, "losing every {nth}th");
    }
}

pub(crate) async fn log_ins_at_once_on_two_nodes_never_exceed_the_limit(world: World) {
    for (excess, let_in) in [(OnExcess::EndOldest, 32), (OnExcess::RefuseNewest, 3)] {
        let nodes = [
            limited(&world, 3, excess).await,
            limited(&world, 3, excess).await,
        ];
        let mut log_ins = JoinSet::new();
        for n in 0..32 {
            let sessions = nodes[n % 2].clone();
            log_ins.spawn(async move {
                // Every other one has been stored before.
                let session = match n % 4 {
                    0 | 1 => stored(&sessions).await.0,
                    _ => sessions.start().expect("starts"),
                };
                log_in(&session, "alice").await
            });
        }
        let mut tokens = Vec::new();
        while let Some(done) = log_ins.join_next().await {
            match done.expect("no panic") {
                Ok(token) => tokens.push(token),
                Err(error) => assert!(matches!(error, Error::TooManySessions), "{error:?}"),
            }
        }
        assert_eq!(tokens.len(), let_in, "{excess:?}");
        let mut live = BTreeSet::new();
        for token in &tokens {
            if let Some(session) = nodes[0].resume(token).await.expect("answers") {
                live.insert(session.id());
            }
        }
        assert_eq!(live.len(), 3, "{excess:?}");
        let ended = nodes[1].end_principal("alice").await.expect("ends");
        assert_eq!(ended, 3, "{excess:?}");
    }
}

pub(crate) async fn a_limit_of_no_sessions_is_refused(world: World) {
    for excess in [OnExcess::EndOldest, OnExcess::RefuseNewest] {
        let built = world.builder().sessions_per_principal(0, excess).build();
        assert!(matches!(built.await, Err(Error::Policy(_))));
    }
}
