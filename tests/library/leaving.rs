//! A closed browser ends its session; a page that is left for another does not.

use std::time::Duration;

use tenure::{EndReason, Error, Session, Sessions, Token};

use crate::support::hooks::Notebook;
use crate::support::world::{IDLE, MINUTE, World, resumed, stored};

const GRACE: Duration = Session::LEAVE_GRACE;
const MILLISECOND: Duration = Duration::from_millis(1);

/// What a request does that must not keep the session alive.
async fn passively(sessions: &Sessions, token: &Token, does: impl FnOnce(&Session)) -> Session {
    let session = sessions
        .resume_passive(token)
        .await
        .expect("the store answers")
        .expect("the session is live");
    does(&session);
    session.commit().await.expect("commits");
    session
}

async fn leaves(sessions: &Sessions, token: &Token) {
    passively(sessions, token, |session| session.leave(GRACE)).await;
}

async fn is_live(sessions: &Sessions, token: &Token) -> bool {
    sessions.peek(token).await.expect("answers").is_some()
}

/// As far as anybody can tell who only looks.
async fn is_leaving(sessions: &Sessions, token: &Token) -> bool {
    let peek = sessions.peek(token).await.expect("answers").expect("live");
    peek.time_left <= Some(GRACE)
}

pub(crate) async fn a_session_whose_browser_was_closed_ends_with_its_hook(world: World) {
    let notes = Notebook::default();
    let builder = world.builder().on_end(notes.clone());
    let sessions = builder.build().await.expect("good settings");
    let (session, token) = stored(&sessions).await;
    leaves(&sessions, &token).await;
    let left_at = world.now().plus(GRACE);
    let peek = sessions.peek(&token).await.expect("answers").expect("live");
    assert_eq!(peek.time_left, Some(GRACE));

    world.clock.advance(GRACE - MILLISECOND);
    assert!(is_live(&sessions, &token).await);
    world.clock.advance(MILLISECOND);
    assert!(!is_live(&sessions, &token).await, "at the very instant");

    let reaper = sessions.reaper().expect("a hook");
    assert_eq!(reaper.run_once().await.expect("answers").succeeded, 1);
    let call = notes.calls().pop().expect("one call");
    assert_eq!((call.id(), call.reason()), (session.id(), EndReason::Left));
    assert_eq!(call.ended_at(), left_at);
    assert_eq!(
        call.get::<String>("theme").expect("text").as_deref(),
        Some("dark")
    );
}

pub(crate) async fn every_access_takes_a_leave_back(world: World) {
    let sessions = world.sessions().await;
    let (_, token) = stored(&sessions).await;

    // No time passes, so that any access that may be skipped would be.
    leaves(&sessions, &token).await;
    let reads = resumed(&sessions, &token).await;
    reads.commit().await.expect("commits");
    world.clock.advance(GRACE);
    assert!(is_live(&sessions, &token).await, "a request that reads");

    leaves(&sessions, &token).await;
    let writes = resumed(&sessions, &token).await;
    writes.set("page", &2).expect("fits");
    writes.commit().await.expect("commits");
    world.clock.advance(GRACE);
    assert!(is_live(&sessions, &token).await, "a request that writes");

    leaves(&sessions, &token).await;
    let counts = resumed(&sessions, &token).await;
    let count = counts.update("pages", |n: Option<u8>| n.unwrap_or(0) + 1);
    count.await.expect("commits");
    world.clock.advance(GRACE);
    assert!(is_live(&sessions, &token).await, "a request that updates");

    leaves(&sessions, &token).await;
    drop(resumed(&sessions, &token).await);
    // A task writes it, soon.
    let written = async {
        while is_leaving(&sessions, &token).await {
            tokio::task::yield_now().await;
        }
    };
    let written = tokio::time::timeout(MINUTE, written).await;
    written.expect("one that never commits");
    world.clock.advance(GRACE);
    assert!(is_live(&sessions, &token).await);
}

pub(crate) async fn a_commit_that_began_before_the_leave_takes_it_back(world: World) {
    let sessions = world.sessions().await;
    let (_, token) = stored(&sessions).await;
    let slow = resumed(&sessions, &token).await;
    leaves(&sessions, &token).await;
    slow.set("answer", &42).expect("fits");
    slow.commit().await.expect("the leave is no conflict");
    world.clock.advance(GRACE);
    assert!(is_live(&sessions, &token).await);
}

pub(crate) async fn passive_requests_do_not_take_a_leave_back(world: World) {
    let sessions = world.sessions().await;
    let (_, token) = stored(&sessions).await;
    leaves(&sessions, &token).await;
    world.clock.advance(GRACE / 2);
    passively(&sessions, &token, |_| ()).await;
    passively(&sessions, &token, |session| {
        session.set("beats", &1).expect("fits");
    })
    .await;
    assert!(is_live(&sessions, &token).await, "nor end it early");
    world.clock.advance(GRACE / 2);
    assert!(!is_live(&sessions, &token).await);
}

pub(crate) async fn remaining_takes_a_leave_back_and_is_no_access(world: World) {
    let sessions = world.sessions().await;
    let (session, token) = stored(&sessions).await;
    leaves(&sessions, &token).await;
    world.clock.advance(GRACE / 2);
    passively(&sessions, &token, Session::remain).await;
    world.clock.advance(GRACE);
    let info = sessions.inspect(session.id()).await.expect("answers");
    let info = info.expect("it is there");
    assert_eq!(info.leaves_at(), None);
    assert_eq!((info.accesses(), info.last_access()), (1, info.created()));

    world.clock.advance(IDLE - GRACE - GRACE / 2 - MILLISECOND);
    assert!(is_live(&sessions, &token).await);
    world.clock.advance(MILLISECOND);
    assert!(!is_live(&sessions, &token).await, "by its idle time-out");
}

pub(crate) async fn remaining_where_nobody_leaves_writes_nothing(world: World) {
    let sessions = world.sessions().await;
    let (_, token) = stored(&sessions).await;
    world.store.calls();
    passively(&sessions, &token, Session::remain).await;
    assert_eq!(world.store.calls(), ["load"]);
    passively(&sessions, &token, |session| {
        session.leave(GRACE);
        session.remain();
    })
    .await;
    assert_eq!(world.store.calls(), ["load"], "changed its mind in time");
}

pub(crate) async fn leaving_is_no_access(world: World) {
    let sessions = world.sessions().await;
    let (session, token) = stored(&sessions).await;
    world.clock.advance(MINUTE * 5);
    // Not even by a request that is one, and owes a touch.
    let request = resumed(&sessions, &token).await;
    request.leave(GRACE);
    request.commit().await.expect("commits");
    world.store.calls();
    drop(request);
    tokio::task::yield_now().await;
    let info = sessions.inspect(session.id()).await.expect("answers");
    let info = info.expect("it is there");
    assert_eq!(world.store.calls(), ["inspect"], "nothing more is owed");
    assert_eq!((info.accesses(), info.last_access()), (1, info.created()));
    assert_eq!(info.leaves_at(), Some(world.now().plus(GRACE)));
}

pub(crate) async fn nothing_brings_back_a_session_that_has_left(world: World) {
    let sessions = world.sessions().await;
    let (_, token) = stored(&sessions).await;
    let writes = resumed(&sessions, &token).await;
    let remains = resumed(&sessions, &token).await;
    let updates = resumed(&sessions, &token).await;
    leaves(&sessions, &token).await;
    let reads = resumed(&sessions, &token).await;
    world.clock.advance(GRACE);
    writes.set("late", &1).expect("buffered");
    remains.set_idle_timeout(None).expect("never");
    remains.remain();
    assert!(matches!(writes.commit().await, Err(Error::Gone)));
    assert!(matches!(remains.commit().await, Err(Error::Gone)));
    assert!(matches!(reads.commit().await, Err(Error::Gone)));
    let updated = updates.update("n", |_: Option<u8>| 1).await;
    assert!(matches!(updated, Err(Error::Gone)));
    assert!(sessions.resume(&token).await.expect("answers").is_none());
    let info = sessions.inspect(updates.id()).await.expect("answers");
    let end = info.expect("not reaped yet").end().expect("it is over");
    assert_eq!((end.reason, end.at), (EndReason::Left, world.now()));
}

pub(crate) async fn another_tab_and_the_next_page_keep_the_session(world: World) {
    let sessions = world.sessions().await;
    let (_, token) = stored(&sessions).await;
    // From page to page: the old one says goodbye, the new one is requested.
    for _ in 0..5 {
        leaves(&sessions, &token).await;
        world.clock.advance(Duration::from_secs(1));
        resumed(&sessions, &token)
            .await
            .commit()
            .await
            .expect("commits");
        world.clock.advance(MINUTE);
    }
    // One of two tabs is closed, and the other says that it is still there.
    leaves(&sessions, &token).await;
    world.clock.advance(GRACE - MILLISECOND);
    passively(&sessions, &token, Session::remain).await;
    world.clock.advance(MINUTE);
    // The beacon of the page before comes after the next page's request.
    resumed(&sessions, &token)
        .await
        .commit()
        .await
        .expect("commits");
    leaves(&sessions, &token).await;
    passively(&sessions, &token, Session::remain).await;
    world.clock.advance(MINUTE);
    assert!(is_live(&sessions, &token).await);
    // The other one is closed too.
    leaves(&sessions, &token).await;
    world.clock.advance(GRACE);
    assert!(!is_live(&sessions, &token).await);
}
