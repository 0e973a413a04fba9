//! Statements that begin before something else and are done after it.

use std::sync::Arc;

use futures_util::future::join_all;
use sqlx::Executor as _;
use tenure_conformance::props::{IDLE, LEASE, at, id, record};
use tenure_conformance::story::Story as _;
use tenure_store::{After, EndReason, Hooks, SessionStore, State};

use crate::base::{Base, connect, portal};

/// How many of the base's connections wait for somebody's lock.
async fn waiting(base: &Base) -> i64 {
    const WAITING: &str = "SELECT count(*), pg_sleep(0.01)::text FROM pg_stat_activity \
         WHERE application_name = current_schema() AND wait_event_type = 'Lock'";
    base.row::<(i64, String)>(WAITING).await.0
}

#[tokio::test]
#[ignore = "needs PostgreSQL: run scripts/test"]
async fn what_a_reset_has_ended_is_ended_by_nobody_else() {
    let base = Base::new().await;
    let store = base.store().await;
    store.put(&portal(), &record(1)).await.expect("stored");
    let mut outsider = base.outsider().await;
    outsider.execute("BEGIN").await.expect("begun");
    let lock = "SELECT 1 FROM tenure_session FOR UPDATE";
    outsider.execute(lock).await.expect("locked");
    let ends = {
        let store = Arc::clone(&store);
        let end = async move {
            let (logout, hold) = (EndReason::Logout, After::Queue);
            store.end(&portal(), id(1), None, logout, hold, at(1)).await
        };
        tokio::spawn(end)
    };
    while waiting(&base).await == 0 {}

    // It began later. Either it waits, or the other finds nothing to end.
    let resets = {
        let store = Arc::clone(&store);
        tokio::spawn(async move { store.reset(&portal(), at(2)).await })
    };
    while waiting(&base).await < 2 && !resets.is_finished() {}
    let entry = store.inspect(&portal(), id(1), at(3)).await;
    let over = matches!(
        entry.expect("answers").map(|entry| entry.state),
        Some(State::Over(_))
    );
    outsider.execute("COMMIT").await.expect("let go");

    let ended = ends.await.expect("no panic").expect("answers");
    resets.await.expect("no panic").expect("answers");
    assert!(!over || ended.is_none(), "it ended twice");
    store.close().await.expect("closes");
}

#[tokio::test]
#[ignore = "needs PostgreSQL: run scripts/test"]
async fn a_write_that_is_held_up_holds_up_no_other_and_those_go_together() {
    const OTHERS: std::ops::Range<u64> = 2..10;
    // Who has written a row shows who has written others with it.
    const WRITERS: &str = "SELECT count(DISTINCT xmin::text) FROM tenure_session \
         WHERE payload NOT LIKE 'payload 1%'";
    let base = Base::new().await;
    let store = base.store().await;
    for number in std::iter::once(1).chain(OTHERS) {
        store.put(&portal(), &record(number)).await.expect("stored");
    }
    let mut outsider = base.outsider().await;
    outsider.execute("BEGIN").await.expect("begun");
    let lock = "SELECT 1 FROM tenure_session WHERE payload LIKE 'payload 1%' FOR UPDATE";
    outsider.execute(lock).await.expect("locked");
    let held_up = {
        let store = Arc::clone(&store);
        tokio::spawn(async move { store.touch(&portal(), id(1), at(1)).await })
    };
    while waiting(&base).await == 0 {}

    let ns = portal();
    let touches = OTHERS.map(|number| store.touch(&ns, id(number), at(1)));
    for touched in join_all(touches).await {
        assert!(touched.expect("answers"));
    }
    assert!(!held_up.is_finished());
    assert_eq!(base.row::<(i64,)>(WRITERS).await.0, 1);

    outsider.execute("COMMIT").await.expect("let go");
    assert!(held_up.await.expect("no panic").expect("answers"));
    store.close().await.expect("closes");
}

/// A reaper's statement sees the table as it was when it began. It is stopped there, between
/// what it finds and what it locks, while a session that it has found is used and another one
/// ended.
struct Stopped {
    base: Base,
    /// Which nothing stops.
    store: Arc<dyn SessionStore>,
    /// As a role to which every row is shown as soon as nobody holds a certain lock.
    reaper: Arc<dyn SessionStore>,
    role: String,
}

impl Stopped {
    /// Three sessions that run out at once.
    async fn new() -> Self {
        let base = Base::new().await;
        let store = base.store().await;
        for number in 1..=3 {
            store.put(&portal(), &record(number)).await.expect("stored");
        }
        let (path,) = base.row::<(String,)>("SELECT current_schema()::text").await;
        let role = format!("r{path}");
        base.run(&format!(
            "CREATE FUNCTION shown() RETURNS boolean LANGUAGE plpgsql AS 'BEGIN \
             PERFORM pg_advisory_lock_shared(hashtext(current_schema())), \
             pg_advisory_unlock_shared(hashtext(current_schema())); RETURN true; END'; \
             CREATE ROLE {role} LOGIN; GRANT USAGE ON SCHEMA {path} TO {role}; \
             GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA {path} TO {role}; \
             ALTER TABLE tenure_session ENABLE ROW LEVEL SECURITY; \
             CREATE POLICY one_at_a_time ON tenure_session USING (shown())"
        ))
        .await;
        let reaper = connect(&base.place.url_with(&format!("user={role}"))).await;
        Self {
            base,
            store,
            reaper,
            role,
        }
    }

    /// What the reaper does when all three have run out. While it does it the second is used,
    /// by a clock that is a little behind, and the third ended.
    async fn meanwhile<T: Send + 'static>(
        &self,
        reaps: impl Future<Output = tenure_store::Result<T>> + Send + 'static,
    ) -> T {
        const STOP: &str = "SELECT pg_advisory_lock(hashtext(current_schema()))";
        let mut outsider = self.base.outsider().await;
        outsider.execute(STOP).await.expect("locked");
        let reaps = tokio::spawn(reaps);
        while waiting(&self.base).await == 0 {}
        let ns = portal();
        let used = self.store.touch(&ns, id(2), at(IDLE - 1)).await;
        assert!(used.expect("answers"));
        let (logout, queue) = (EndReason::Logout, After::Queue);
        let ended = self
            .store
            .end(&ns, id(3), None, logout, queue, at(IDLE - 1))
            .await;
        assert!(ended.expect("answers").is_some());
        assert!(!reaps.is_finished());
        drop(outsider);
        reaps.await.expect("no panic").expect("answers")
    }

    async fn over(self) {
        let used = self.store.load(&portal(), id(2), at(IDLE)).await;
        assert!(used.expect("answers").is_some());
        self.store.close().await.expect("closes");
        self.reaper.close().await.expect("closes");
        let role = self.role;
        let gone = format!("DROP OWNED BY {role}; DROP ROLE {role}");
        self.base.run(&gone).await;
    }
}

#[tokio::test]
#[ignore = "needs PostgreSQL: run scripts/test"]
async fn what_is_used_while_a_purge_looks_lives_on() {
    let stopped = Stopped::new().await;
    let opened = stopped.store.open(&portal(), Hooks::Withdrawn).await;
    opened.expect("opens");
    let reaper = Arc::clone(&stopped.reaper);
    let reaps = async move { reaper.purge(&portal(), 10, at(IDLE)).await };
    let first = stopped.meanwhile(reaps).await;
    assert_eq!((first.removed, first.more), (1, true));
    let then = stopped.reaper.purge(&portal(), 10, at(IDLE)).await;
    let then = then.expect("answers");
    assert_eq!((then.removed, then.more), (1, false), "the one that ended");
    assert_eq!(then.next_due, Some(at(IDLE - 1 + IDLE)));
    stopped.over().await;
}

#[tokio::test]
#[ignore = "needs PostgreSQL: run scripts/test"]
async fn what_is_used_while_a_claim_looks_lives_on() {
    let stopped = Stopped::new().await;
    let reaper = Arc::clone(&stopped.reaper);
    let reaps = async move { reaper.claim(&portal(), LEASE, 10, at(IDLE)).await };
    let first = stopped.meanwhile(reaps).await;
    let ends = |ended: &[tenure_store::Ended]| -> Vec<_> {
        let end = |ended: &tenure_store::Ended| (ended.record.id, ended.tombstone.end.reason);
        ended.iter().map(end).collect()
    };
    assert_eq!(ends(&first.ended), [(id(1), EndReason::IdleTimeout)]);
    assert!(first.more);
    let then = stopped.reaper.claim(&portal(), LEASE, 10, at(IDLE)).await;
    let then = then.expect("answers");
    assert_eq!(ends(&then.ended), [(id(3), EndReason::Logout)]);
    assert!(!then.more);
    stopped.over().await;
}
