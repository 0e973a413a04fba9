//! Nothing secret is printed, and what is stored opens nothing. Every case of this program
//! runs while everything that is traced is searched for what the cases store and send.

use std::fmt::Write as _;

use tenure::{Error, Token};
use tenure_store::{Filter, SessionStore as _};

use crate::support::canary::Canary;
use crate::support::hooks::Notebook;
use crate::support::world::{World, resumed, stored};

pub(crate) async fn what_is_stored_opens_nothing(world: World) {
    let sessions = world.sessions().await;
    let (session, _) = stored(&sessions).await;
    session.log_in("carol").expect("a good name");
    session.set("card", "4111 1111 1111 1111").expect("fits");
    let token = session.commit().await.expect("commits").expect("a token");
    let page = world
        .store
        .list(sessions.namespace(), &Filter::all(10), world.now())
        .await;
    let page = page.expect("answers");
    assert_eq!(page.entries.len(), 1);
    let mut dump = world.files();
    for entry in &page.entries {
        dump.extend_from_slice(entry.record.payload.as_bytes());
        dump.extend_from_slice(format!("{entry:?}").as_bytes());
    }
    let raw = data_encoding::BASE64URL_NOPAD
        .decode(token.as_str().as_bytes())
        .expect("a token");
    let holds = |what: &[u8]| dump.windows(what.len()).any(|window| window == what);
    assert!(
        holds(&page.entries[0].record.payload.as_bytes()[20..36]),
        "the search finds"
    );
    assert!(!holds(token.as_str().as_bytes()), "the token");
    assert!(!holds(&raw[16..35]), "the sealed secret");
    assert!(!holds(b"4111 1111"), "an attribute's value");
    for entry in &page.entries {
        let id = entry.record.id;
        for text in [
            id.to_string(),
            data_encoding::BASE64URL_NOPAD.encode(id.as_bytes()),
        ] {
            assert!(
                sessions
                    .resume(&Token::new(text))
                    .await
                    .expect("answers")
                    .is_none()
            );
        }
    }
}

pub(crate) async fn debug_and_errors_show_nothing_secret(world: World) {
    let canary = Canary::of_this_process();
    let notes = Notebook::default();
    let builder = world.builder().on_end(notes.clone());
    let mut printed = format!("{builder:?}");
    let sessions = builder.build().await.expect("good settings");
    let (session, _) = stored(&sessions).await;
    session.log_in("alice").expect("a good name");
    let token = session.commit().await.expect("commits").expect("a token");
    canary.watch_for(&token.as_str()[..8]);
    let principal = session.principal();
    let wrong_type: Result<Option<u64>, Error> = session.get("theme");
    let too_large = session.set("theme", &"dark".repeat(100_000));
    let bad_name = session.log_in("alice\0");
    let record = world
        .store
        .load(sessions.namespace(), session.id(), world.now())
        .await;
    let late = resumed(&sessions, &token).await;
    session.end().await.expect("ends");
    late.set("theme", "darker").expect("fits");
    let gone = late.commit().await;
    sessions.shutdown().await;
    let ended = notes.calls();
    let keys = &world.keys;
    write!(
        printed,
        "{sessions:?} {session:?} {token:?} {principal:?} {keys:?} {record:?} {ended:?}
         {wrong_type:?} {too_large:?} {bad_name:?} {gone:?} {:?}",
        world.store,
    )
    .expect("to memory");
    for error in [
        wrong_type.err(),
        too_large.err(),
        bad_name.err(),
        gone.err(),
    ] {
        printed += &error.expect("each is an error").to_string();
    }
    assert!(!canary.is_in(&printed), "{printed}");
    assert!(canary.is_in(token.as_str()), "the search finds");
}

pub(crate) async fn what_is_traced_is_searched(world: World) {
    let canary = Canary::default();
    let listening = tracing::subscriber::set_default(canary.subscriber());
    tracing::trace!("nothing to see");
    assert_eq!(canary.found(), 0);
    tracing::trace!(principal = "alice", "a leak");
    assert_eq!(canary.found(), 1, "a leak is found");
    drop(listening);
    let canary = Canary::of_this_process();
    let before = canary.lines();
    let sessions = world.sessions().await;
    let (session, token) = stored(&sessions).await;
    session.log_in("alice").expect("a good name");
    session.commit().await.expect("commits");
    assert!(sessions.resume(&token).await.expect("answers").is_none());
    assert!(
        canary.lines() > before,
        "the use of an old token is traced, and more"
    );
}
