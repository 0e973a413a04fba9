//! The store loses its data, or a part of it, while processes use it.

use tenure::{Error, ErrorKind, Reaped, Sessions, Token, Visitors};
use tenure_store::SessionStore;

use crate::support::hooks::Notebook;
use crate::support::place::loss::Loss;
use crate::support::world::{IDLE, World, opens, stored};

/// Whether a service has an end hook.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Opinion {
    Hook,
    None,
}

async fn service(world: &World, application: &str, opinion: Opinion) -> (Sessions, Notebook) {
    let notes = Notebook::default();
    let builder = match opinion {
        Opinion::Hook => world.builder_of(application).on_end(notes.clone()),
        Opinion::None => world.builder_of(application).no_end_hook(),
    };
    (builder.build().await.expect("good settings"), notes)
}

/// A service in a process of its own.
async fn elsewhere(world: &World, application: &str, opinion: Opinion) -> (Sessions, Notebook) {
    let notes = Notebook::default();
    let store = world.of_another_process().await;
    let builder = Sessions::builder(store, world.keys.clone(), application)
        .idle_timeout(IDLE)
        .clock(std::sync::Arc::clone(&world.clock) as _);
    let builder = match opinion {
        Opinion::Hook => builder.on_end(notes.clone()),
        Opinion::None => builder.no_end_hook(),
    };
    (builder.build().await.expect("good settings"), notes)
}

async fn log_in(sessions: &Sessions) -> Token {
    let session = sessions.start().expect("starts");
    session.log_in("alice").expect("a good name");
    let token = session.commit().await.expect("the store takes it");
    token.expect("a token for a new session")
}

async fn round(sessions: &Sessions) -> Result<Reaped, Error> {
    sessions.reaper().expect("stated").run_once().await
}

fn refused(reaped: &Result<Reaped, Error>) -> bool {
    matches!(reaped, Err(Error::Store(error)) if error.kind() == ErrorKind::Misconfigured)
}

pub(crate) async fn everybody_is_logged_out_and_can_log_in_again(world: World) {
    for opinion in [Opinion::Hook, Opinion::None] {
        let (sessions, notes) = service(&world, "portal", opinion).await;
        for loss in Loss::ALL {
            let before = log_in(&sessions).await;
            if !world.lose(loss).await {
                continue;
            }
            let after = log_in(&sessions).await;
            if matches!(loss, Loss::Everything | Loss::Sessions) {
                assert!(!opens(&sessions, &before).await, "{loss:?} {opinion:?}");
            }
            assert!(opens(&sessions, &after).await, "{loss:?} {opinion:?}");

            assert!(sessions.end(&after).await.expect("ends"));
            sessions.shutdown().await;
            let hooks = notes.calls().len();
            assert_eq!(hooks > 0, opinion == Opinion::Hook, "{loss:?} {opinion:?}");
            sessions.reset().await.expect("resets");
            round(&sessions).await.expect("reaps");
        }
    }
}

pub(crate) async fn each_operation_works_first_after_a_loss(world: World) {
    for opinion in [Opinion::Hook, Opinion::None] {
        let (sessions, _) = service(&world, "portal", opinion).await;
        let (session, token) = stored(&sessions).await;
        for loss in Loss::ALL {
            for first in 0..5 {
                if !world.lose(loss).await {
                    continue;
                }
                match first {
                    0 => {
                        log_in(&sessions).await;
                    }
                    1 => sessions.reset().await.expect("resets"),
                    2 => {
                        round(&sessions).await.expect("reaps");
                    }
                    3 => {
                        sessions.end_principal("alice").await.expect("ends");
                    }
                    _ => {
                        sessions.end_by_id(session.id()).await.expect("answers");
                    }
                }
                let _ = opens(&sessions, &token).await;
                let next = log_in(&sessions).await;
                assert!(
                    opens(&sessions, &next).await,
                    "{loss:?} {opinion:?} {first}"
                );
            }
        }
    }
}

pub(crate) async fn visitors_are_remembered_again_after_a_loss(world: World) {
    let store: std::sync::Arc<dyn SessionStore> = std::sync::Arc::clone(&world.store) as _;
    let visitors = Visitors::builder(store, world.keys.clone(), "portal");
    let visitors = visitors.clock(std::sync::Arc::clone(&world.clock) as _);
    let visitors = visitors.build().await.expect("good settings");
    let purger = || visitors.purger(IDLE).expect("a good interval");
    for loss in Loss::ALL {
        for first in 0..3 {
            if !world.lose(loss).await {
                continue;
            }
            match first {
                0 => {}
                1 => visitors.forget_all().await.expect("forgets"),
                _ => {
                    purger().run_once().await.expect("purges");
                }
            }
            let visitor = visitors.start().expect("starts");
            visitor.set("cart", "tea").expect("fits");
            let token = visitor.commit().await.expect("commits").expect("a token");
            let again = visitors.visit(&token).await.expect("answers");
            assert!(again.is_some(), "{loss:?} {first}");
        }
    }
}

/// Not from the service's next round on, whose word is heard again then.
pub(crate) async fn a_purger_that_opened_the_emptied_store_first_takes_no_hook(world: World) {
    let (sessions, notes) = service(&world, "portal", Opinion::Hook).await;
    stored(&sessions).await;
    for loss in Loss::ALL {
        if !world.lose(loss).await {
            continue;
        }
        let before = notes.calls().len();
        let (tool, _) = elsewhere(&world, "portal", Opinion::None).await;
        let (session, _) = stored(&sessions).await;
        round(&sessions).await.expect("reaps");
        world.clock.advance(IDLE);
        let purged = round(&tool).await;
        assert!(refused(&purged), "{loss:?}: {purged:?}");
        round(&sessions).await.expect("reaps");
        let calls = notes.calls().split_off(before);
        let of_it = calls.iter().filter(|call| call.id() == session.id());
        assert_eq!(of_it.count(), 1, "{loss:?}: {calls:?}");
    }
}

pub(crate) async fn no_hook_of_a_session_that_is_left_is_lost(world: World) {
    for loss in Loss::ALL {
        let application = format!("{loss:?}");
        let (sessions, notes) = service(&world, &application, Opinion::Hook).await;
        let mut all = Vec::new();
        for _ in 0..40 {
            all.push(stored(&sessions).await);
        }
        if !world.lose(loss).await {
            continue;
        }
        let (tool, _) = elsewhere(&world, &application, Opinion::None).await;
        let mut left = Vec::new();
        for (session, token) in &all {
            if sessions.peek(token).await.expect("answers").is_some() {
                left.push(session.id());
            }
        }
        if loss == Loss::Node {
            assert!(!left.is_empty() && left.len() < 40, "{} of 40", left.len());
        }
        drop(all);
        world.clock.advance(IDLE);
        if !left.is_empty() {
            let purged = round(&tool).await;
            assert!(refused(&purged), "{loss:?}: {purged:?}");
        }
        round(&sessions).await.expect("reaps");
        let by_session = notes.by_session();
        for id in left {
            assert_eq!(by_session.get(&id), Some(&1), "{loss:?}");
        }
    }
}
