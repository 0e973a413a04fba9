//! That every statement goes by an index to what it is about, and what each writes.

use std::sync::Arc;
use std::time::Duration;

use tenure_conformance::props::{
    at, counted as access, id, payload_of, principal, record, record_of, version,
};
use tenure_conformance::story::Story as _;
use tenure_store::{
    After, EndReason, Ended, Excess, Field, Filter, Hooks, Namespace, Outcome, PrincipalLimit,
    Resolve, SessionStore, Status,
};
use tokio::task::JoinSet;

use crate::base::{Base, connect, portal};
use crate::support::place::Place;
use crate::support::servers::postgres::Postgres;

const LEASE: Duration = Duration::from_mins(1);

/// Many sessions, made of one that is there.
async fn multiply(base: &Base, by: u32) {
    base.run(&format!(
        "INSERT INTO tenure_session (ns, id, queue, due_at, created, last_access, accesses, \
         idle_timeout, lifetime, rotation, version, principal, payload) \
         SELECT ns, gen_random_uuid(), queue, due_at, created, last_access, accesses, \
         idle_timeout, lifetime, rotation, version, 'user ' || n % 1000, payload \
         FROM tenure_session, generate_series(1, {by}) n \
         WHERE principal = 'alice' AND queue >= 0"
    ))
    .await;
}

/// How often the tables were read from end to end, entries of the sessions' indexes read, rows
/// inserted, updated, updated without an index noticing, and deleted: by connections that have
/// ended, and perhaps by others.
async fn counted(base: &Base) -> Counted {
    let (scans, entries, inserted, updated, hot, deleted) = base
        .row(
            "SELECT sum(seq_scan)::bigint, (SELECT sum(idx_tup_read)::bigint \
             FROM pg_stat_user_indexes WHERE schemaname = current_schema() \
             AND relname = 'tenure_session'), sum(n_tup_ins)::bigint, sum(n_tup_upd)::bigint, \
             sum(n_tup_hot_upd)::bigint, sum(n_tup_del)::bigint FROM pg_stat_user_tables \
             WHERE schemaname = current_schema() AND relname IN \
             ('tenure_session', 'tenure_namespace', 'tenure_reset')",
        )
        .await;
    Counted {
        scans,
        entries,
        inserted,
        updated,
        hot,
        deleted,
    }
}

/// Closes the store, and waits until the server has noticed and counted what was done.
async fn close(store: &Arc<dyn SessionStore>, base: &Base) {
    const CONNECTIONS: &str = "SELECT count(*), pg_sleep(0.01)::text FROM pg_stat_activity \
         WHERE application_name = current_schema() AND pid <> pg_backend_pid()";
    store.close().await.expect("closes");
    while base.row::<(i64, String)>(CONNECTIONS).await.0 > 0 {}
}

#[derive(Clone, Copy, Debug)]
struct Counted {
    scans: i64,
    entries: i64,
    inserted: i64,
    updated: i64,
    hot: i64,
    deleted: i64,
}

/// As many as no operation may look at.
const SESSIONS: i64 = 20_000;

#[tokio::test]
#[ignore = "needs PostgreSQL: run scripts/test"]
async fn no_operation_looks_at_more_sessions_than_it_is_about() {
    let base = Base::new().await;
    let store = connect(&format!("{}&readers=1&writers=1", base.place.url())).await;
    store.open(&portal(), Hooks::Expected).await.expect("opens");
    store.open(&wiki(), Hooks::Withdrawn).await.expect("opens");
    base.run("ALTER TABLE tenure_session SET (autovacuum_enabled = off)")
        .await;
    // The server plans every statement now, for tables that are empty, and never again.
    everything(&store, 100).await;
    for ns in [portal(), wiki()] {
        store
            .put(&ns, &record_of(1, "alice"))
            .await
            .expect("stored");
    }
    multiply(&base, u32::try_from(SESSIONS).expect("fits")).await;
    let before = counted(&base).await;
    everything(&store, 200).await;
    close(&store, &base).await;

    let after = counted(&base).await;
    assert_eq!(after.scans, before.scans, "read from end to end");
    let entries = after.entries - before.entries;
    assert!(entries < SESSIONS / 4, "{entries} entries of indexes read");
}

fn wiki() -> Namespace {
    Namespace::sessions("wiki").expect("a good name")
}

/// Every operation but `count`, which has to look at every session; on sessions from this
/// number.
async fn everything(store: &Arc<dyn SessionStore>, first: u64) {
    let ns = portal();
    for n in first..first + 4 {
        store.put(&ns, &record(n)).await.expect("stored");
    }
    let session = id(first);
    store.load(&ns, session, at(1)).await.expect("answers");
    store.touch(&ns, session, at(1)).await.expect("answers");
    let change = access(7);
    let updated = store.update(&ns, session, version(first), &change, at(1));
    let _ = updated.await.expect("answers");
    let mut log_in = access(8);
    log_in.principal = Field::Set(principal("alice"));
    log_in.principal_limit = Some(PrincipalLimit {
        sessions: 2,
        excess: Excess::EndOldest(After::Queue),
    });
    let updated = store.update(&ns, session, version(7), &log_in, at(1));
    let _ = updated.await.expect("answers");
    for (n, after) in [
        (1, After::Hold(LEASE)),
        (2, After::Queue),
        (3, After::Discard),
    ] {
        let ended = store.end(&ns, id(first + n), None, EndReason::Logout, after, at(1));
        assert!(ended.await.expect("answers").is_some());
    }
    let user = principal("user 7");
    let ended = store.end_principal(&ns, &user, None, After::Queue, at(1));
    ended.await.expect("answers");
    let claimed = store.claim(&ns, LEASE, 10, at(2)).await.expect("answers");
    let tickets: Vec<_> = claimed.ended.iter().map(Ended::ticket).collect();
    assert!(!tickets.is_empty());
    let renewed = store.renew(&ns, &tickets, LEASE, at(3));
    renewed.await.expect("answers");
    let outcomes: Vec<_> = tickets.iter().map(|t| (*t, Outcome::Done)).collect();
    store.settle(&ns, &outcomes, at(3)).await.expect("answers");
    let mut filter = Filter::all(10);
    let page = store.list(&ns, &filter, at(5)).await.expect("answers");
    filter.after = page.next;
    store.list(&ns, &filter, at(5)).await.expect("answers");
    for status in [Status::Waiting, Status::Held, Status::Dead] {
        let filter = Filter {
            status: Some(status),
            ..Filter::all(10)
        };
        store.list(&ns, &filter, at(5)).await.expect("answers");
    }
    filter.principal = Some(user);
    store.list(&ns, &filter, at(5)).await.expect("answers");
    store.inspect(&ns, session, at(5)).await.expect("answers");
    let resolved = store.resolve(&ns, id(first + 1), Resolve::Requeue, at(100_000));
    resolved.await.expect("answers");
    store.epoch(&ns, session).await.expect("answers");
    for ns in [portal(), wiki()] {
        store.reset(&ns, at(4)).await.expect("answers");
        store.reset(&ns, at(5)).await.expect("answers");
    }
    store.claim(&ns, LEASE, 10, at(6)).await.expect("answers");
    store.purge(&wiki(), 10, at(6)).await.expect("answers");
}

#[tokio::test]
#[ignore = "needs PostgreSQL: run scripts/test"]
async fn of_100_000_touches_no_index_hears() {
    const SESSIONS: u64 = 10_000;
    const TOUCHES: u64 = 100_000;
    const TASKS: u64 = 64;
    // As long as anybody's transaction writes anywhere in a server, in another database too,
    // it may use no page's room again. So this needs one where nobody else is.
    let server = Postgres::start();
    let base = Base {
        place: Place::in_a_schema(server.url()).await,
    };
    let store = base.store().await;
    let mut tasks = JoinSet::new();
    for task in 0..TASKS {
        let store = Arc::clone(&store);
        tasks.spawn(async move {
            for n in (task..SESSIONS).step_by(64) {
                let mut session = record(n);
                session.payload = payload_of(512);
                store.put(&portal(), &session).await.expect("stored");
            }
        });
    }
    while let Some(done) = tasks.join_next().await {
        done.expect("none panics");
    }
    for task in 0..TASKS {
        let store = Arc::clone(&store);
        tasks.spawn(async move {
            for n in (task..TOUCHES).step_by(64) {
                // All over the table, as users are.
                let session = n * 7_919 % SESSIONS;
                let touched = store.touch(&portal(), id(session), at(1)).await;
                assert!(touched.expect("answers"));
            }
        });
    }
    while let Some(done) = tasks.join_next().await {
        done.expect("none panics");
    }
    close(&store, &base).await;

    let counted = counted(&base).await;
    assert!(counted.updated >= 100_000, "{counted:?}");
    assert!(counted.hot * 100 >= counted.updated * 99, "{counted:?}");
}

#[tokio::test]
#[ignore = "needs PostgreSQL: run scripts/test"]
async fn a_reset_of_100_000_writes_what_a_reset_of_10_writes() {
    let mut writes = Vec::new();
    for sessions in [10, 100_000] {
        let base = Base::new().await;
        let store = base.store().await;
        let alice = record_of(1, "alice");
        store.put(&portal(), &alice).await.expect("stored");
        multiply(&base, sessions - 1).await;
        close(&store, &base).await;
        let before = counted(&base).await;

        let store = base.store().await;
        store.reset(&portal(), at(1)).await.expect("answers");
        close(&store, &base).await;

        let after = counted(&base).await;
        writes.push((
            after.inserted - before.inserted,
            after.updated - before.updated,
            after.deleted - before.deleted,
        ));
    }
    assert_eq!(writes, [(1, 1, 0), (1, 1, 0)], "inserted, updated, deleted");
}
