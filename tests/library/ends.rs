//! Ended is ended.

use tenure::Error;
use tenure_store::Namespace;

use crate::support::world::{World, resumed, stored};

pub(crate) async fn an_ended_session_is_dead_for_its_token_at_once(world: World) {
    let sessions = world.sessions().await;
    let elsewhere = world.sessions().await;
    let (session, token) = stored(&sessions).await;
    assert!(session.end().await.expect("ends"));
    for node in [&sessions, &elsewhere] {
        assert!(node.resume(&token).await.expect("answers").is_none());
        assert!(node.peek(&token).await.expect("answers").is_none());
    }
    let (_, token) = stored(&sessions).await;
    assert!(
        elsewhere.end(&token).await.expect("ends"),
        "by its token, on another node"
    );
    assert!(sessions.resume(&token).await.expect("answers").is_none());
}

pub(crate) async fn late_writes_to_an_ended_session_are_refused(world: World) {
    let sessions = world.sessions().await;
    let (session, token) = stored(&sessions).await;
    let writes = resumed(&sessions, &token).await;
    let updates = resumed(&sessions, &token).await;
    let logs_in = resumed(&sessions, &token).await;
    session.end().await.expect("ends");
    writes.set("late", &1).expect("buffered");
    logs_in.log_in("mallory").expect("buffered");
    assert!(matches!(writes.commit().await, Err(Error::Gone)));
    assert!(matches!(logs_in.commit().await, Err(Error::Gone)));
    let counted = updates
        .update("n", |n: Option<u8>| n.unwrap_or(0) + 1)
        .await;
    assert!(matches!(counted, Err(Error::Gone)));
    assert!(
        matches!(writes.commit().await, Err(Error::Gone)),
        "and stays refused"
    );
    assert!(sessions.resume(&token).await.expect("answers").is_none());
    assert_eq!(world.counts().await.live, 0);
}

pub(crate) async fn ending_twice_ends_once(world: World) {
    let sessions = world.sessions().await;
    let (session, token) = stored(&sessions).await;
    let other = resumed(&sessions, &token).await;
    assert!(session.end().await.expect("ends"));
    assert!(!session.end().await.expect("nothing to end"));
    assert!(!other.end().await.expect("nothing to end"));
    assert!(!sessions.end(&token).await.expect("nothing to end"));
    assert_eq!(world.counts().await.waiting, 1, "one tombstone");
}

pub(crate) async fn ending_a_session_that_was_never_stored_calls_nothing(world: World) {
    let sessions = world.sessions().await;
    let session = sessions.start().expect("starts");
    session.set("a", &1).expect("fits");
    world.store.calls();
    assert!(!session.end().await.expect("nothing to end"));
    assert!(matches!(session.commit().await, Err(Error::Gone)));
    assert!(world.store.calls().is_empty());
}

pub(crate) async fn all_sessions_of_a_principal_end_but_the_one_that_asks(world: World) {
    let sessions = world.sessions().await;
    let mut tokens = Vec::new();
    for principal in ["alice", "alice", "alice", "bob"] {
        let (session, _) = stored(&sessions).await;
        session.log_in(principal).expect("a good name");
        tokens.push(session.commit().await.expect("commits").expect("rotated"));
    }
    let asks = resumed(&sessions, &tokens[0]).await;
    assert_eq!(asks.end_others().await.expect("ends"), 2);
    assert_eq!(asks.end_others().await.expect("none left"), 0);
    resumed(&sessions, &tokens[0]).await;
    resumed(&sessions, &tokens[3]).await;
    assert!(
        sessions
            .resume(&tokens[1])
            .await
            .expect("answers")
            .is_none()
    );
    assert_eq!(sessions.end_principal("alice").await.expect("ends"), 1);
    assert_eq!(sessions.end_principal("nobody").await.expect("none"), 0);
    let (anonymous, _) = stored(&sessions).await;
    assert_eq!(anonymous.end_others().await.expect("nobody logged in"), 0);
    let empty = sessions.end_principal("").await;
    assert!(
        matches!(empty, Err(Error::Store(_))),
        "an empty principal is a mistake"
    );
}

pub(crate) async fn a_reset_ends_all_sessions_of_the_application_and_no_others(world: World) {
    let sessions = world.sessions().await;
    let shop = world
        .builder_of("portal.shop")
        .build()
        .await
        .expect("another application");
    let (_, mine) = stored(&sessions).await;
    let (_, theirs) = stored(&shop).await;
    let busy = resumed(&sessions, &mine).await;
    world.store.calls();
    sessions.reset().await.expect("resets");
    assert_eq!(world.store.calls(), ["reset"]);
    assert!(sessions.resume(&mine).await.expect("answers").is_none());
    busy.set("late", &1).expect("buffered");
    assert!(matches!(busy.commit().await, Err(Error::Gone)));
    resumed(&shop, &theirs).await;
    let (_, new) = stored(&sessions).await;
    resumed(&sessions, &new).await;
    let portal = Namespace::sessions("portal").expect("a good name");
    assert_eq!(*sessions.namespace(), portal);
    assert_eq!(world.counts().await.over, 1, "its hook is still to come");
}
