//! A disk that is full: who cannot write is told, and nothing else happens.

mod support;

use support::{Place, at, id, portal, put, record, store};
use tenure_store::{After, EndReason, ErrorKind, Payload, Record, SessionStore};

fn large(number: u64) -> Record {
    Record {
        payload: Payload::new(vec![7; 3000]),
        ..record(number)
    }
}

#[tokio::test]
async fn a_full_disk_fails_the_write_and_nothing_else() {
    let place = Place::new();
    let store = store(place.options().max_page_count(60)).await;
    let mut stored = 0;
    let error = loop {
        match store.create(&portal(), &large(stored), at(0)).await {
            Ok(_) => stored += 1,
            Err(error) => break error,
        }
        assert!(stored < 60, "more sessions than pages");
    };
    assert_eq!(error.kind(), ErrorKind::Other, "{error}");
    assert!(error.to_string().contains("free some space"), "{error}");
    assert!(stored > 10);

    for number in 0..stored {
        let loaded = store
            .load(&portal(), id(number), at(1))
            .await
            .expect("answers");
        assert_eq!(loaded, Some(large(number)));
        assert!(
            store
                .touch(&portal(), id(number), at(1))
                .await
                .expect("touched")
        );
    }
    let failed = store.inspect(&portal(), id(stored), at(1)).await;
    assert_eq!(failed.expect("answers"), None, "no half of it is there");

    // Once there is space again, all is as before.
    for number in 0..stored / 2 {
        let ended = store
            .end(
                &portal(),
                id(number),
                None,
                EndReason::Logout,
                After::Discard,
                at(2),
            )
            .await;
        assert!(ended.expect("ended").is_some());
    }
    put(&store, &large(1000)).await;
    store.close().await.expect("closed");
    let store = place.store().await;
    let loaded = store
        .load(&portal(), id(1000), at(1))
        .await
        .expect("answers");
    assert_eq!(loaded, Some(large(1000)));
}
