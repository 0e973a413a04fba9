//! One application asks after another's sessions, and that is all it can do.

use std::sync::Arc;

use tenure::{PeekRight, Peeker, Token};
use tenure_store::{Payload, SessionStore};

use crate::support::keys::{new_alone, secret};
use crate::support::world::{MINUTE, World, reissued, stored};

/// A service that holds this right and knows nothing else.
fn peeker(world: &World, right: PeekRight) -> Peeker {
    let store: Arc<dyn SessionStore> = Arc::clone(&world.store) as _;
    Peeker::new(store, right).clock(Arc::clone(&world.clock) as _)
}

pub(crate) async fn a_feed_proxy_asks_after_the_portals_sessions(world: World) {
    let portal = world.sessions().await;
    let (session, token) = stored(&portal).await;
    session.log_in("alice").expect("a good name");
    let token = session.commit().await.expect("commits").unwrap_or(token);
    let handed_over = world.keys.peek_right("portal").expect("a good name");
    let right = PeekRight::from_text(handed_over.expose()).expect("a whole text");
    let proxy = peeker(&world, right);
    let before = world.in_store(&session).await;
    world.store.calls();
    for minute in 0..20 {
        let seen = proxy.peek(&token).await.expect("answers").expect("live");
        assert_eq!(seen.time_left, Some(MINUTE * (20 - minute)));
        assert_eq!(seen.created, session.created());
        let own = portal.peek(&token).await.expect("answers");
        assert_eq!(Some(seen), own, "as the portal sees it");
        world.clock.advance(MINUTE);
    }
    assert!(proxy.peek(&token).await.expect("answers").is_none());
    let calls = world.store.calls();
    assert!(calls.iter().all(|call| *call == "load"), "{calls:?}");
    world.clock.set(session.created());
    assert_eq!(world.in_store(&session).await, before);

    portal.end(&token).await.expect("ends");
    assert!(proxy.peek(&token).await.expect("answers").is_none());
}

pub(crate) async fn a_wrong_right_never_reaches_the_store(world: World) {
    let portal = world.sessions().await;
    let (_, token) = stored(&portal).await;
    let good = world.keys.peek_right("portal").expect("a good name");
    world.store.calls();
    for wrong in [
        world.keys.peek_right("shop"),
        world.keys.peek_right("Portal"),
        new_alone().peek_right("portal"),
    ] {
        let nosy = peeker(&world, wrong.expect("a good name"));
        assert!(nosy.peek(&token).await.expect("no error").is_none());
    }
    let proxy = peeker(&world, good);
    for forged in ["", "x", &token.as_str()[1..], &"A".repeat(68)] {
        let forged = Token::new(forged);
        assert!(proxy.peek(&forged).await.expect("no error").is_none());
    }
    assert!(world.store.calls().is_empty(), "not one call to the store");
}

pub(crate) async fn a_right_goes_by_the_keys_and_dates_of_its_ring(world: World) {
    let portal = world.sessions().await;
    let (_, old) = stored(&portal).await;
    let outdated = peeker(&world, world.keys.peek_right("portal").expect("a name"));
    let date = world.now().plus(MINUTE);
    let keys = new_alone().accept_until("2026-11", secret(7), date);
    let keys = keys.expect("two good keys");
    let proxy = peeker(&world, keys.peek_right("portal").expect("a good name"));
    portal.set_keys(keys);
    let new = reissued(&portal, &old).await.expect("issued anew");

    let live = async |peeker: &Peeker, token| peeker.peek(token).await.expect("answers").is_some();
    assert!(live(&proxy, &old).await && live(&proxy, &new).await);
    assert!(live(&outdated, &old).await && !live(&outdated, &new).await);
    world.clock.advance(MINUTE);
    assert!(!live(&proxy, &old).await && live(&proxy, &new).await);
}

pub(crate) async fn a_peeker_goes_by_rotations_and_their_grace(world: World) {
    let portal = world
        .builder()
        .rotation_grace(MINUTE)
        .build()
        .await
        .expect("good settings");
    let proxy = peeker(&world, world.keys.peek_right("portal").expect("a name"));
    let live = async |token| proxy.peek(token).await.expect("answers").is_some();
    let (session, first) = stored(&portal).await;
    session.rotate();
    let second = session.commit().await.expect("commits").expect("a token");
    assert!(live(&first).await && live(&second).await);
    world.clock.advance(MINUTE);
    assert!(!live(&first).await && live(&second).await);
    session.log_in("alice").expect("a good name");
    let third = session.commit().await.expect("commits").expect("a token");
    assert!(!live(&second).await && live(&third).await);
}

pub(crate) async fn a_peeker_needs_no_readable_payload(world: World) {
    let portal = world.sessions().await;
    let (session, token) = stored(&portal).await;
    world.plant(&session, Payload::new("noise")).await;
    assert!(portal.resume(&token).await.is_err());
    let proxy = peeker(&world, world.keys.peek_right("portal").expect("a name"));
    assert!(proxy.peek(&token).await.expect("answers").is_some());
}

pub(crate) async fn nothing_that_holds_a_key_shows_one(world: World) {
    let sessions = world.sessions().await;
    let right = world.keys.peek_right("portal").expect("a good name");
    let keys = right.expose().rsplit(':').next().expect("the keys");
    let part = keys[..8].to_owned();
    let shown = format!("{sessions:?} {:?} {right:?}", world.keys);
    let shown = format!("{shown} {:?}", peeker(&world, right));
    assert!(!shown.contains(&part), "{shown}");
    for named in ["Sessions", "2026-11", "PeekRight(portal", "Peeker"] {
        assert!(shown.contains(named), "{named} in {shown}");
    }
}
