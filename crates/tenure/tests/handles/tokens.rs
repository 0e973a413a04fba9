//! What the client holds, and what it is sent.

use tenure::Error;

use crate::unruly::Fate::{Late, Lost, Refused};
use crate::{World, opens, resumed, stored};

#[tokio::test]
async fn a_token_that_an_update_made_is_handed_over_by_the_next_commit() {
    let world = World::new();
    let node = world.node().await;
    let session = node.start().expect("starts");
    let hits = session.update("hits", |hits| hits.unwrap_or(0) + 1).await;
    assert_eq!(hits.expect("stored"), 1);
    let token = session
        .commit()
        .await
        .expect("commits")
        .expect("it is owed");
    assert!(session.commit().await.expect("commits").is_none(), "once");

    let session = resumed(&node, &token).await;
    session.log_in("alice").expect("a good name");
    session
        .update("hits", |hits| hits.unwrap_or(0) + 1)
        .await
        .expect("stored");
    let token = session
        .commit()
        .await
        .expect("commits")
        .expect("it is owed");
    let session = resumed(&node, &token).await;
    assert_eq!(session.principal().expect("alice").as_str(), "alice");
    assert_eq!(session.get::<i32>("hits").expect("a number"), Some(2));
}

#[tokio::test]
async fn a_previous_token_only_reads() {
    let world = World::new();
    let node = world.node().await;
    let (session, first) = stored(&node).await;
    session.log_in("alice").expect("a good name");
    let first = {
        drop(first);
        session.commit().await.expect("commits").expect("a token")
    };
    session.rotate();
    let second = session.commit().await.expect("commits").expect("a token");

    let late = resumed(&node, &first).await;
    assert_eq!(
        late.get::<String>("theme").expect("text").as_deref(),
        Some("dark")
    );
    assert!(
        late.token().expect("random").is_none(),
        "it promotes nobody"
    );
    assert!(matches!(late.end().await, Err(Error::Superseded)));
    assert!(matches!(late.end_others().await, Err(Error::Superseded)));
    assert!(matches!(node.end(&first).await, Err(Error::Superseded)));
    late.leave(crate::MINUTE);
    assert!(matches!(late.commit().await, Err(Error::Superseded)));
    assert!(opens(&node, &second).await);
    assert!(node.end(&second).await.expect("answers"));
}

#[tokio::test]
async fn a_request_from_before_a_log_in_is_not_carried_past_it_by_a_lost_answer() {
    let world = World::new();
    let (one, two) = (world.node().await, world.node().await);
    let (_, planted) = stored(&one).await;
    let attacker = resumed(&one, &planted).await;
    let victim = resumed(&two, &planted).await;
    let (send, receive) = tokio::sync::oneshot::channel();
    world.store.next(&[Lost]);
    world.store.meanwhile(Box::pin(async move {
        victim.log_in("alice").expect("a good name");
        let alices = victim.commit().await.expect("commits").expect("a token");
        send.send(alices).expect("it is waited for");
    }));
    let hits = attacker.update("hits", |hits: Option<u64>| hits.unwrap_or(0) + 1);
    let hits = hits.await;
    assert!(matches!(hits, Err(Error::Superseded)), "{hits:?}");
    let alices = receive.await.expect("she has logged in");

    attacker.set("theme", "planted").expect("buffered");
    attacker.rotate();
    assert!(matches!(attacker.commit().await, Err(Error::Superseded)));
    assert!(
        attacker.principal().is_none(),
        "it is nobody's as far as it knows"
    );
    assert!(attacker.token().expect("random").is_none());
    assert!(matches!(attacker.end().await, Err(Error::Superseded)));
    let session = resumed(&two, &alices).await;
    assert_eq!(
        session.get::<String>("theme").expect("text").as_deref(),
        Some("dark")
    );
}

#[tokio::test]
async fn a_write_given_up_before_anothers_log_in_is_no_way_past_it() {
    let world = World::new();
    let (one, two) = (world.node().await, world.node().await);
    let (_, planted) = stored(&one).await;
    let attacker = resumed(&one, &planted).await;
    let victim = resumed(&two, &planted).await;
    // The attacker's write lands, its answer and its look are lost; then she logs in.
    world.store.next(&[Lost]);
    world.store.lose_next_load();
    let lost = attacker
        .update("hits", |hits: Option<u64>| hits.unwrap_or(0) + 1)
        .await;
    assert!(
        matches!(&lost, Err(Error::Store(error)) if error.is_unavailable()),
        "{lost:?}"
    );
    victim.log_in("alice").expect("a good name");
    let alices = victim.commit().await.expect("commits").expect("a token");
    let again = attacker
        .update("hits", |hits: Option<u64>| hits.unwrap_or(0) + 1)
        .await;
    assert!(matches!(again, Err(Error::Superseded)), "{again:?}");
    assert!(attacker.principal().is_none());
    assert!(attacker.token().expect("random").is_none());
    assert_eq!(
        resumed(&two, &alices)
            .await
            .get::<u64>("hits")
            .expect("a number"),
        Some(1)
    );
}

#[tokio::test]
async fn while_keys_change_a_reader_is_sent_no_token_that_a_log_in_has_replaced() {
    for seals in [true, false] {
        let world = World::new();
        let node = world.node().await;
        let (_, old) = stored(&node).await;
        node.set_keys(world.new_ring.clone());
        if !seals {
            // The payload lies under the new key already: only the token is owed.
            let passive = node
                .resume_passive(&old)
                .await
                .expect("answers")
                .expect("live");
            passive.set("n", &1).expect("fits");
            passive.commit().await.expect("commits");
        }
        let (page, log_in) = (resumed(&node, &old).await, resumed(&node, &old).await);
        log_in.log_in("alice").expect("a good name");
        let alices = log_in.commit().await.expect("commits").expect("a token");
        assert!(page.commit().await.expect("it only reads").is_none());
        assert!(opens(&node, &alices).await);

        let reader = resumed(&node, &alices).await;
        assert!(
            reader.commit().await.expect("commits").is_none(),
            "it is new"
        );
    }
}

#[tokio::test]
async fn while_keys_change_a_reader_is_sent_its_token_under_the_new_key() {
    let world = World::new();
    let node = world.node().await;
    let (_, old) = stored(&node).await;
    node.set_keys(world.new_ring.clone());
    let token = resumed(&node, &old).await.commit().await.expect("commits");
    let token = token.expect("it moves");
    assert!(opens(&node, &token).await);
    let again = resumed(&node, &token)
        .await
        .commit()
        .await
        .expect("commits");
    assert!(again.is_none(), "once");
}

#[tokio::test]
async fn a_log_in_whose_answer_got_lost_gives_its_token_to_the_next_commit() {
    for fate in [Lost, Late, Refused] {
        let world = World::new();
        let node = world.node().await;
        let (session, old) = stored(&node).await;
        session.log_in("alice").expect("a good name");
        world.store.next(&[fate]);
        world.store.lose_next_load();
        assert!(session.commit().await.is_err());
        world.store.land().await;
        let token = session.commit().await.expect("commits").expect("a token");
        assert!(!opens(&node, &old).await);
        assert_eq!(
            resumed(&node, &token)
                .await
                .principal()
                .expect("alice")
                .as_str(),
            "alice"
        );
    }
}
