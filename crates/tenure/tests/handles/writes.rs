//! What is stored, and what is said of it.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use tenure::{EndedSession, Error, OnExcess};

use crate::unruly::Fate::{Answered, Late, Lost, Refused};
use crate::{MINUTE, World, opens, resumed, stored};

fn is_unavailable<T>(done: &tenure::Result<T>) -> bool {
    matches!(done, Err(Error::Store(error)) if error.is_unavailable())
}

#[tokio::test]
async fn what_was_refused_stays_refused_and_is_never_said_to_be_stored() {
    let world = World::new();
    let node = world.node().await;
    let (session, token) = stored(&node).await;
    let slow = resumed(&node, &token).await;
    session.log_in("alice").expect("a good name");
    let alices = session.commit().await.expect("commits").expect("a token");
    for _ in 0..3 {
        slow.set("theme", "light").expect("buffered");
        assert!(matches!(slow.commit().await, Err(Error::Superseded)));
    }
    let session = resumed(&node, &alices).await;
    assert_eq!(
        session.get::<String>("theme").expect("text").as_deref(),
        Some("dark")
    );

    let slow = resumed(&node, &alices).await;
    slow.set("theme", "light").expect("buffered");
    session.end().await.expect("ends");
    for _ in 0..3 {
        slow.set("theme", "light").expect("buffered");
        assert!(matches!(slow.commit().await, Err(Error::Gone)));
    }
}

#[tokio::test]
async fn a_refused_commit_makes_three_calls_at_most() {
    let world = World::new();
    let node = world.node().await;
    let (session, _) = stored(&node).await;
    for fates in [[Refused; 8], [Late; 8]] {
        session.set("n", &world.store.calls().len()).expect("fits");
        world.store.calls();
        world.store.next(&fates);
        let refused = session.commit().await;
        assert!(is_unavailable(&refused), "{refused:?}");
        assert_eq!(world.store.calls(), ["update", "load", "update"]);
    }
    world.store.next(&[Refused; 8]);
    let new = node.start().expect("starts");
    new.set("n", &1).expect("fits");
    world.store.calls();
    assert!(is_unavailable(&new.commit().await));
    assert_eq!(world.store.calls(), ["create", "load", "create"]);
}

#[tokio::test]
async fn one_refusal_is_not_felt() {
    let world = World::new();
    let node = world.node().await;
    let (session, token) = stored(&node).await;
    session.set("n", &1).expect("fits");
    world.store.next(&[Refused]);
    session
        .commit()
        .await
        .expect("the second attempt is answered");
    assert_eq!(
        resumed(&node, &token).await.get("n").expect("a number"),
        Some(1)
    );
}

#[tokio::test]
async fn an_update_returns_the_value_that_is_stored_when_an_earlier_attempt_lands_late() {
    let world = World::new();
    let node = world.node().await;
    let (session, token) = stored(&node).await;
    let mut drawn = 0;
    world.store.next(&[Late]);
    world.store.land_behind_next_load();
    let value = session
        .update("secret", |_: Option<u64>| {
            drawn += 1;
            drawn
        })
        .await
        .expect("it is found");
    let there = resumed(&node, &token)
        .await
        .get::<u64>("secret")
        .expect("a number");
    assert_eq!(there, Some(value));
}

#[tokio::test]
async fn an_update_is_applied_once_or_unavailable_however_many_wrote_since() {
    for others in [1, 6, 7, 8, 9, 20] {
        let world = World::new();
        let node = world.node().await;
        let (session, token) = stored(&node).await;
        let mut handles = Vec::new();
        for _ in 0..others {
            handles.push(resumed(&world.node().await, &token).await);
        }
        world.store.next(&[Lost]);
        world.store.meanwhile(Box::pin(async move {
            for other in handles {
                let others = other.update("others", |n: Option<u64>| n.unwrap_or(0) + 1);
                others.await.expect("stored");
            }
        }));
        let done = session
            .update("mine", |n: Option<u64>| n.unwrap_or(0) + 1)
            .await;
        assert_eq!(done.is_ok(), others < 8, "{done:?}");
        let mine = resumed(&node, &token)
            .await
            .get::<u64>("mine")
            .expect("a number");
        assert_eq!(mine, Some(1), "{done:?}");
    }
}

#[tokio::test]
async fn of_a_first_commit_under_a_limit_nothing_stays_that_a_hook_would_tell_of() {
    let world = World::new();
    let told = Arc::new(AtomicUsize::new(0));
    let counter = Arc::clone(&told);
    let builder = world
        .builder()
        .sessions_per_principal(1, OnExcess::RefuseNewest)
        .on_end(move |_: EndedSession| {
            counter.fetch_add(1, Ordering::SeqCst);
            async { Ok::<_, Error>(()) }
        });
    let node = builder.build().await.expect("good settings");
    let session = node.start().expect("starts");
    session.set("cart", "tea").expect("fits");
    session.log_in("alice").expect("a good name");
    world.store.next(&[Answered, Refused, Refused]);
    assert!(is_unavailable(&session.commit().await));
    let left = node
        .inspect(session.id())
        .await
        .expect("answers")
        .expect("it is there");
    assert!(left.principal().is_none());
    assert!(left.names().expect("readable").is_empty(), "nobody's cart");
    drop(session);
    world.clock.advance(MINUTE);
    let counts = node.count().await.expect("answers");
    assert_eq!(counts.live, 0, "it is over by itself");
    node.reaper()
        .expect("a hook")
        .run_once()
        .await
        .expect("answers");
    let counts = node.count().await.expect("answers");
    assert_eq!((counts.over, counts.waiting, counts.held), (0, 0, 0));
    assert_eq!(told.load(Ordering::SeqCst), 0, "nobody had it");
}

#[tokio::test]
async fn a_first_commit_under_a_limit_is_one_access_and_keeps_all_that_was_set() {
    let world = World::new();
    let builder = world
        .builder()
        .sessions_per_principal(1, tenure::OnExcess::RefuseNewest)
        .on_start(|session| {
            session.set("hits", &1)?;
            session.leave(MINUTE * 3);
            Ok::<_, Error>(())
        });
    let node = builder.build().await.expect("good settings");
    let session = node.start().expect("starts");
    session.set("cart", "tea").expect("fits");
    session.log_in("alice").expect("a good name");
    world.store.next(&[Lost, Lost]);
    let token = session.commit().await.expect("commits").expect("a token");
    let stored = node
        .inspect(session.id())
        .await
        .expect("answers")
        .expect("live");
    assert_eq!(stored.accesses(), 1);
    let session = node
        .resume_passive(&token)
        .await
        .expect("answers")
        .expect("live");
    assert_eq!(session.names(), ["cart", "hits"]);
    assert_eq!(session.principal().expect("alice").as_str(), "alice");
    assert_eq!(
        session.expires_at(),
        Some(session.created().plus(MINUTE * 3)),
        "it leaves"
    );
}

#[tokio::test]
async fn a_first_commit_long_after_the_start_makes_a_session_that_lives() {
    let world = World::new();
    let node = world
        .builder()
        .idle_timeout(MINUTE)
        .build()
        .await
        .expect("good settings");
    let session = node.start().expect("starts");
    session.set("n", &1).expect("fits");
    world.clock.advance(MINUTE * 10);
    let token = session.commit().await.expect("commits").expect("a token");
    assert!(opens(&node, &token).await);

    let session = node.start().expect("starts");
    session.set("n", &1).expect("fits");
    session.leave(MINUTE);
    world.clock.advance(MINUTE);
    world.store.calls();
    assert!(
        matches!(session.commit().await, Err(Error::Gone)),
        "its browser has left"
    );
    assert!(world.store.calls().is_empty());
}

#[tokio::test]
async fn limits_that_were_lowered_hold_back_nothing_that_frees() {
    let world = World::new();
    let (_, token) = {
        let node = world.node().await;
        let session = node.start().expect("starts");
        for name in ["a", "b", "c", "d"] {
            session.set(name, &vec![7_u8; 200]).expect("fits");
        }
        let token = session.commit().await.expect("commits").expect("a token");
        (session, token)
    };
    let limits = tenure::Limits {
        attributes: 2,
        payload: 512,
        ..tenure::Limits::default()
    };
    let node = world
        .builder()
        .limits(limits)
        .build()
        .await
        .expect("good settings");
    let session = resumed(&node, &token).await;
    assert!(session.remove("a"));
    session.set("b", &vec![7_u8; 100]).expect("it shrinks");
    session.log_in("alice").expect("a good name");
    let token = session.commit().await.expect("commits").expect("a token");
    let session = resumed(&node, &token).await;
    assert_eq!(session.names(), ["b", "c", "d"]);
    assert!(matches!(
        session.set("b", &vec![7_u8; 201]),
        Err(Error::Limit { .. })
    ));
    assert!(matches!(session.set("e", &1), Err(Error::Limit { .. })));
}

#[tokio::test]
async fn clearing_clears_what_others_have_set_meanwhile_seen_or_not() {
    let world = World::new();
    let node = world.node().await;
    let (first, token) = stored(&node).await;
    first.clear();
    first.commit().await.expect("commits");
    let (seeing_nothing, other) = (resumed(&node, &token).await, resumed(&node, &token).await);
    other.set("cart", "tea").expect("fits");
    other.commit().await.expect("commits");
    seeing_nothing.clear();
    seeing_nothing.set("theme", "light").expect("fits");
    seeing_nothing.commit().await.expect("commits");
    assert_eq!(resumed(&node, &token).await.names(), ["theme"]);

    let new = node.start().expect("starts");
    new.clear();
    assert!(
        new.commit().await.expect("commits").is_none(),
        "nothing to store"
    );
}

#[tokio::test]
async fn what_one_principal_left_does_not_pass_on_to_the_next() {
    let world = World::new();
    let node = world.node().await;
    let (session, _) = stored(&node).await;
    session.log_in("alice").expect("a good name");
    assert_eq!(session.names(), ["theme"], "what was nobody's stays");
    session.set("address", "home").expect("fits");
    session.commit().await.expect("commits");
    session.log_in("alice").expect("a good name");
    assert_eq!(session.names(), ["address", "theme"], "she logs in again");
    session
        .log_in_keeping_attributes("alice@new")
        .expect("a good name");
    assert_eq!(session.names(), ["address", "theme"]);
    session.log_in("bob").expect("a good name");
    let token = session.commit().await.expect("commits").expect("a token");
    assert!(resumed(&node, &token).await.names().is_empty());
}
