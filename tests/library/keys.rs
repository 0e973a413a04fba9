//! Keys come and go while sessions live on, and what only some may see, only they see.

use std::sync::Arc;
use std::time::Duration;

use tenure::{Error, KeyRing, ManualClock, PeekRight, Peeker, Session, Sessions, Timestamp, Token};
use tenure_store::{Access, Change, Entry, Payload, SessionStore, Updated, Version};

use crate::support::keys::{ring, secret};
use crate::support::world::{IDLE, MINUTE, World, resumed, stored};

const MILLISECOND: Duration = Duration::from_millis(1);

/// The new key of these tests; the old one is the world's own.
fn new_alone() -> KeyRing {
    ring("2027-01", 8)
}

fn new_then_old() -> KeyRing {
    let both = new_alone().accept("2026-11", secret(7));
    both.expect("two good keys")
}

fn old_then_new() -> KeyRing {
    let both = ring("2026-11", 7).accept("2027-01", secret(8));
    both.expect("two good keys")
}

/// Another node, with these keys.
async fn node(world: &World, keys: KeyRing) -> Sessions {
    let store: Arc<dyn SessionStore> = Arc::clone(&world.store) as _;
    Sessions::builder(store, keys, "portal")
        .idle_timeout(IDLE)
        .clock(Arc::clone(&world.clock) as _)
        .build()
        .await
        .expect("the settings are good")
}

/// A service that holds this right and knows nothing else.
fn peeker(world: &World, right: PeekRight) -> Peeker {
    let store: Arc<dyn SessionStore> = Arc::clone(&world.store) as _;
    Peeker::new(store, right).clock(Arc::clone(&world.clock) as _)
}

async fn in_store(world: &World, sessions: &Sessions, session: &Session) -> Entry {
    let entry = world
        .store
        .inspect(sessions.namespace(), session.id(), world.now())
        .await;
    entry.expect("answers").expect("it is there")
}

async fn opens(sessions: &Sessions, token: &Token) -> bool {
    sessions.resume(token).await.expect("no error").is_some()
}

async fn recommitted(sessions: &Sessions, token: &Token) -> Option<Token> {
    let session = resumed(sessions, token).await;
    session.commit().await.expect("commits")
}

pub(crate) async fn a_key_is_accepted_before_its_date_and_not_from_it_on(world: World) {
    let before = world.sessions().await;
    let (session, token) = stored(&before).await;
    let date = world.now().plus(MINUTE);
    let keys = new_alone().accept_until("2026-11", secret(7), date);
    let after = node(&world, keys.expect("two good keys")).await;

    world.clock.advance(MINUTE - MILLISECOND);
    assert!(opens(&after, &token).await);
    world.clock.advance(MILLISECOND);
    let untouched = in_store(&world, &before, &session).await;
    world.store.calls();
    assert!(!opens(&after, &token).await);
    assert!(after.peek(&token).await.expect("no error").is_none());
    assert!(!after.end(&token).await.expect("no error"));
    assert!(world.store.calls().is_empty(), "as under an unknown key");
    assert_eq!(in_store(&world, &before, &session).await, untouched);
    assert!(opens(&before, &token).await, "where it has no date");
}

pub(crate) async fn a_payload_is_unreadable_from_its_keys_date_on(world: World) {
    let before = world.sessions().await;
    let (_, old) = stored(&before).await;
    let date = world.now().plus(MINUTE);
    let keys = new_alone().accept_until("2026-11", secret(7), date);
    let after = node(&world, keys.expect("two good keys")).await;
    // A token under the new key, and attributes that stay under the old one.
    let session = resumed(&after, &old).await;
    let new = session.token().expect("random").expect("it is stored");
    drop(session);

    world.clock.advance(MINUTE - MILLISECOND);
    assert!(opens(&after, &new).await);
    world.clock.advance(MILLISECOND);
    assert!(matches!(
        after.resume(&new).await,
        Err(Error::Unreadable(_))
    ));
    assert!(after.end(&new).await.expect("it can still be ended"));
}

pub(crate) async fn a_session_that_is_only_read_moves_to_the_new_key(world: World) {
    let (_, old) = stored(&world.sessions().await).await;
    let rotated = node(&world, new_then_old()).await;
    let session = resumed(&rotated, &old).await;
    world.store.calls();
    let new = session.commit().await.expect("commits").expect("a token");
    assert_eq!(world.store.calls(), ["update"]);
    assert!(session.commit().await.expect("commits").is_none());
    assert!(world.store.calls().is_empty(), "moved once");

    let dropped = node(&world, new_alone()).await;
    let session = resumed(&dropped, &new).await;
    let theme = session.get::<String>("theme").expect("text");
    assert_eq!(theme.as_deref(), Some("dark"));
    assert!(session.commit().await.expect("commits").is_none());
    assert_eq!(session.accesses(), 2, "its move was its access");
}

pub(crate) async fn a_passive_request_moves_a_session_and_keeps_it_no_longer(world: World) {
    let (session, old) = stored(&world.sessions().await).await;
    let rotated = node(&world, new_then_old()).await;
    world.clock.advance(MINUTE * 19);
    let passive = rotated.resume_passive(&old).await.expect("answers");
    let passive = passive.expect("live");
    let new = passive.commit().await.expect("commits").expect("a token");
    let dropped = node(&world, new_alone()).await;
    let moved = resumed(&dropped, &new).await;
    assert_eq!(moved.expires_at(), session.expires_at());
    assert_eq!(moved.accesses(), 1);
}

pub(crate) async fn any_write_moves_a_session(world: World) {
    let (_, old) = stored(&world.sessions().await).await;
    let rotated = node(&world, new_then_old()).await;
    let session = resumed(&rotated, &old).await;
    session.log_in("alice").expect("a good name");
    let new = session.commit().await.expect("commits").expect("a token");
    let dropped = node(&world, new_alone()).await;
    let session = resumed(&dropped, &new).await;
    assert_eq!(session.names(), ["theme"]);
}

pub(crate) async fn moving_overwrites_nobody_and_fails_for_nobody(world: World) {
    let before = world.sessions().await;
    let (_, old) = stored(&before).await;
    let rotated = node(&world, new_then_old()).await;
    world.clock.advance(MINUTE * 5);
    let reader = resumed(&rotated, &old).await;
    let writer = resumed(&before, &old).await;
    writer.set("theme", "light").expect("fits");
    writer.log_in("alice").expect("a good name");
    let new = writer.commit().await.expect("commits").expect("a token");

    reader.commit().await.expect("it changed nothing");
    let session = resumed(&rotated, &new).await;
    let theme = session.get::<String>("theme").expect("text");
    assert_eq!(theme.as_deref(), Some("light"));

    let reader = resumed(&rotated, &new).await;
    before.end(&new).await.expect("ends");
    assert!(matches!(reader.commit().await, Err(Error::Gone)));
    assert_eq!(world.counts().await.live, 0);
}

pub(crate) async fn a_token_in_its_grace_moves_nothing(world: World) {
    let before = world
        .builder()
        .rotation_grace(MINUTE)
        .build()
        .await
        .expect("good settings");
    let (session, old) = stored(&before).await;
    session.rotate();
    session.commit().await.expect("commits");
    let rotated = node(&world, new_then_old()).await;
    let late = resumed(&rotated, &old).await;
    world.store.calls();
    assert!(late.commit().await.expect("commits").is_none());
    assert!(world.store.calls().is_empty());
}

pub(crate) async fn a_dropped_key_leaves_the_session_where_it_is(world: World) {
    let before = world.sessions().await;
    let (session, token) = stored(&before).await;
    let untouched = in_store(&world, &before, &session).await;
    let dropped = node(&world, new_alone()).await;
    world.store.calls();
    assert!(!opens(&dropped, &token).await);
    assert!(dropped.peek(&token).await.expect("no error").is_none());
    assert!(!dropped.end(&token).await.expect("no error"));
    assert!(world.store.calls().is_empty());
    assert_eq!(in_store(&world, &before, &session).await, untouched);
    dropped.set_keys(new_then_old());
    assert!(opens(&dropped, &token).await, "accepting it again mends it");
}

pub(crate) async fn all_clones_go_by_an_exchanged_ring(world: World) {
    let sessions = world.sessions().await;
    let clone = sessions.clone();
    let (session, old) = stored(&sessions).await;
    let under_way = resumed(&clone, &old).await;
    under_way.set("cart", &7).expect("fits");
    sessions.set_keys(new_then_old());

    under_way.commit().await.expect("it goes on");
    let new = recommitted(&clone, &old).await.expect("issued anew");
    session.set("theme", "light").expect("fits");
    session.commit().await.expect("so do older handles");
    clone.set_keys(new_alone());
    assert!(!opens(&sessions, &old).await);
    let session = resumed(&sessions, &new).await;
    assert_eq!(session.get("cart").expect("a number"), Some(7));
    let (_, fresh) = stored(&sessions).await;
    assert!(opens(&node(&world, new_alone()).await, &fresh).await);
}

pub(crate) async fn a_ring_is_exchanged_under_traffic(world: World) {
    const WRITERS: u64 = 8;
    const ROUNDS: u64 = 40;
    let sessions = world.sessions().await;
    sessions.set_keys(old_then_new());
    let (_, token) = stored(&sessions).await;
    let traffic: Vec<_> = (0..WRITERS)
        .map(|_| {
            let (sessions, mut token) = (sessions.clone(), token.clone());
            tokio::spawn(async move {
                for _ in 0..ROUNDS {
                    let session = resumed(&sessions, &token).await;
                    if let Some(anew) = session.commit().await.expect("reads") {
                        token = anew;
                    }
                    session
                        .update("count", |n: Option<u64>| n.unwrap_or(0) + 1)
                        .await
                        .expect("updates");
                    let (fresh, theirs) = stored(&sessions).await;
                    assert_eq!(resumed(&sessions, &theirs).await.id(), fresh.id());
                }
            })
        })
        .collect();
    let turner = tokio::spawn({
        let sessions = sessions.clone();
        async move {
            loop {
                for keys in [new_then_old(), old_then_new()] {
                    sessions.set_keys(keys);
                    tokio::task::yield_now().await;
                }
            }
        }
    });
    for writer in traffic {
        writer.await.expect("nobody notices");
    }
    turner.abort();
    assert!(turner.await.expect_err("it never ends").is_cancelled());
    let session = resumed(&sessions, &token).await;
    assert_eq!(
        session.get("count").expect("a number"),
        Some(WRITERS * ROUNDS)
    );
}

pub(crate) async fn a_feed_proxy_asks_after_the_portals_sessions(world: World) {
    let portal = world.sessions().await;
    let (session, token) = stored(&portal).await;
    session.log_in("alice").expect("a good name");
    let token = session.commit().await.expect("commits").unwrap_or(token);
    let handed_over = world.keys.peek_right("portal").expect("a good name");
    let right = PeekRight::from_text(handed_over.expose()).expect("a whole text");
    let proxy = peeker(&world, right);
    let before = in_store(&world, &portal, &session).await;
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
    assert_eq!(in_store(&world, &portal, &session).await, before);

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
    let new = recommitted(&portal, &old).await.expect("issued anew");

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
    plant(&world, &portal, &session, Payload::new("noise")).await;
    assert!(portal.resume(&token).await.is_err());
    let proxy = peeker(&world, world.keys.peek_right("portal").expect("a name"));
    assert!(proxy.peek(&token).await.expect("answers").is_some());
}

/// Puts a payload into a session behind the library's back.
async fn plant(world: &World, sessions: &Sessions, session: &Session, payload: Payload) {
    let (ns, now) = (sessions.namespace(), world.now());
    let found = world.store.load(ns, session.id(), now).await;
    let found = found.expect("answers").expect("live");
    let mut change = Change::new(Version::new(1), Access::Passive);
    change.payload = Some(payload);
    let updated = world
        .store
        .update(ns, session.id(), found.version, &change, now)
        .await;
    assert_eq!(updated.expect("answers"), Updated::Done);
}

async fn payload(world: &World, sessions: &Sessions, session: &Session) -> Payload {
    let found = world
        .store
        .load(sessions.namespace(), session.id(), world.now())
        .await;
    found.expect("answers").expect("live").payload
}

fn shows(payload: &Payload, text: &str) -> bool {
    let mut windows = payload.as_bytes().windows(text.len());
    windows.any(|window| window == text.as_bytes())
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
    plant(&world, &sealed, &victim, in_the_clear).await;
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

    assert!(recommitted(&plain, &token).await.is_none(), "a token stays");
    assert!(shows(&payload(&world, &plain, &session).await, "dark"));
    assert!(recommitted(&plain, &token).await.is_none());

    assert!(sealed.resume(&token).await.is_err());
    assert!(recommitted(&way_back, &token).await.is_none());
    assert!(!shows(&payload(&world, &sealed, &session).await, "dark"));
    let session = resumed(&sealed, &token).await;
    let theme = session.get::<String>("theme").expect("text");
    assert_eq!(theme.as_deref(), Some("dark"));
}

pub(crate) async fn nothing_that_holds_a_key_shows_one(world: World) {
    let sessions = world.sessions().await;
    let right = world.keys.peek_right("portal").expect("a good name");
    let secret_part = right.expose().rsplit(':').next().expect("the keys");
    let secret_part = secret_part[..8].to_owned();
    let shown = format!("{sessions:?} {:?} {right:?}", world.keys);
    let shown = format!("{shown} {:?}", peeker(&world, right));
    assert!(!shown.contains(&secret_part), "{shown}");
    assert!(
        shown.contains("2026-11") && shown.contains("portal"),
        "{shown}"
    );
}

/// Everything else about the text is tested where it is read; here, that a ring from
/// outside is the ring that was meant.
pub(crate) async fn a_ring_from_a_file_is_the_ring_that_was_meant(world: World) {
    let folder = tempfile::tempdir().expect("a temporary folder can be made");
    let path = folder.path().join("keys");
    let hex = |bytes: [u8; 32]| bytes.iter().map(|b| format!("{b:02x}")).collect::<String>();
    let first: [u8; 32] = std::array::from_fn(|i| (i as u8).wrapping_mul(113) ^ 0x5a);
    let second: [u8; 32] = std::array::from_fn(|i| (i as u8).wrapping_mul(59) ^ 0xc3);
    let text = format!(
        "new {}\nold {} until 2026-01-01T00:01:00Z\n",
        hex(first),
        hex(second)
    );
    std::fs::write(&path, text).expect("a file to read");
    let key = |bytes: [u8; 32]| tenure::MasterSecret::from_bytes(bytes).expect("strong enough");
    let old = node(&world, KeyRing::new("x", key(second)).expect("a ring")).await;
    let (_, token) = stored(&old).await;

    let from_file = node(&world, KeyRing::from_file(&path).expect("a good file")).await;
    assert!(opens(&from_file, &token).await);
    let (_, fresh) = stored(&from_file).await;
    let new = node(&world, KeyRing::new("y", key(first)).expect("a ring")).await;
    assert!(opens(&new, &fresh).await, "the first line seals");
    world.clock.set(minute_one());
    assert!(!opens(&from_file, &token).await, "its date has come");
}

/// The world's clock starts with 2026.
fn minute_one() -> Timestamp {
    tenure::Clock::now(&ManualClock::default()).plus(MINUTE)
}
