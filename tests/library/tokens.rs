//! Who holds the good token holds the session, and nobody else.

use tenure::{Error, KeyRing, Token};
use tenure_store::SessionStore as _;
use tenure_store::{Access, Change, Field, Namespace, Version};

use crate::support::keys::{ring, secret};
use crate::support::world::{MINUTE, World, resumed, stored};

pub(crate) async fn a_log_in_kills_the_old_token_at_once(world: World) {
    let sessions = world
        .builder()
        .rotation_grace(MINUTE)
        .build()
        .await
        .expect("good settings");
    let (session, old) = stored(&sessions).await;
    session.log_in("alice").expect("a good name");
    let new = session
        .commit()
        .await
        .expect("commits")
        .expect("a new token");
    assert_ne!(old.as_str(), new.as_str());
    assert!(sessions.resume(&old).await.expect("answers").is_none());
    assert!(sessions.peek(&old).await.expect("answers").is_none());
    assert!(
        !sessions.end(&old).await.expect("answers"),
        "it cannot even end the session"
    );
    let session = resumed(&sessions, &new).await;
    assert_eq!(session.principal().expect("alice").as_str(), "alice");
}

pub(crate) async fn a_commit_from_before_a_log_in_is_refused(world: World) {
    let sessions = world.sessions().await;
    let (session, old) = stored(&sessions).await;
    let slow = resumed(&sessions, &old).await;
    slow.set("planted", &1).expect("buffered");
    session.log_in("alice").expect("a good name");
    let new = session
        .commit()
        .await
        .expect("commits")
        .expect("a new token");
    assert!(matches!(slow.commit().await, Err(Error::Superseded)));
    assert!(
        matches!(slow.commit().await, Err(Error::Superseded)),
        "for good"
    );
    assert_eq!(resumed(&sessions, &new).await.names(), ["theme"]);
}

pub(crate) async fn a_rotation_lets_the_old_token_read_for_its_grace(world: World) {
    let sessions = world
        .builder()
        .rotation_grace(MINUTE)
        .build()
        .await
        .expect("good settings");
    let (session, first) = stored(&sessions).await;
    session.rotate();
    let second = session
        .commit()
        .await
        .expect("commits")
        .expect("a new token");
    let late = resumed(&sessions, &first).await;
    assert_eq!(
        late.get::<String>("theme").expect("text").as_deref(),
        Some("dark")
    );
    world.store.calls();
    late.commit().await.expect("reads without an access");
    assert!(world.store.calls().is_empty());
    late.set("theme", "stolen").expect("buffered");
    assert!(
        matches!(late.commit().await, Err(Error::Superseded)),
        "and does not write"
    );
    let session = resumed(&sessions, &second).await;
    session.rotate();
    let third = session
        .commit()
        .await
        .expect("commits")
        .expect("a new token");
    assert!(
        sessions.resume(&first).await.expect("answers").is_none(),
        "two rotations old"
    );
    assert!(sessions.resume(&second).await.expect("answers").is_some());
    world.clock.advance(MINUTE);
    assert!(
        sessions.resume(&second).await.expect("answers").is_none(),
        "its grace is over"
    );
    resumed(&sessions, &third).await;
}

pub(crate) async fn rotation_keeps_everything_but_the_token(world: World) {
    let sessions = world.sessions().await;
    let (session, _) = stored(&sessions).await;
    session.log_in("alice").expect("a good name");
    session
        .set_idle_timeout(Some(MINUTE * 7))
        .expect("a good time-out");
    let token = session.commit().await.expect("commits").expect("a token");
    let before = resumed(&sessions, &token).await;
    before.rotate();
    let token = before
        .commit()
        .await
        .expect("commits")
        .expect("a new token");
    let after = resumed(&sessions, &token).await;
    assert_eq!(after.id(), before.id());
    assert_eq!(after.created(), session.created());
    assert_eq!(after.expires_at(), Some(world.now().plus(MINUTE * 7)));
    assert_eq!(after.principal(), session.principal());
    assert_eq!(after.names(), ["theme"]);
}

pub(crate) async fn of_two_rotations_at_once_one_wins(world: World) {
    let sessions = world.sessions().await;
    let elsewhere = world.sessions().await;
    let (_, token) = stored(&sessions).await;
    let one = resumed(&sessions, &token).await;
    let two = resumed(&elsewhere, &token).await;
    one.log_in("alice").expect("a good name");
    two.log_in("bob").expect("a good name");
    let (one, two) = tokio::join!(one.commit(), two.commit());
    let (won, lost) = if one.is_ok() { (one, two) } else { (two, one) };
    assert!(matches!(lost, Err(Error::Superseded)), "{lost:?}");
    resumed(&sessions, &won.expect("one wins").expect("a new token")).await;
    assert!(sessions.resume(&token).await.expect("answers").is_none());
}

pub(crate) async fn rotating_an_ended_session_creates_nothing(world: World) {
    let sessions = world.sessions().await;
    let (session, token) = stored(&sessions).await;
    let other = resumed(&sessions, &token).await;
    session.end().await.expect("ends");
    other.rotate();
    assert!(matches!(other.commit().await, Err(Error::Gone)));
    assert_eq!(world.counts().await.live, 0);
}

pub(crate) async fn a_bad_token_never_reaches_the_store(world: World) {
    let sessions = world.sessions().await;
    let (_, token) = stored(&sessions).await;
    let good = token.as_str();
    let stranger = world
        .builder_of("portal2")
        .build()
        .await
        .expect("another application");
    let mut bad: Vec<String> = vec![
        String::new(),
        "x".to_owned(),
        good[..67].to_owned(),
        format!("{good}="),
        format!(" {good}"),
        "A".repeat(68),
        "é".repeat(34),
        "x".repeat(1 << 20),
    ];
    for place in 0..good.len() {
        let other = if good.as_bytes()[place] == b'A' {
            "B"
        } else {
            "A"
        };
        bad.push(format!("{}{other}{}", &good[..place], &good[place + 1..]));
    }
    world.store.calls();
    for text in bad {
        let forged = Token::new(text);
        assert!(sessions.resume(&forged).await.expect("no error").is_none());
        assert!(sessions.peek(&forged).await.expect("no error").is_none());
        assert!(!sessions.end(&forged).await.expect("no error"));
    }
    assert!(stranger.resume(&token).await.expect("no error").is_none());
    assert!(world.store.calls().is_empty(), "not one call to the store");
    resumed(&sessions, &token).await;
}

pub(crate) async fn an_id_is_no_token(world: World) {
    let sessions = world.sessions().await;
    let (session, _) = stored(&sessions).await;
    world.store.calls();
    for text in [
        session.id().to_string(),
        session.id().to_string().replace('-', ""),
    ] {
        assert!(
            sessions
                .resume(&Token::new(text))
                .await
                .expect("no error")
                .is_none()
        );
    }
    assert!(world.store.calls().is_empty());
}

pub(crate) async fn a_token_under_an_accepted_key_is_issued_anew(world: World) {
    let sessions = world.sessions().await;
    let (_, old) = stored(&sessions).await;
    let rotated: KeyRing = ring("2027-01", 8)
        .accept("2026-11", secret(7))
        .expect("both are good");
    let mut newer = World::on("memory").await;
    newer.store = std::sync::Arc::clone(&world.store);
    newer.clock = std::sync::Arc::clone(&world.clock);
    newer.keys = rotated;
    let after = newer.sessions().await;
    let session = resumed(&after, &old).await;
    assert_eq!(
        session.get::<String>("theme").expect("text").as_deref(),
        Some("dark")
    );
    let new = session
        .commit()
        .await
        .expect("commits")
        .expect("a token under the new key");
    assert!(
        session.commit().await.expect("commits").is_none(),
        "issued once"
    );
    resumed(&after, &new).await;
    assert!(
        sessions.resume(&new).await.expect("answers").is_none(),
        "the old ring lacks it"
    );
}

pub(crate) async fn a_token_of_one_application_is_noise_to_another(world: World) {
    let portal = world.sessions().await;
    let shop = world
        .builder_of("shop")
        .build()
        .await
        .expect("another application");
    let (session, token) = stored(&portal).await;
    // Even with a record of the same id on the other side.
    let (ours, theirs) = (portal.namespace(), shop.namespace());
    let record = world
        .store
        .load(ours, session.id(), world.now())
        .await
        .expect("answers");
    let record = record.expect("live");
    let created = world
        .store
        .create(theirs, &record, world.now())
        .await
        .expect("answers");
    assert_eq!(created, tenure_store::Created::Done);
    assert!(shop.resume(&token).await.expect("answers").is_none());
}

pub(crate) async fn a_payload_moved_to_another_session_is_unreadable(world: World) {
    let sessions = world.sessions().await;
    let (mine, _) = stored(&sessions).await;
    let (victim, token) = stored(&sessions).await;
    let ns: &Namespace = sessions.namespace();
    let now = world.now();
    let stolen = world
        .store
        .load(ns, mine.id(), now)
        .await
        .expect("answers")
        .expect("live");
    let target = world
        .store
        .load(ns, victim.id(), now)
        .await
        .expect("answers")
        .expect("live");
    let mut change = Change::new(Version::new(1), Access::Passive);
    change.payload = Some(stolen.payload);
    change.principal = Field::Keep;
    let updated = world
        .store
        .update(ns, victim.id(), target.version, &change, now)
        .await;
    assert_eq!(updated.expect("answers"), tenure_store::Updated::Done);
    assert!(matches!(
        sessions.resume(&token).await,
        Err(Error::Unreadable(_))
    ));
    assert!(sessions.end(&token).await.expect("it can still be ended"));
}
