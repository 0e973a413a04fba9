//! Operators see who is on, without being noticed, and end one, or clear up.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use futures_util::{StreamExt as _, TryStreamExt as _};
use tenure::{
    Counts, EndReason, Error, ErrorKind, Filter, Principal, SessionId, SessionInfo, Sessions,
    SessionsBuilder, Status, Timestamp, Token,
};
use tenure_store::{Access, Change, Payload, SessionStore as _, Updated, Version};

use crate::support::hooks::{Mood, Notebook};
use crate::support::world::{IDLE, MINUTE, World, resumed, stored};

async fn built(builder: SessionsBuilder) -> Sessions {
    builder.build().await.expect("good settings")
}

async fn logged_in(sessions: &Sessions, principal: &str) -> (SessionId, Token) {
    let (session, _) = stored(sessions).await;
    session.log_in(principal).expect("a good name");
    let token = session.commit().await.expect("commits").expect("rotated");
    (session.id(), token)
}

async fn ids(sessions: &Sessions, filter: Filter) -> BTreeSet<SessionId> {
    let infos: Vec<SessionInfo> = sessions.scan(filter).try_collect().await.expect("answers");
    let ids: BTreeSet<SessionId> = infos.iter().map(SessionInfo::id).collect();
    assert_eq!(ids.len(), infos.len(), "each once");
    ids
}

async fn inspected(sessions: &Sessions, id: SessionId) -> SessionInfo {
    sessions
        .inspect(id)
        .await
        .expect("answers")
        .expect("it is in the store")
}

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

pub(crate) async fn looking_changes_nothing_and_shows_no_secret(world: World) {
    let sessions = world.sessions().await;
    let (id, token) = logged_in(&sessions, "alice").await;
    world.clock.advance(MINUTE * 5);
    let ns = sessions.namespace();
    let before = world.store.inspect(ns, id, world.now()).await;
    world.store.calls();
    let page = sessions.list(&Filter::all(10)).await.expect("answers");
    let info = inspected(&sessions, id).await;
    assert_eq!(info.names().expect("readable"), ["theme"]);
    assert_eq!(sessions.count().await.expect("answers").live, 1);
    ids(&sessions, Filter::all(10)).await;
    assert_eq!(world.store.calls(), ["list", "inspect", "count", "list"]);
    let after = world.store.inspect(ns, id, world.now()).await;
    assert_eq!(before.expect("answers"), after.expect("answers"));
    let shown = format!("{page:?} {info:?}");
    assert!(shown.contains(&id.to_string()), "ids may be shown");
    for secret in [token.as_str(), "alice", "theme", "dark"] {
        assert!(!shown.contains(secret), "{secret} in {shown}");
    }
}

pub(crate) async fn a_scan_sees_everybody_once_while_others_come_and_go(world: World) {
    let sessions = world.sessions().await;
    let mut all = Vec::new();
    for n in 0..60 {
        // Some are of the same instant: then the id decides the order.
        world.clock.advance(MINUTE / 60 * (n % 3));
        all.push(stored(&sessions).await);
    }
    let (stay, go): (Vec<_>, Vec<_>) = all.iter().enumerate().partition(|(n, _)| n % 4 != 0);
    let mut go = go.into_iter();
    let mut seen = BTreeMap::<SessionId, u32>::new();
    let mut scan = sessions.scan(Filter::all(7));
    while let Some(info) = scan.try_next().await.expect("answers") {
        *seen.entry(info.id()).or_default() += 1;
        // Gone without a trace, before the scan gets there or after.
        for (_, (session, _)) in [go.next(), go.next_back()].into_iter().flatten() {
            session.end().await.expect("ends");
            sessions.discard(session.id()).await.expect("answers");
        }
        if seen.len() < all.len() {
            stored(&sessions).await;
        }
    }
    assert!(seen.values().all(|times| *times == 1), "nobody twice");
    for (_, (session, _)) in stay {
        assert!(seen.contains_key(&session.id()), "nobody left out");
    }
}

pub(crate) async fn a_scan_holds_one_page_at_a_time(world: World) {
    let sessions = world.sessions().await;
    for _ in 0..10 {
        stored(&sessions).await;
    }
    world.store.calls();
    let mut scan = sessions.scan(Filter::all(3));
    assert!(world.store.calls().is_empty(), "nothing before it is asked");
    for _ in 0..3 {
        scan.try_next().await.expect("answers").expect("one more");
    }
    assert_eq!(world.store.calls(), ["list"]);
    scan.try_next().await.expect("answers").expect("one more");
    assert_eq!(world.store.calls(), ["list"]);
    let rest: Vec<SessionInfo> = scan.try_collect().await.expect("answers");
    assert_eq!(rest.len(), 6);

    let none = sessions.list(&Filter::all(0)).await;
    assert!(matches!(none, Err(Error::Store(e)) if e.kind() == ErrorKind::Invalid));
}

pub(crate) async fn a_scan_goes_on_after_an_outage(world: World) {
    let sessions = world.sessions().await;
    for _ in 0..10 {
        stored(&sessions).await;
    }
    let mut scan = sessions.scan(Filter::all(4));
    let mut seen = BTreeSet::new();
    let mut last = None;
    for _ in 0..4 {
        let info = scan.try_next().await.expect("answers").expect("one more");
        seen.insert(info.id());
        last = Some(info.cursor());
    }
    world.store.fail_next(1);
    assert!(scan.next().await.expect("an answer").is_err());
    assert!(scan.next().await.is_none(), "it ends with its first error");
    let rest = Filter {
        after: last,
        ..Filter::all(4)
    };
    let rest = ids(&sessions, rest).await;
    assert_eq!(rest.len(), 6);
    assert!(seen.is_disjoint(&rest));
}

pub(crate) async fn filters_agree_with_counts(world: World) {
    let notes = Notebook::default();
    notes.be(Mood::Fail);
    let sessions = built(world.builder().on_end(notes.clone()).hook_attempts(1)).await;
    let (dead, _) = stored(&sessions).await;
    dead.end().await.expect("ends");
    sessions.shutdown().await;
    let (over, _) = stored(&sessions).await;
    world.clock.advance(IDLE);
    let late: Timestamp = world.now();
    let (live, _) = stored(&sessions).await;
    logged_in(&sessions, "alice").await;
    logged_in(&sessions, "alice").await;
    assert_eq!(sessions.end_principal("alice").await.expect("ends"), 2);

    let counts = sessions.count().await.expect("answers");
    let expected = Counts {
        live: 1,
        over: 1,
        waiting: 2,
        held: 0,
        dead: 1,
        oldest_due: Some(late),
    };
    assert_eq!(counts, expected);
    for status in Status::ALL {
        let filter = Filter {
            status: Some(status),
            ..Filter::all(10)
        };
        let found = ids(&sessions, filter).await;
        assert_eq!(found.len() as u64, counts.of(status), "{status:?}");
        for (id, its) in [(live.id(), Status::Live), (over.id(), Status::Over)] {
            assert_eq!(found.contains(&id), its == status);
        }
    }
    let old = Filter {
        created: Timestamp::MIN..late,
        ..Filter::all(10)
    };
    assert_eq!(
        ids(&sessions, old).await,
        BTreeSet::from([dead.id(), over.id()])
    );
    let end = inspected(&sessions, over.id())
        .await
        .end()
        .expect("it ran out");
    assert_eq!((end.reason, end.at), (EndReason::IdleTimeout, late));
}

pub(crate) async fn attributes_are_read_when_somebody_asks(world: World) {
    let sessions = world.sessions().await;
    let (good, _) = stored(&sessions).await;
    good.set("cart", &vec![7, 9]).expect("fits");
    good.commit().await.expect("commits");
    let (bad, _) = stored(&sessions).await;
    damage(&world, &sessions, bad.id()).await;

    let page = sessions.list(&Filter::all(10)).await.expect("answers");
    assert_eq!(page.sessions.len(), 2, "the damaged one harms no list");
    for info in page.sessions {
        if info.id() == good.id() {
            assert_eq!(info.names().expect("readable"), ["cart", "theme"]);
            assert_eq!(info.get("cart").expect("numbers"), Some(vec![7, 9]));
            assert_eq!(info.get::<u8>("nothing").expect("readable"), None);
            let wrong = info.get::<u8>("theme");
            assert!(matches!(wrong, Err(Error::Attribute { .. })), "{wrong:?}");
        } else {
            assert_eq!(info.status(), Status::Live);
            assert_eq!(info.stored_len(), 7);
            assert!(matches!(info.names(), Err(Error::Unreadable(_))));
            let unreadable = info.get::<String>("theme");
            assert!(matches!(unreadable, Err(Error::Unreadable(_))));
            assert!(sessions.end_by_id(info.id()).await.expect("it can end"));
        }
    }
}

async fn damage(world: &World, sessions: &Sessions, id: SessionId) {
    let ns = sessions.namespace();
    let entry = world.store.inspect(ns, id, world.now()).await;
    let record = entry.expect("answers").expect("stored").record;
    let mut change = Change::new(Version::new(1), Access::Passive);
    change.payload = Some(Payload::new(b"damaged".to_vec()));
    let update = world
        .store
        .update(ns, id, record.version, &change, world.now());
    assert_eq!(update.await.expect("answers"), Updated::Done);
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
    let others = Arc::clone(&world.store);
    let refused = others.purge(sessions.namespace(), 10, world.now()).await;
    assert!(refused.is_err(), "hooks are still expected");
}
