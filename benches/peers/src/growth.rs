//! What one operation costs among a thousand sessions, and among a million.

use std::sync::Arc;
use std::time::{Duration, Instant};

use tenure_store::{After, EndReason, Filter, Hooks, Namespace, Outcome, SessionId, SessionStore};
use tokio::task::JoinSet;

use crate::lineup::{Backend, server};
use crate::ours::store::{self, now};
use crate::subject::{Error, Result};

/// An operation, among how many sessions, and its median in microseconds.
pub(crate) type Point = (&'static str, usize, f64);

/// How often each operation is done.
const TIMES: usize = 500;
/// What claims and pages take at most.
const PAGE: u32 = 100;

/// Of one backend, up to so many sessions.
pub(crate) async fn measure(backend: Backend, most: usize) -> Result<Vec<Point>> {
    let folder = tempfile::tempdir()?;
    let file = folder.path().join("growth.db").display().to_string();
    let store = tenure_connect::connect(&match backend {
        Backend::Memory => "memory:".to_owned(),
        Backend::Postgres => server("TENURE_POSTGRES_URL")?,
        Backend::Redis => server("TENURE_REDIS_URL")?,
        Backend::SqliteFull => format!("sqlite:{file}?synchronous=full"),
        Backend::SqliteNormal => format!("sqlite:{file}?synchronous=normal"),
    })
    .await?;
    let ns = Namespace::sessions("growth")?;
    store.open(&ns, Hooks::Expected).await?;
    let mut points = Vec::new();
    let mut ids = Vec::new();
    let mut sessions = 1_000;
    while sessions <= most {
        ids.extend(store::fill(&store, &ns, sessions - ids.len()).await?);
        points.extend(
            among(&store, &ns, &mut ids)
                .await?
                .into_iter()
                .map(|(work, p50)| (work, sessions, p50)),
        );
        sessions *= 10;
    }
    // A reset ends them all, so it comes last: here, and among few in an application of its own.
    let few = Namespace::sessions("few")?;
    store.open(&few, Hooks::Expected).await?;
    store::fill(&store, &few, 1_000).await?;
    for (ns, sessions) in [(&few, 1_000), (&ns, sessions / 10)] {
        let began = Instant::now();
        store.reset(ns, now()).await?;
        points.push(("reset", sessions, began.elapsed().as_secs_f64() * 1e6));
    }
    store.close().await?;
    Ok(points)
}

async fn among(
    store: &Arc<dyn SessionStore>,
    ns: &Namespace,
    ids: &mut Vec<SessionId>,
) -> Result<Vec<(&'static str, f64)>> {
    let any = |ids: &[SessionId]| ids[fastrand::usize(..ids.len())];
    let mut load = Vec::new();
    let mut touch = Vec::new();
    let mut list = Vec::new();
    let mut claim = Vec::new();
    for _ in 0..TIMES {
        let id = any(ids);
        load.push(timed(async { Ok(store.load(ns, id, now()).await?.is_some()) }).await?);
        touch.push(timed(async { Ok(store.touch(ns, id, now()).await?) }).await?);
    }
    let mut after = None;
    for _ in 0..TIMES / 10 {
        let mut filter = Filter::all(PAGE);
        filter.after = after;
        let began = Instant::now();
        let page = store.list(ns, &filter, now()).await?;
        list.push(began.elapsed());
        after = page.next;
    }
    for _ in 0..TIMES / 10 {
        // One that has ended, so that there is something to claim.
        let id = ids.swap_remove(fastrand::usize(..ids.len()));
        let end = store.end(ns, id, None, EndReason::Logout, After::Queue, now());
        end.await?.ok_or("the session is gone")?;
        let began = Instant::now();
        let claimed = store.claim(ns, Duration::from_mins(1), PAGE, now()).await?;
        claim.push(began.elapsed());
        let outcomes: Vec<_> = claimed
            .ended
            .iter()
            .map(|e| (e.ticket(), Outcome::Done))
            .collect();
        store.settle(ns, &outcomes, now()).await?;
    }
    Ok(vec![
        ("load", median(load)),
        ("touch", median(touch)),
        ("list 100", median(list)),
        ("claim", median(claim)),
    ])
}

async fn timed(operation: impl Future<Output = Result<bool>>) -> Result<Duration> {
    let began = Instant::now();
    let found = operation.await?;
    let took = began.elapsed();
    if found {
        Ok(took)
    } else {
        Err("the session is gone".into())
    }
}

fn median(mut took: Vec<Duration>) -> f64 {
    took.sort_unstable();
    took[took.len() / 2].as_nanos() as f64 / 1e3
}

/// What touches do to a large table of Postgres: its bytes, its indexes' and the log's, before
/// and after so long.
pub(crate) async fn storm(sessions: usize, span: Duration) -> Result<Vec<(String, i64)>> {
    const SIZES: &str = "SELECT pg_table_size('tenure_session'), pg_indexes_size('tenure_session'), \
         (pg_current_wal_lsn() - '0/0'::pg_lsn)::bigint, \
         (SELECT n_tup_upd FROM pg_stat_user_tables WHERE relname = 'tenure_session'), \
         (SELECT n_tup_hot_upd FROM pg_stat_user_tables WHERE relname = 'tenure_session')";
    let url = server("TENURE_POSTGRES_URL")?;
    let store = tenure_connect::connect(&url).await?;
    let ns = Namespace::sessions("storm")?;
    store.open(&ns, Hooks::Withdrawn).await?;
    let ids = Arc::new(store::fill(&store, &ns, sessions).await?);
    let (outsider, connection) = tokio_postgres::connect(&url, tokio_postgres::NoTls).await?;
    tokio::spawn(connection);
    let mut weights = Vec::new();
    for when in ["before", "after"] {
        outsider.batch_execute("CHECKPOINT").await?;
        let row = outsider.query_one(SIZES, &[]).await?;
        for (n, what) in ["table", "indexes", "log", "updates", "heap-only updates"]
            .iter()
            .enumerate()
        {
            weights.push((format!("{what} {when}"), row.try_get(n)?));
        }
        if when == "after" {
            break;
        }
        let until = Instant::now() + span;
        let mut tasks = JoinSet::new();
        for _ in 0..64 {
            let (store, ns, ids) = (Arc::clone(&store), ns.clone(), Arc::clone(&ids));
            tasks.spawn(async move {
                while Instant::now() < until {
                    let id = ids[fastrand::usize(..ids.len())];
                    store.touch(&ns, id, now()).await?;
                }
                Ok::<_, Error>(())
            });
        }
        while let Some(done) = tasks.join_next().await {
            done??;
        }
    }
    store.close().await?;
    Ok(weights)
}
