//! Claims: in the true order whatever a touch left unwritten, bounded in bytes, and
//! undisturbed by a row that cannot be read.

mod support;

use std::time::Duration;

use support::{IDLE, Place, at, id, portal, put, record};
use tenure_sqlite::SqliteStore;
use tenure_store::{
    ErrorKind, Filter, Payload, Record, SessionId, SessionStore, Status, Timestamp,
};

const LEASE: Duration = Duration::from_mins(1);

/// Claims until there is no more; the ids in the order in which they came.
async fn claim_all(store: &SqliteStore, limit: u32, now: Timestamp) -> Vec<SessionId> {
    let mut ids = Vec::new();
    loop {
        let claimed = store
            .claim(&portal(), LEASE, limit, now)
            .await
            .expect("claimed");
        ids.extend(claimed.ended.iter().map(|ended| ended.record.id));
        if !claimed.more {
            return ids;
        }
    }
}

#[tokio::test]
async fn sessions_come_in_the_order_in_which_they_ran_out() {
    for reset in [false, true] {
        for limit in [1, 2, 10] {
            let place = Place::new();
            let store = place.store().await;
            for number in 0..6 {
                let mut record = record(number);
                record.last_access = at(10 * i64::try_from(number).expect("small"));
                put(&store, &record).await;
            }
            // What the first three were written down for, they outlived.
            for (number, used) in [(0, 300), (1, 100), (2, 200)] {
                assert!(
                    store
                        .touch(&portal(), id(number), at(used))
                        .await
                        .expect("touched")
                );
            }
            if reset {
                store.reset(&portal(), at(2 * IDLE)).await.expect("reset");
            }
            let ids = claim_all(&store, limit, at(3 * IDLE)).await;
            let expected = [3, 4, 5, 1, 2, 0].map(id);
            assert_eq!(ids, expected, "reset: {reset}, limit {limit}");
        }
    }
}

#[tokio::test]
async fn a_claim_of_large_sessions_returns_some_at_a_time() {
    let place = Place::new();
    let store = place.store().await;
    for number in 0..20 {
        let payload = Payload::new(vec![1; 1 << 20]);
        put(
            &store,
            &Record {
                payload,
                ..record(number)
            },
        )
        .await;
    }
    let claimed = store
        .claim(&portal(), LEASE, 100, at(IDLE))
        .await
        .expect("claimed");
    assert_eq!((claimed.ended.len(), claimed.more), (8, true));
    assert_eq!(claim_all(&store, 100, at(IDLE)).await.len(), 12);

    let page = store
        .list(&portal(), &Filter::all(100), at(IDLE))
        .await
        .expect("listed");
    assert_eq!(page.entries.len(), 8);
    assert!(page.next.is_some());
}

#[tokio::test]
async fn a_damaged_row_harms_only_itself() {
    let place = Place::new();
    let store = place.store().await;
    for number in 1..=3 {
        put(&store, &record(number)).await;
    }
    place
        .outsider()
        .execute_batch(
            "PRAGMA ignore_check_constraints = ON; \
             UPDATE session SET rotation = -1 WHERE number = 2",
        )
        .expect("SQLite does it");

    let ns = portal();
    let error = store.load(&ns, id(2), at(1)).await.expect_err("damaged");
    assert_eq!(error.kind(), ErrorKind::Corrupt, "{error}");
    assert!(
        store
            .load(&ns, id(1), at(1))
            .await
            .expect("answers")
            .is_some()
    );
    let page = store
        .list(&ns, &Filter::all(10), at(1))
        .await
        .expect("listed");
    assert_eq!(page.entries.len(), 2);
    assert_eq!(page.next, None);

    // With a limit of one it would be the whole claim, each time.
    assert_eq!(claim_all(&store, 1, at(IDLE)).await, [id(1), id(3)]);
    let held = Filter {
        status: Some(Status::Held),
        ..Filter::all(10)
    };
    let page = store.list(&ns, &held, at(IDLE)).await.expect("listed");
    assert_eq!(page.entries.len(), 2);

    let purged = store.purge(&ns, 10, at(3 * IDLE)).await.expect("purged");
    assert_eq!((purged.removed, purged.more), (3, false));
    assert_eq!(
        store.inspect(&ns, id(2), at(1)).await.expect("answers"),
        None
    );
}
