//! A principal with very many sessions.

mod support;

use support::{Place, at, id, portal, put, record};
use tenure_store::{
    Access, After, Change, Excess, Field, Principal, PrincipalLimit, Record, SessionStore, Updated,
    Version,
};

fn limited(sessions: u32, excess: Excess) -> Change {
    let mut change = Change::new(Version::new(100), Access::Counts);
    change.principal = Field::Set(Principal::new("alice").expect("a name"));
    change.principal_limit = Some(PrincipalLimit { sessions, excess });
    change
}

/// Stores a session without a principal, then so many of alice's, the second session the
/// newest of them.
async fn crowd(place: &Place, sessions: u32) -> tenure_sqlite::SqliteStore {
    let store = place.store().await;
    let nobodys = Record {
        principal: None,
        ..record(1)
    };
    put(&store, &nobodys).await;
    put(&store, &record(2)).await;
    let outsider = place.outsider();
    outsider
        .execute(
            "INSERT INTO session (ns, id, queue, due_at, created, last_access, accesses, \
             idle_timeout, lifetime, rotation, version, principal, bytes) \
             WITH RECURSIVE n (n) AS (VALUES (1) UNION ALL SELECT n + 1 FROM n WHERE n < ?1) \
             SELECT ns, randomblob(16), queue, due_at, created - n, last_access, accesses, \
             idle_timeout, lifetime, rotation, version, principal, bytes \
             FROM session, n WHERE principal IS NOT NULL",
            [sessions - 1],
        )
        .expect("inserted");
    store
}

#[tokio::test]
async fn a_log_in_under_a_new_limit_ends_the_oldest_in_steps_however_many_there_are() {
    for sessions in [2, 499, 502, 503, 1_002, 20_000] {
        for after in [After::Queue, After::Discard] {
            let place = Place::new();
            let store = crowd(&place, sessions).await;
            let ns = portal();

            let refuse = limited(3, Excess::Refuse);
            let refused = store.update(&ns, id(1), record(1).version, &refuse, at(1));
            let refused = refused.await.expect("answers");
            if sessions > 2 {
                assert_eq!(refused, Updated::Full, "{sessions}");
                let stale = limited(3, Excess::EndOldest(after));
                let stale = store.update(&ns, id(1), Version::new(7), &stale, at(1));
                assert_eq!(stale.await.expect("answers"), Updated::Changed);
                let counts = store.count(&ns, at(1)).await.expect("answers");
                assert_eq!(counts.live, u64::from(sessions) + 1, "nothing has ended");

                let log_in = limited(3, Excess::EndOldest(after));
                let log_in = store.update(&ns, id(1), record(1).version, &log_in, at(1));
                // A write of another caller is served meanwhile.
                let touch = async {
                    let touched = store.touch(&ns, id(2), at(1)).await;
                    assert!(touched.expect("answers"), "the newest is live throughout");
                };
                let (logged_in, ()) = tokio::join!(log_in, touch);
                assert_eq!(logged_in.expect("answers"), Updated::Done, "{sessions}");
            } else {
                assert_eq!(refused, Updated::Done, "there is room");
            }

            let counts = store.count(&ns, at(1)).await.expect("answers");
            assert_eq!(counts.live, 3, "{sessions}");
            let ended = u64::from(sessions) - 2;
            let waiting = if after == After::Queue { ended } else { 0 };
            assert_eq!(counts.waiting, waiting, "{sessions}");
            let newest = store.load(&ns, id(2), at(1)).await.expect("answers");
            assert!(newest.is_some(), "the newest stay");
            store.close().await.expect("closes");
        }
    }
}
