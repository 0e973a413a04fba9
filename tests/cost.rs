//! What each of the library's operations costs: calls to the store, and SQL statements in
//! SQLite. ARCHITECTURE.md shows the same table, and this test compares them.

use std::fmt::Write as _;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

#[path = "support/mod.rs"]
#[allow(dead_code, reason = "each test uses its part")]
mod support;

use support::world::{IDLE, MINUTE, World, resumed, stored};
use tenure::{EndedSession, Error, OnExcess, Sessions, Token};
use tracing_subscriber::layer::{Context, Layer, SubscriberExt as _};

/// Counts the statements that the store says it has run. Statements run in its threads too,
/// so it listens to the whole process; that is why this is the only test in its file.
#[derive(Clone, Default)]
struct Statements(Arc<AtomicU64>);

impl<S: tracing::Subscriber> Layer<S> for Statements {
    fn on_event(&self, event: &tracing::Event<'_>, _: Context<'_, S>) {
        if event.metadata().target() == "tenure_sqlite::statement" {
            self.0.fetch_add(1, Ordering::SeqCst);
        }
    }
}

struct Table {
    world: World,
    statements: Statements,
    text: String,
}

impl Table {
    /// Notes what was called since the last row.
    fn row(&mut self, operation: &str) {
        let calls = self.world.store.calls();
        let statements = self.statements.0.swap(0, Ordering::SeqCst);
        let calls = if calls.is_empty() {
            "none".to_owned()
        } else {
            calls.join(", ")
        };
        writeln!(self.text, "| {operation} | {calls} | {statements} |").expect("to memory");
    }

    /// Forgets what was called since the last row.
    fn skip(&self) {
        self.world.store.calls();
        self.statements.0.store(0, Ordering::SeqCst);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn each_operation_costs_what_the_architecture_says() {
    let statements = Statements::default();
    let subscriber = tracing_subscriber::registry().with(statements.clone());
    tracing::subscriber::set_global_default(subscriber).expect("nobody else listens");
    let world = World::on("sqlite").await;
    let sessions = world
        .builder()
        .on_end(|_: EndedSession| async { Ok::<_, Error>(()) })
        .build()
        .await
        .expect("good settings");
    let mut table = Table {
        world,
        statements,
        text: String::new(),
    };
    first_use(&sessions).await;
    requests(&mut table, &sessions).await;
    ends(&mut table, &sessions).await;
    reaping(&mut table, &sessions).await;
    sessions.store().close().await.expect("closes");
    let documented = include_str!("../ARCHITECTURE.md");
    for row in table.text.lines() {
        assert!(
            documented.contains(row),
            "ARCHITECTURE.md should say:\n{}",
            table.text
        );
    }
}

/// Has each connection look up the namespace's number, which it does once.
async fn first_use(sessions: &Sessions) {
    let session = sessions.start().expect("starts");
    session.set("a", &1).expect("fits");
    let token = session.commit().await.expect("commits").expect("a token");
    resumed(sessions, &token).await;
}

async fn requests(table: &mut Table, sessions: &Sessions) {
    table.skip();
    let session = sessions.start().expect("starts");
    session.commit().await.expect("nothing to do");
    table.row("`start`, `commit` of nothing");
    session.set("a", &1).expect("fits");
    let token = session.commit().await.expect("commits").expect("a token");
    table.row("`start`, `set`, `commit`");
    resumed(sessions, &token)
        .await
        .commit()
        .await
        .expect("nothing to do");
    table.row("`resume`, `commit` within the touch resolution");
    table.world.clock.advance(MINUTE);
    resumed(sessions, &token)
        .await
        .commit()
        .await
        .expect("touches");
    table.row("`resume`, `commit` when a touch is owed");
    table.world.clock.advance(MINUTE);
    let session = resumed(sessions, &token).await;
    session.set("a", &2).expect("fits");
    session.commit().await.expect("commits");
    table.row("`resume`, `set`, `commit`, touch or not");
    let session = resumed(sessions, &token).await;
    session
        .update("hits", |n: Option<u8>| n.unwrap_or(0) + 1)
        .await
        .expect("updates");
    table.row("`resume`, `update`");
    sessions.peek(&token).await.expect("answers");
    table.row("`peek`");
    let session = resumed(sessions, &token).await;
    session.log_in("alice").expect("a good name");
    session.commit().await.expect("commits");
    table.row("`resume`, `log_in`, `commit`");
    let limited = table.world.builder();
    let limited = limited.sessions_per_principal(3, OnExcess::EndOldest);
    let limited = limited.build().await.expect("good settings");
    let (_, token) = stored(&limited).await;
    table.skip();
    let session = resumed(&limited, &token).await;
    session.log_in("alice").expect("a good name");
    session.commit().await.expect("commits");
    table.row("the same, with a limit for each principal");
    sessions
        .resume(&Token::new("A".repeat(68)))
        .await
        .expect("answers");
    table.row("`resume` with a forged token");
}

async fn ends(table: &mut Table, sessions: &Sessions) {
    let (session, _) = stored(sessions).await;
    table.skip();
    session.end().await.expect("ends");
    while table.world.counts().await.held > 0 {
        tokio::task::yield_now().await;
    }
    table.skip();
    let (session, _) = stored(sessions).await;
    let quiet = table.world.builder().build().await.expect("good settings");
    let other = resumed(
        &quiet,
        &session.token().expect("randomness").expect("stored"),
    )
    .await;
    table.skip();
    other.end().await.expect("ends");
    table.row("`end`, without its hook");
    sessions.end_principal("alice").await.expect("ends");
    table.row("`end_principal`");
    sessions.reset().await.expect("resets");
    table.row("`reset`, of any number of sessions");
}

async fn reaping(table: &mut Table, sessions: &Sessions) {
    let reaper = sessions.reaper().expect("a hook");
    reaper.run_once().await.expect("answers");
    table.world.clock.advance(IDLE + Duration::from_secs(1));
    reaper.run_once().await.expect("answers");
    table.skip();
    reaper.run_once().await.expect("answers");
    table.row("a reaper's round with nothing to do");
    for _ in 0..100 {
        stored(sessions).await;
    }
    table.world.clock.advance(IDLE);
    table.skip();
    assert_eq!(reaper.run_once().await.expect("answers").succeeded, 100);
    table.row("a reaper's round with 100 ended");
}
