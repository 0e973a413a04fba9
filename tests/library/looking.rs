//! Looking at sessions: everybody is seen, and nobody notices.

use std::collections::{BTreeMap, BTreeSet};

use futures_util::{StreamExt as _, TryStreamExt as _};
use tenure::{
    Counts, EndReason, Error, ErrorKind, Filter, SessionId, SessionInfo, Sessions, SessionsBuilder,
    Status, Timestamp, Token,
};
use tenure_store::{Access, Change, Payload, SessionStore as _, Updated, Version};

use crate::support::hooks::{Mood, Notebook};
use crate::support::world::{IDLE, MINUTE, World, stored};

pub(super) async fn built(builder: SessionsBuilder) -> Sessions {
    builder.build().await.expect("good settings")
}

pub(super) async fn logged_in(sessions: &Sessions, principal: &str) -> (SessionId, Token) {
    let (session, _) = stored(sessions).await;
    session.log_in(principal).expect("a good name");
    let token = session.commit().await.expect("commits").expect("rotated");
    (session.id(), token)
}

pub(super) async fn ids(sessions: &Sessions, filter: Filter) -> BTreeSet<SessionId> {
    let infos: Vec<SessionInfo> = sessions.scan(filter).try_collect().await.expect("answers");
    let ids: BTreeSet<SessionId> = infos.iter().map(SessionInfo::id).collect();
    assert_eq!(ids.len(), infos.len(), "each once");
    ids
}

pub(super) async fn inspected(sessions: &Sessions, id: SessionId) -> SessionInfo {
    let info = sessions.inspect(id).await.expect("answers");
    info.expect("it is in the store")
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
