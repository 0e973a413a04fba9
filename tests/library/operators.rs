//! What operators do: end one, clear up after failed hooks, wind up an application.

use std::collections::{BTreeMap, BTreeSet};

use futures_util::TryStreamExt as _;
use tenure::{
    Counts, EndReason, Error, ErrorKind, Filter, Principal, SessionId, SessionInfo, Status,
};
use tenure_store::SessionStore as _;

use crate::looking::{built, ids, inspected, logged_in};
use crate::support::hooks::{Mood, Notebook};
use crate::support::world::{IDLE, MINUTE, World, resumed, stored};

fn of_principal(name: &str) -> Filter {
    Filter {
        principal: Some(Principal::new(name).expect("a good name")),
        ..Filter::all(10)
    }
}

pub(crate) async fn an_operator_sees_who_is_on_and_ends_one(world: World) {
    let notes = Notebook::default();
    let sessions = built(world.builder().on_end(notes.clone())).await;
    stored(&sessions).await;
    let (bobs, bobs_token) = logged_in(&sessions, "bob").await;
    let (on_the_phone, _) = logged_in(&sessions, "alice").await;
    let (at_home, token) = logged_in(&sessions, "alice").await;
    world.clock.advance(MINUTE);
    resumed(&sessions, &token)
        .await
        .commit()
        .await
        .expect("commits");

    assert_eq!(
        ids(&sessions, of_principal("alice")).await,
        BTreeSet::from([on_the_phone, at_home])
    );
    let info = inspected(&sessions, at_home).await;
    assert_eq!(info.status(), Status::Live);
    assert_eq!(info.principal().expect("she is").as_str(), "alice");
    assert_eq!(info.created(), world.now().minus(MINUTE));
    assert_eq!(info.last_access(), world.now());
    assert_eq!(info.accesses(), 3);
    assert_eq!(info.rotations(), 1);
    assert_eq!(info.idle_timeout(), Some(IDLE));
    assert_eq!(info.expires_at(), Some(world.now().plus(IDLE)));
    assert_eq!((info.end(), info.attempts()), (None, 0));

    assert!(sessions.end_by_id(at_home).await.expect("ends"));
    assert!(!sessions.end_by_id(at_home).await.expect("nothing to end"));
    sessions.shutdown().await;
    assert!(sessions.resume(&token).await.expect("answers").is_none());
    resumed(&sessions, &bobs_token).await;
    let calls = notes.calls();
    assert_eq!(calls.len(), 1, "its hook, at once and once");
    assert_eq!(
        (calls[0].id(), calls[0].reason()),
        (at_home, EndReason::Administrator)
    );
    let unknown = sessions.inspect(at_home).await.expect("answers");
    assert!(unknown.is_none(), "its hook has run");
    assert!(ids(&sessions, of_principal("bob")).await.contains(&bobs));
}

pub(crate) async fn dead_letters_are_listed_requeued_and_discarded(world: World) {
    let notes = Notebook::default();
    let sessions = built(world.builder().on_end(notes.clone()).hook_attempts(1)).await;
    notes.be(Mood::Fail);
    let mut dead = Vec::new();
    for _ in 0..3 {
        let (session, _) = stored(&sessions).await;
        session.end().await.expect("ends");
        dead.push(session.id());
    }
    stored(&sessions).await;
    sessions.shutdown().await;
    let letters: Vec<SessionInfo> = sessions.dead_letters().try_collect().await.expect("lists");
    let listed: BTreeSet<SessionId> = letters.iter().map(SessionInfo::id).collect();
    assert_eq!(listed, dead.iter().copied().collect());
    for letter in &letters {
        assert_eq!(letter.status(), Status::Dead);
        assert_eq!(letter.last_failure(), Some("the mail server is away"));
        assert_eq!((letter.attempts(), letter.hook_due()), (1, None));
        assert_eq!(letter.end().expect("ended").reason, EndReason::Logout);
        let theme: Option<String> = letter.get("theme").expect("text");
        assert_eq!(theme.as_deref(), Some("dark"), "with all that it was");
    }

    notes.be(Mood::Succeed);
    assert!(sessions.requeue(dead[0]).await.expect("answers"));
    assert!(sessions.discard(dead[1]).await.expect("answers"));
    assert!(!sessions.discard(dead[1]).await.expect("gone already"));
    assert_eq!(
        inspected(&sessions, dead[0]).await.status(),
        Status::Waiting
    );
    let reaper = sessions.reaper().expect("a hook");
    assert_eq!(reaper.run_once().await.expect("answers").succeeded, 1);
    let calls = notes.by_session();
    assert_eq!(calls[&dead[0]], 2, "run again");
    assert_eq!(calls[&dead[1]], 1, "and this one not");
    let left: Vec<SessionInfo> = sessions.dead_letters().try_collect().await.expect("lists");
    assert_eq!(left.len(), 1);
    assert_eq!(left[0].id(), dead[2]);
    let unknown = sessions.requeue(dead[1]).await.expect("answers");
    assert!(!unknown, "what is gone stays gone");
}

/// Sessions of a service that is gone: one ended, its hook not run; one ran out; one that
/// is live; one dead letter.
async fn abandoned(world: &World) -> [SessionId; 4] {
    let notes = Notebook::default();
    let sessions = built(world.builder().on_end(notes.clone()).hook_attempts(1)).await;
    notes.be(Mood::Fail);
    let (dead, _) = stored(&sessions).await;
    dead.end().await.expect("ends");
    sessions.shutdown().await;
    let (ended, _) = logged_in(&sessions, "alice").await;
    sessions.end_principal("alice").await.expect("ends");
    let (ran_out, _) = stored(&sessions).await;
    world.clock.advance(IDLE);
    let (live, _) = stored(&sessions).await;
    [ended, ran_out.id(), live.id(), dead.id()]
}

pub(crate) async fn an_application_nobody_serves_is_reaped_with_its_hooks(world: World) {
    let [ended, ran_out, live, dead] = abandoned(&world).await;
    let notes = Notebook::default();
    let operator = built(world.builder().on_end(notes.clone())).await;
    operator.reset().await.expect("resets");
    assert!(operator.requeue(dead).await.expect("answers"));
    let reaper = operator.reaper().expect("a hook");
    assert_eq!(reaper.run_once().await.expect("answers").succeeded, 4);
    let reasons: BTreeMap<SessionId, EndReason> = notes
        .calls()
        .iter()
        .map(|call| (call.id(), call.reason()))
        .collect();
    let expected = BTreeMap::from([
        (ended, EndReason::PrincipalRevoked),
        (ran_out, EndReason::IdleTimeout),
        (live, EndReason::ApplicationReset),
        (dead, EndReason::Logout),
    ]);
    assert_eq!(reasons, expected);
    assert_eq!(operator.count().await.expect("answers"), Counts::default());
}

pub(crate) async fn an_application_nobody_serves_is_reaped_without_its_hooks(world: World) {
    let [.., dead] = abandoned(&world).await;
    let operator = built(world.builder().no_end_hook()).await;
    operator.reset().await.expect("resets");
    let reaper = operator.reaper().expect("no hook is wanted");
    let refused = reaper.run_once().await;
    assert!(
        matches!(refused, Err(Error::Store(ref e)) if e.kind() == ErrorKind::Misconfigured),
        "not before the operator says so: {refused:?}"
    );
    operator.withdraw_hooks().await.expect("withdraws");
    assert_eq!(reaper.run_once().await.expect("answers").purged, 3);
    assert!(operator.discard(dead).await.expect("answers"));
    assert_eq!(operator.count().await.expect("answers"), Counts::default());
}

pub(crate) async fn who_runs_hooks_cannot_withdraw_them(world: World) {
    let sessions = built(world.builder().on_end(Notebook::default())).await;
    stored(&sessions).await;
    let refused = sessions.withdraw_hooks().await;
    assert!(matches!(refused, Err(Error::Policy(_))), "{refused:?}");
    let purge = world.store.purge(sessions.namespace(), 10, world.now());
    let refused = purge.await;
    assert!(refused.is_err(), "hooks are still expected");
}
