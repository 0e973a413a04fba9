//! Keys come and go while sessions live on.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tenure::Error;

use crate::support::keys::{new_alone, new_then_old, old_then_new, secret};
use crate::support::world::{MINUTE, World, opens, reissued, resumed, stored};

const MILLISECOND: Duration = Duration::from_millis(1);

pub(crate) async fn a_key_is_accepted_before_its_date_and_not_from_it_on(world: World) {
    let before = world.sessions().await;
    let (session, token) = stored(&before).await;
    let date = world.now().plus(MINUTE);
    let keys = new_alone().accept_until("2026-11", secret(7), date);
    let after = world.node(keys.expect("two good keys")).await;

    world.clock.advance(MINUTE - MILLISECOND);
    assert!(opens(&after, &token).await);
    world.clock.advance(MILLISECOND);
    let untouched = world.in_store(&session).await;
    world.store.calls();
    assert!(!opens(&after, &token).await);
    assert!(after.peek(&token).await.expect("no error").is_none());
    assert!(!after.end(&token).await.expect("no error"));
    assert!(world.store.calls().is_empty(), "as under an unknown key");
    assert_eq!(world.in_store(&session).await, untouched);
    assert!(opens(&before, &token).await, "where it has no date");
}

pub(crate) async fn a_payload_is_unreadable_from_its_keys_date_on(world: World) {
    let before = world.sessions().await;
    let (_, old) = stored(&before).await;
    let date = world.now().plus(MINUTE);
    let keys = new_alone().accept_until("2026-11", secret(7), date);
    let after = world.node(keys.expect("two good keys")).await;
    // A token under the new key, and attributes that stay under the old one.
    let session = resumed(&after, &old).await;
    let new = session.token().expect("random").expect("it is stored");
    drop(session);

    world.clock.advance(MINUTE - MILLISECOND);
    assert!(opens(&after, &new).await);
    world.clock.advance(MILLISECOND);
    assert!(matches!(
        after.resume(&new).await,
        Err(Error::Unreadable(_))
    ));
    assert!(after.end(&new).await.expect("it can still be ended"));
}

pub(crate) async fn a_session_that_is_only_read_moves_to_the_new_key(world: World) {
    let (_, old) = stored(&world.sessions().await).await;
    let rotated = world.node(new_then_old()).await;
    let session = resumed(&rotated, &old).await;
    world.store.calls();
    let new = session.commit().await.expect("commits").expect("a token");
    assert_eq!(world.store.calls(), ["update"]);
    assert!(session.commit().await.expect("commits").is_none());
    assert!(world.store.calls().is_empty(), "moved once");

    let dropped = world.node(new_alone()).await;
    let session = resumed(&dropped, &new).await;
    let theme = session.get::<String>("theme").expect("text");
    assert_eq!(theme.as_deref(), Some("dark"));
    assert!(session.commit().await.expect("commits").is_none());
    assert_eq!(session.accesses(), 2, "its move was its access");
}

pub(crate) async fn a_passive_request_moves_a_session_and_keeps_it_no_longer(world: World) {
    let (session, old) = stored(&world.sessions().await).await;
    let rotated = world.node(new_then_old()).await;
    world.clock.advance(MINUTE * 19);
    let passive = rotated.resume_passive(&old).await.expect("answers");
    let passive = passive.expect("live");
    let new = passive.commit().await.expect("commits").expect("a token");
    let dropped = world.node(new_alone()).await;
    let moved = resumed(&dropped, &new).await;
    assert_eq!(moved.expires_at(), session.expires_at());
    assert_eq!(moved.accesses(), 1);
}

pub(crate) async fn any_write_moves_a_session(world: World) {
    let (_, old) = stored(&world.sessions().await).await;
    let rotated = world.node(new_then_old()).await;
    let session = resumed(&rotated, &old).await;
    session.log_in("alice").expect("a good name");
    let new = session.commit().await.expect("commits").expect("a token");
    let dropped = world.node(new_alone()).await;
    let session = resumed(&dropped, &new).await;
    assert_eq!(session.names(), ["theme"]);
}

pub(crate) async fn moving_overwrites_nobody_and_fails_for_nobody(world: World) {
    let before = world.sessions().await;
    let (_, old) = stored(&before).await;
    let rotated = world.node(new_then_old()).await;
    world.clock.advance(MINUTE * 5);
    let reader = resumed(&rotated, &old).await;
    let writer = resumed(&before, &old).await;
    writer.set("theme", "light").expect("fits");
    writer.log_in("alice").expect("a good name");
    let new = writer.commit().await.expect("commits").expect("a token");

    reader.commit().await.expect("it changed nothing");
    let session = resumed(&rotated, &new).await;
    let theme = session.get::<String>("theme").expect("text");
    assert_eq!(theme.as_deref(), Some("light"));

    let reader = resumed(&rotated, &new).await;
    before.end(&new).await.expect("ends");
    assert!(matches!(reader.commit().await, Err(Error::Gone)));
    assert_eq!(world.counts().await.live, 0);
}

pub(crate) async fn a_token_in_its_grace_moves_nothing(world: World) {
    let before = world
        .builder()
        .rotation_grace(MINUTE)
        .build()
        .await
        .expect("good settings");
    let (session, old) = stored(&before).await;
    session.rotate();
    session.commit().await.expect("commits");
    let rotated = world.node(new_then_old()).await;
    let late = resumed(&rotated, &old).await;
    world.store.calls();
    assert!(late.commit().await.expect("commits").is_none());
    assert!(world.store.calls().is_empty());
}

pub(crate) async fn a_dropped_key_leaves_the_session_where_it_is(world: World) {
    let before = world.sessions().await;
    let (session, token) = stored(&before).await;
    let untouched = world.in_store(&session).await;
    let dropped = world.node(new_alone()).await;
    world.store.calls();
    assert!(!opens(&dropped, &token).await);
    assert!(dropped.peek(&token).await.expect("no error").is_none());
    assert!(!dropped.end(&token).await.expect("no error"));
    assert!(world.store.calls().is_empty());
    assert_eq!(world.in_store(&session).await, untouched);
    dropped.set_keys(new_then_old());
    assert!(opens(&dropped, &token).await, "accepting it again mends it");
}

pub(crate) async fn all_clones_go_by_an_exchanged_ring(world: World) {
    let sessions = world.sessions().await;
    let clone = sessions.clone();
    let (session, old) = stored(&sessions).await;
    let under_way = resumed(&clone, &old).await;
    under_way.set("cart", &7).expect("fits");
    sessions.set_keys(new_then_old());

    under_way.commit().await.expect("it goes on");
    let new = reissued(&clone, &old).await.expect("issued anew");
    session.set("theme", "light").expect("fits");
    session.commit().await.expect("so do older handles");
    clone.set_keys(new_alone());
    assert!(!opens(&sessions, &old).await);
    let session = resumed(&sessions, &new).await;
    assert_eq!(session.get("cart").expect("a number"), Some(7));
    let (_, fresh) = stored(&sessions).await;
    assert!(opens(&world.node(new_alone()).await, &fresh).await);
}

pub(crate) async fn a_ring_is_exchanged_under_traffic(world: World) {
    const WRITERS: u64 = 8;
    const ROUNDS: u64 = 40;
    let sessions = world.sessions().await;
    sessions.set_keys(old_then_new());
    let (_, token) = stored(&sessions).await;
    let traffic: Vec<_> = (0..WRITERS)
        .map(|_| {
            let (sessions, mut token) = (sessions.clone(), token.clone());
            tokio::spawn(async move {
                for _ in 0..ROUNDS {
                    // Memory never waits, and whoever turns the ring needs a turn too.
                    tokio::task::yield_now().await;
                    let session = resumed(&sessions, &token).await;
                    if let Some(anew) = session.commit().await.expect("reads") {
                        token = anew;
                    }
                    session
                        .update("count", |n: Option<u64>| n.unwrap_or(0) + 1)
                        .await
                        .expect("updates");
                    let (fresh, theirs) = stored(&sessions).await;
                    assert_eq!(resumed(&sessions, &theirs).await.id(), fresh.id());
                }
            })
        })
        .collect();
    let turns = Arc::new(AtomicU64::new(0));
    let turner = tokio::spawn({
        let (sessions, turns) = (sessions.clone(), Arc::clone(&turns));
        async move {
            loop {
                for keys in [new_then_old(), old_then_new()] {
                    sessions.set_keys(keys);
                    turns.fetch_add(1, Ordering::SeqCst);
                    tokio::task::yield_now().await;
                }
            }
        }
    });
    for writer in traffic {
        writer.await.expect("nobody notices");
    }
    let turns = turns.load(Ordering::SeqCst);
    assert!(
        turns > WRITERS,
        "only {turns} exchanges in all that traffic"
    );
    turner.abort();
    assert!(turner.await.expect_err("it never ends").is_cancelled());
    let session = resumed(&sessions, &token).await;
    assert_eq!(
        session.get("count").expect("a number"),
        Some(WRITERS * ROUNDS)
    );
}
