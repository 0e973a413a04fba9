//! Reaping while somebody has an old snapshot open, as a backup does for hours.

use sqlx::Executor as _;
use tenure_conformance::props::{IDLE, LEASE, at, record_of};
use tenure_conformance::story::Story as _;
use tenure_store::{Ended, Hooks, Outcome};

use crate::base::{Base, connect, portal};

const SESSIONS: u32 = 200_000;

/// What is removed under the snapshot stays in the indexes, in front of what is due.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs PostgreSQL: run scripts/test"]
async fn what_was_reaped_under_an_old_snapshot_is_not_read_again_by_each_claim() {
    for hooks in [Hooks::Expected, Hooks::Withdrawn] {
        let base = Base::new().await;
        let store = base.store().await;
        store
            .put(&portal(), &record_of(1, "alice"))
            .await
            .expect("stored");
        store.open(&portal(), hooks).await.expect("opens");
        store.close().await.expect("closes");
        base.run(&format!(
            "ALTER TABLE tenure_session SET (autovacuum_enabled = off); \
             INSERT INTO tenure_session (ns, id, queue, due_at, created, last_access, accesses, \
             idle_timeout, lifetime, rotation, version, principal, payload) \
             SELECT ns, gen_random_uuid(), queue, due_at + n, created, last_access + n, accesses, \
             idle_timeout, lifetime, rotation, version, principal, payload \
             FROM tenure_session, generate_series(1, {SESSIONS} - 1) n"
        ))
        .await;
        let mut backup = base.outsider().await;
        let begin = "BEGIN ISOLATION LEVEL REPEATABLE READ; SELECT 1 FROM tenure_namespace";
        backup.execute(begin).await.expect("begun");
        let before = base.row::<(i64,)>(READ).await.0;

        // Within this time a claim must be done, snapshot or not.
        let store = connect(&base.hurried(1_000)).await;
        let (ns, now) = (portal(), at(IDLE + i64::from(SESSIONS)));
        let mut reaped = 0;
        loop {
            let more = if hooks == Hooks::Expected {
                let claimed = store.claim(&ns, LEASE, 1000, now).await.expect("answers");
                let tickets = claimed.ended.iter().map(Ended::ticket);
                let outcomes: Vec<_> = tickets.map(|ticket| (ticket, Outcome::Done)).collect();
                reaped += store.settle(&ns, &outcomes, now).await.expect("answers");
                claimed.more
            } else {
                let purged = store.purge(&ns, 1000, now).await.expect("answers");
                reaped += purged.removed;
                purged.more
            };
            if !more {
                break;
            }
        }
        assert_eq!(reaped, u64::from(SESSIONS));
        store.close().await.expect("closes");
        base.until_only_one_is_connected().await;
        let read = base.row::<(i64,)>(READ).await.0 - before;
        // A claim that reads from the beginning each time reads some 100,000 entries on average.
        let bound = i64::from(SESSIONS) * 75;
        assert!(
            read < bound,
            "{hooks:?}: {read} entries of indexes were read"
        );
        backup.execute("COMMIT").await.expect("it is through");
    }
}

const READ: &str = "SELECT sum(idx_tup_read)::bigint FROM pg_stat_user_indexes \
     WHERE schemaname = current_schema() AND relname = 'tenure_session'";
