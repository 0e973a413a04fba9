//! Processes that do everything at once to the same few sessions.

use tenure::BoxError;
use tenure_conformance::traffic::everything_once;
use tenure_store::{Hooks, Namespace};
use tokio::task::JoinSet;

use crate::child::Child;
use crate::support::place::{Place, postgres, server};

const PROCESSES: u64 = 4;
const TASKS: u64 = 6;
const ROUNDS: u64 = 30;

/// Nobody fails; and where the server counts deadlocks, which the store would have survived,
/// it has none to count.
pub(crate) async fn processes_that_want_the_same_rows_wait_in_no_circle(backend: &str) {
    let before = deadlocks(backend).await;
    let place = Place::on(backend).await;
    let store = tenure_connect::connect(place.url()).await;
    let store = store.expect("connects");
    store.open(&wiki(), Hooks::Unstated).await.expect("opens");
    store.close().await.expect("closes");
    let children: Vec<Child> = (0..PROCESSES)
        .map(|process| Child::start(&["fight", place.url(), &(process * TASKS).to_string()]))
        .collect();
    for child in children {
        assert!(child.succeeded(), "{backend}: an operation failed");
    }
    assert_eq!(deadlocks(backend).await, before);
}

/// The child: so many tasks from this number on.
pub(crate) async fn fight(url: &str, first: u64) -> Result<(), BoxError> {
    let store = tenure_connect::connect(url).await?;
    let mut tasks = JoinSet::new();
    for task in first..first + TASKS {
        let store = std::sync::Arc::clone(&store);
        tasks.spawn(async move {
            for round in 0..ROUNDS {
                everything_once(&*store, &wiki(), task, round).await?;
            }
            Ok::<_, tenure_store::Error>(())
        });
    }
    while let Some(done) = tasks.join_next().await {
        done??;
    }
    store.close().await?;
    Ok(())
}

fn wiki() -> Namespace {
    Namespace::sessions("wiki").expect("a good name")
}

async fn deadlocks(backend: &str) -> i64 {
    if backend != "postgres" {
        return 0;
    }
    let mut outsider = postgres::connect(&server::Kind::Postgres.url()).await;
    let counted = "SELECT deadlocks FROM pg_stat_database WHERE datname = current_database()";
    let counted = sqlx::query_scalar(counted).fetch_one(&mut outsider).await;
    counted.expect("PostgreSQL counts them")
}
