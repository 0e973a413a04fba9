//! Attributes in the clear are for those who asked for them.

use tenure::{Error, Session, Sessions};
use tenure_store::{Payload, SessionStore as _};

use crate::support::world::{World, reissued, resumed, stored};

fn shows(payload: &Payload, text: &str) -> bool {
    let mut windows = payload.as_bytes().windows(text.len());
    windows.any(|window| window == text.as_bytes())
}

async fn payload(world: &World, sessions: &Sessions, session: &Session) -> Payload {
    let found = world
        .store
        .load(sessions.namespace(), session.id(), world.now())
        .await;
    found.expect("answers").expect("live").payload
}

pub(crate) async fn plain_payloads_are_refused_where_they_are_not_wanted(world: World) {
    let sealed = world.sessions().await;
    let plain = world.builder().plain_payloads().build().await;
    let plain = plain.expect("good settings");
    let (theirs, _) = stored(&plain).await;
    let in_the_clear = payload(&world, &plain, &theirs).await;
    assert!(shows(&in_the_clear, "dark"));

    let (victim, token) = stored(&sealed).await;
    assert!(!shows(&payload(&world, &sealed, &victim).await, "dark"));
    world.plant(&victim, in_the_clear).await;
    let refused = sealed.resume(&token).await;
    assert!(matches!(refused, Err(Error::Unreadable(why)) if why.contains("not encrypted")));
    assert!(sealed.end(&token).await.expect("it can still be ended"));
}

pub(crate) async fn sealing_is_switched_off_and_on_again_by_use(world: World) {
    let sealed = world.sessions().await;
    let plain = world.builder().plain_payloads().build().await;
    let plain = plain.expect("good settings");
    let way_back = world.builder().accept_plain_payloads().build().await;
    let way_back = way_back.expect("good settings");
    let (session, token) = stored(&sealed).await;

    assert!(reissued(&plain, &token).await.is_none(), "a token stays");
    assert!(shows(&payload(&world, &plain, &session).await, "dark"));
    assert!(reissued(&plain, &token).await.is_none());

    assert!(sealed.resume(&token).await.is_err());
    assert!(reissued(&way_back, &token).await.is_none());
    assert!(!shows(&payload(&world, &sealed, &session).await, "dark"));
    let session = resumed(&sealed, &token).await;
    let theme = session.get::<String>("theme").expect("text");
    assert_eq!(theme.as_deref(), Some("dark"));
}
