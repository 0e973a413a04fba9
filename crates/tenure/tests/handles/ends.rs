//! How a handle ends its session, and how it leaves.

use std::task::Poll;
use std::time::Duration;

use tenure::Error;

use crate::unruly::Fate::{Answered, Late, Lost, Refused};
use crate::{MINUTE, World, opens, resumed, stored};

#[tokio::test]
async fn what_may_be_stored_is_ended_in_the_store() {
    for fate in [Lost, Refused, Late] {
        let world = World::new();
        let node = world.strict().await;
        let session = node.start().expect("starts");
        session.log_in("alice").expect("a good name");
        world.store.next(&[Answered, fate]);
        world.store.lose_next_load();
        assert!(session.commit().await.is_err());
        world.store.land().await;
        world.store.calls();
        assert!(session.end().await.expect("answers"), "it was there");
        assert!(world.store.calls().contains(&"end"));
        assert!(session.token().expect("random").is_none());

        let other = node.start().expect("starts");
        other.log_in("alice").expect("a good name");
        let token = other
            .commit()
            .await
            .expect("there is room")
            .expect("a token");
        assert!(opens(&node, &token).await);
    }
}

#[tokio::test]
async fn an_end_waits_for_the_first_commit_that_a_clone_has_under_way() {
    let world = World::new();
    let node = world.node().await;
    let session = node.start().expect("starts");
    session.set("n", &1).expect("fits");
    let gate = world.store.hold_next_write();
    let clone = session.clone();
    let mut commit = Box::pin(async move { clone.commit().await });
    assert!(futures_util::poll!(&mut commit).is_pending());
    let mut end = Box::pin(session.end());
    assert!(
        futures_util::poll!(&mut end).is_pending(),
        "it is not known what to end"
    );
    gate.send(()).expect("it is waited for");
    let token = commit.await.expect("commits").expect("a token");
    assert!(end.await.expect("answers"));
    assert!(!opens(&node, &token).await);
    assert!(session.token().expect("random").is_none());
}

#[tokio::test(start_paused = true)]
async fn a_commit_that_is_not_polled_on_holds_up_its_own_handle_for_a_deadline_and_no_other() {
    let world = World::new();
    let node = world.node().await;
    let (session, token) = stored(&node).await;
    session.set("n", &1).expect("fits");
    let _gate = world.store.hold_next_write();
    let clone = session.clone();
    let mut neglected = Box::pin(async move { clone.commit().await });
    assert!(futures_util::poll!(&mut neglected).is_pending());

    let other = resumed(&node, &token).await;
    other.set("other", &1).expect("fits");
    other.commit().await.expect("another request is served");
    let refused = session.end().await;
    assert!(
        matches!(&refused, Err(Error::Store(error)) if error.is_unavailable()),
        "{refused:?}"
    );
    assert!(matches!(futures_util::poll!(&mut neglected), Poll::Pending));
}

#[tokio::test]
async fn an_end_of_before_a_log_in_does_not_cross_it() {
    let world = World::new();
    let (one, two) = (world.node().await, world.node().await);
    let (_, token) = stored(&one).await;
    let early = resumed(&one, &token).await;
    let log_in = resumed(&two, &token).await;
    log_in.log_in("alice").expect("a good name");
    let alices = log_in.commit().await.expect("commits").expect("a token");
    assert!(matches!(early.end().await, Err(Error::Superseded)));
    assert!(!one.end(&token).await.expect("answers"), "it opens nothing");
    assert!(opens(&one, &alices).await);
}

#[tokio::test]
async fn who_was_ended_by_another_ends_nobody() {
    let world = World::new();
    let node = world.node().await;
    let mut tokens = Vec::new();
    for _ in 0..2 {
        let (session, _) = stored(&node).await;
        session.log_in("alice").expect("a good name");
        tokens.push(session.commit().await.expect("commits").expect("a token"));
    }
    let (hers, stolen) = (
        resumed(&node, &tokens[0]).await,
        resumed(&node, &tokens[1]).await,
    );
    assert_eq!(hers.end_others().await.expect("answers"), 1);
    assert!(matches!(stolen.end_others().await, Err(Error::Gone)));
    assert!(opens(&node, &tokens[0]).await);
    assert!(!opens(&node, &tokens[1]).await);
}

#[tokio::test]
async fn a_rotation_whose_answer_got_lost_does_not_keep_its_own_handle_from_ending() {
    let world = World::new();
    let node = world.node().await;
    let (session, _) = stored(&node).await;
    session.log_in("alice").expect("a good name");
    world.store.next(&[Lost]);
    world.store.lose_next_load();
    assert!(session.commit().await.is_err());
    assert!(session.end().await.expect("answers"));
}

#[tokio::test]
async fn a_leave_is_not_taken_back_by_dropping_the_handle_that_left() {
    for fate in [Lost, Refused, Late] {
        let world = World::new();
        let node = world.node().await;
        let (_, token) = stored(&node).await;
        world.clock.advance(MINUTE * 2);
        let session = resumed(&node, &token).await;
        session.leave(Duration::from_secs(10));
        world.store.next(&[fate, fate]);
        world.store.lose_next_load();
        assert!(session.commit().await.is_err());
        drop(session);
        tokio::task::yield_now().await;
        world.store.land().await;
        assert!(!world.store.calls().contains(&"touch"));
        world.clock.advance(Duration::from_secs(10));
        assert_eq!(opens(&node, &token).await, fate == Refused);
    }
}

#[tokio::test]
async fn what_may_have_left_is_told_that_it_stays() {
    let world = World::new();
    let node = world.node().await;
    let (_, token) = stored(&node).await;
    let session = resumed(&node, &token).await;
    session.leave(Duration::from_secs(10));
    world.store.next(&[Lost]);
    world.store.lose_next_load();
    assert!(session.commit().await.is_err());
    session.remain();
    session.commit().await.expect("commits");
    world.clock.advance(Duration::from_secs(20));
    assert!(opens(&node, &token).await);
}

#[tokio::test]
async fn a_clone_takes_back_a_leave_that_is_under_way() {
    let world = World::new();
    let node = world.node().await;
    let (_, token) = stored(&node).await;
    let session = resumed(&node, &token).await;
    session.leave(Duration::from_secs(10));
    let gate = world.store.hold_next_write();
    let clone = session.clone();
    let mut commit = Box::pin(async move { clone.commit().await });
    assert!(futures_util::poll!(&mut commit).is_pending());
    session.remain();
    gate.send(()).expect("it is waited for");
    commit.await.expect("commits");
    session.commit().await.expect("commits");
    world.clock.advance(Duration::from_secs(20));
    assert!(opens(&node, &token).await);
}
