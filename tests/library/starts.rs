//! Nothing is stored before there is something to store.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use tenure::{BoxError, Error, Session};

use crate::support::world::{World, resumed};

pub(crate) async fn nothing_is_stored_for_a_visitor_who_does_nothing(world: World) {
    let sessions = world.sessions().await;
    world.store.calls();
    let session = sessions.start().expect("starts");
    assert!(session.is_new());
    assert!(session.commit().await.expect("nothing to do").is_none());
    assert!(session.token().expect("randomness").is_none());
    assert!(session.is_new());
    assert!(world.store.calls().is_empty());
}

pub(crate) async fn a_start_hook_runs_once_and_is_no_reason_to_store(world: World) {
    let runs = Arc::new(AtomicU32::new(0));
    let counted = Arc::clone(&runs);
    let sessions = world
        .builder()
        .on_start(move |session: &Session| {
            counted.fetch_add(1, Ordering::SeqCst);
            session.set("hits", &0)
        })
        .build()
        .await
        .expect("good settings");
    let session = sessions.start().expect("starts");
    assert!(session.commit().await.expect("nothing to do").is_none());
    session.set("theme", "dark").expect("fits");
    let token = session.commit().await.expect("commits").expect("a token");
    let session = resumed(&sessions, &token).await;
    assert_eq!(session.get::<i32>("hits").expect("a number"), Some(0));
    assert_eq!(runs.load(Ordering::SeqCst), 1);
}

pub(crate) async fn a_failing_start_hook_starts_nothing(world: World) {
    let sessions = world
        .builder()
        .on_start(|_: &Session| Err::<(), BoxError>("no room".into()))
        .build()
        .await
        .expect("good settings");
    world.store.calls();
    let refused = sessions.start().expect_err("the hook fails");
    assert!(matches!(&refused, Error::StartHook(why) if why.to_string() == "no room"));
    assert!(world.store.calls().is_empty());
}
