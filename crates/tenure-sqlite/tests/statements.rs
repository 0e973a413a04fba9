//! What operations cost: how many statements they are, and how SQLite goes about them.

mod support;

use std::fmt;
use std::sync::{Mutex, OnceLock, PoisonError};
use std::time::Duration;

use support::{IDLE, Place, at, id, portal, put, record};
use tenure_sqlite::SqliteStore;
use tenure_store::{
    Access, After, Change, EndReason, Excess, Field, Filter, Hooks, Outcome, Payload, Principal,
    PrincipalLimit, Resolve, SessionStore, Version,
};
use tracing::field::{Field as Name, Visit};
use tracing::{Event, Subscriber};
use tracing_subscriber::layer::{Context, Layer, SubscriberExt};

/// The statements of this process, as the store tells of them.
static HEARD: Mutex<Vec<String>> = Mutex::new(Vec::new());

struct Ear;

impl<S: Subscriber> Layer<S> for Ear {
    fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
        if event.metadata().target() == "tenure_sqlite::statement" {
            event.record(&mut Statement);
        }
    }
}

struct Statement;

impl Visit for Statement {
    fn record_str(&mut self, _: &Name, sql: &str) {
        heard().push(sql.to_owned());
    }

    fn record_debug(&mut self, _: &Name, _: &dyn fmt::Debug) {}
}

fn heard() -> std::sync::MutexGuard<'static, Vec<String>> {
    HEARD.lock().unwrap_or_else(PoisonError::into_inner)
}

/// What an operation makes SQLite do.
async fn statements<T>(operation: impl Future<Output = tenure_store::Result<T>>) -> Vec<String> {
    heard().clear();
    operation.await.expect("it succeeds");
    std::mem::take(&mut *heard())
}

/// One at a time: the ear hears the whole process.
async fn alone() -> tokio::sync::MutexGuard<'static, ()> {
    static ALONE: OnceLock<tokio::sync::Mutex<()>> = OnceLock::new();
    ALONE
        .get_or_init(|| {
            let subscriber = tracing_subscriber::registry().with(Ear);
            tracing::subscriber::set_global_default(subscriber).expect("it is the first");
            tokio::sync::Mutex::new(())
        })
        .lock()
        .await
}

#[tokio::test]
async fn an_operation_on_one_session_is_a_few_statements() {
    let _alone = alone().await;
    let place = Place::new();
    let store = place.store().await;
    put(&store, &record(1)).await;
    let ns = portal();
    let mut change = Change::new(Version::new(2), Access::Counts);
    change.payload = Some(Payload::new("new"));
    change.principal = Field::Clear;

    let load = statements(store.load(&ns, id(1), at(1))).await;
    assert_eq!(load.len(), 1, "{load:#?}");
    let touch = statements(store.touch(&ns, id(1), at(1))).await;
    assert_eq!(
        touch.len(),
        4,
        "it, the namespace's number, its transaction: {touch:#?}"
    );
    let update = statements(store.update(&ns, id(1), Version::new(1), &change, at(1))).await;
    assert_eq!(
        update.len(),
        6,
        "row, large payload, principal: {update:#?}"
    );
    let create = record(2);
    let create = statements(store.create(&ns, &create, at(1))).await;
    assert_eq!(create.len(), 4, "{create:#?}");
    let end = statements(store.end(&ns, id(1), None, EndReason::Logout, After::Queue, at(1))).await;
    assert_eq!(end.len(), 4, "{end:#?}");
}

#[tokio::test]
async fn callers_at_once_share_a_transaction() {
    let _alone = alone().await;
    let place = Place::new();
    let store = place.store().await;
    for number in 0..50 {
        put(&store, &record(number)).await;
    }
    let ns = portal();
    let statements = statements(async {
        let touches = (0..50).map(|number| store.touch(&ns, id(number), at(1)));
        futures_util::future::try_join_all(touches).await
    });
    let statements = statements.await;
    let commits = statements.iter().filter(|sql| *sql == "COMMIT");
    // The writer may have begun before all were there.
    assert!(commits.count() <= 25, "{statements:#?}");
}

#[tokio::test]
async fn no_statement_goes_through_all_sessions_but_a_count() {
    let _alone = alone().await;
    let place = Place::new();
    let store = place.store().await;
    let statements = statements(one_life(&store)).await;
    assert!(statements.len() > 40, "{statements:#?}");

    for sql in &statements {
        if sql.contains("count(*)") || !sql.contains("session") {
            continue;
        }
        for step in explained(&place, &format!("EXPLAIN QUERY PLAN {sql}"), "detail") {
            assert!(!step.contains("SCAN session"), "{step}: {sql}");
            assert!(!step.contains("SCAN payload"), "{step}: {sql}");
            assert!(!step.contains("TEMP B-TREE"), "{step}: {sql}");
        }
    }
}

/// A column of what SQLite says when it explains something.
fn explained(place: &Place, sql: &str, column: &str) -> Vec<String> {
    let outsider = place.outsider();
    let mut statement = outsider.prepare(sql).expect("SQLite explains it");
    // Its values are left out: a plan is the same for all.
    let steps = statement.raw_query().mapped(|row| row.get(column));
    steps.collect::<Result<_, _>>().expect("steps")
}

/// Every operation, at least once.
async fn one_life(store: &SqliteStore) -> tenure_store::Result<()> {
    let ns = &portal();
    let lease = Duration::from_mins(1);
    let alice = Principal::new("alice")?;
    for number in 1..=6 {
        put(store, &record(number)).await;
    }
    store.load(ns, id(1), at(1)).await?;
    store.touch(ns, id(1), at(1)).await?;
    let mut change = Change::new(Version::new(9), Access::Counts);
    change.payload = Some(Payload::new("new"));
    change.principal = Field::Set(alice.clone());
    change.leaves_at = Field::Set(at(10));
    let _ = store
        .update(ns, id(1), Version::new(1), &change, at(1))
        .await?;
    let _ = store
        .update(ns, id(1), Version::new(1), &change, at(1))
        .await?;
    store
        .end(ns, id(2), None, EndReason::Logout, After::Queue, at(1))
        .await?;
    store
        .end(ns, id(3), None, EndReason::Logout, After::Discard, at(1))
        .await?;
    let filter = Filter::all(10);
    store.list(ns, &filter, at(1)).await?;
    let of_alice = Filter {
        principal: Some(alice.clone()),
        ..filter
    };
    store.list(ns, &of_alice, at(1)).await?;
    store.inspect(ns, id(1), at(1)).await?;
    let claimed = store.claim(ns, lease, 10, at(20)).await?;
    let tickets: Vec<_> = claimed
        .ended
        .iter()
        .map(tenure_store::Ended::ticket)
        .collect();
    store.renew(ns, &tickets, lease, at(20)).await?;
    let outcomes = [(tickets[0], Outcome::Done), (tickets[1], Outcome::Release)];
    store.settle(ns, &outcomes, at(20)).await?;
    store
        .resolve(ns, tickets[1].id, Resolve::Requeue, at(20))
        .await?;
    store
        .resolve(ns, tickets[1].id, Resolve::Discard, at(20))
        .await?;
    store.touch(ns, id(4), at(30)).await?;
    store.claim(ns, lease, 10, at(IDLE)).await?;
    for number in 21..=24 {
        put(store, &record(number)).await;
    }
    let refused = limited(Excess::Refuse);
    let _ = store
        .update(ns, id(21), Version::new(21), &refused, at(30))
        .await?;
    for (number, after) in [(21, After::Queue), (22, After::Discard)] {
        put(store, &record(number + 10)).await;
        let log_in = limited(Excess::EndOldest(after));
        let _ = store
            .update(ns, id(number), Version::new(number), &log_in, at(30))
            .await?;
    }
    store
        .end_principal(ns, &alice, Some(id(6)), After::Queue, at(30))
        .await?;
    store
        .end_principal(ns, &alice, Some(id(6)), After::Discard, at(30))
        .await?;
    store.reset(ns, at(40)).await?;
    store.purge(ns, 10, at(IDLE)).await?;
    store.open(ns, Hooks::Expected).await?;
    store.namespaces().await?;
    store.describe(at(1)).await?;
    Ok(())
}

#[tokio::test]
async fn a_touch_changes_no_index() {
    let _alone = alone().await;
    let place = Place::new();
    let store = place.store().await;
    put(&store, &record(1)).await;
    let touch = statements(store.touch(&portal(), id(1), at(1))).await;
    let [_, _, touch, _] = &touch[..] else {
        panic!("a number and one statement in a transaction: {touch:#?}");
    };
    let opcodes = explained(&place, &format!("EXPLAIN {touch}"), "opcode");
    let opcodes: Vec<&str> = opcodes.iter().map(String::as_str).collect();
    assert!(opcodes.contains(&"Insert"), "it writes the row");
    assert!(!opcodes.contains(&"IdxInsert"), "{opcodes:?}");
    assert!(!opcodes.contains(&"IdxDelete"), "{opcodes:?}");
}

#[tokio::test]
async fn a_reset_writes_as_much_for_many_sessions_as_for_few() {
    let _alone = alone().await;
    let place = Place::new();
    let store = place.store().await;
    let ns = portal();
    let mut costs = Vec::new();
    for sessions in [10, 1000] {
        for number in 0..sessions {
            put(&store, &record(sessions * 10 + number)).await;
        }
        costs.push(statements(store.reset(&ns, at(1))).await.len());
    }
    assert_eq!(costs[0], costs[1]);
}

#[tokio::test]
async fn a_log_in_that_ends_many_ends_so_many_in_a_transaction() {
    let _alone = alone().await;
    let place = Place::new();
    let store = place.store().await;
    let ns = portal();
    let records: Vec<_> = (1..=1_103).map(record).collect();
    for together in records.chunks(200) {
        futures_util::future::join_all(together.iter().map(|record| put(&store, record))).await;
    }
    let log_in = limited(Excess::EndOldest(After::Queue));
    let log_in = store.update(&ns, id(1), Version::new(1), &log_in, at(1));
    let statements = statements(log_in).await;
    let mut ends = 0;
    let mut transactions = Vec::new();
    for sql in &statements {
        match &sql[..] {
            "COMMIT" => transactions.push(std::mem::take(&mut ends)),
            sql if sql.contains("end_reason") => ends += 1,
            _ => {}
        }
    }
    // 500, 500, 100, and a look whether an older one has come meanwhile.
    assert_eq!(transactions, [1, 1, 1, 1], "{statements:#?}");
    assert_eq!(store.count(&ns, at(1)).await.expect("answers").live, 3);
}

fn limited(excess: Excess) -> Change {
    let mut change = Change::new(Version::new(100), Access::Counts);
    change.principal = Field::Set(Principal::new("alice").expect("a good name"));
    change.principal_limit = Some(PrincipalLimit {
        sessions: 3,
        excess,
    });
    change
}

#[tokio::test]
async fn a_claim_of_nothing_writes_nothing() {
    let _alone = alone().await;
    let place = Place::new();
    let store = place.store().await;
    put(&store, &record(1)).await;
    let lease = Duration::from_mins(1);
    let idle = statements(store.claim(&portal(), lease, 10, at(1))).await;
    let writes = ["UPDATE", "INSERT", "DELETE"];
    for statement in &idle {
        assert!(
            !writes.iter().any(|verb| statement.starts_with(verb)),
            "{statement}"
        );
    }
    assert_eq!(idle.len(), 4, "{idle:#?}");
}
