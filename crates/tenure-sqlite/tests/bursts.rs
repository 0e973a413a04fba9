//! Bursts that end in silence: nobody waits for a call that never comes.

mod support;

use std::sync::Arc;
use std::time::Duration;

use support::{Place, at, id, portal, put, record, store};
use tenure_sqlite::{SqliteStore, Synchronous};
use tenure_store::{Record, Result, SessionStore};
use tokio::runtime::Builder;
use tokio::task::JoinSet;

/// What a burst is made of.
#[derive(Clone, Copy, Debug)]
enum Burst {
    Loads,
    Writes,
    Both,
}

/// So many sessions are there.
const SESSIONS: u64 = 50;

/// As many calls at once, each in a task, and then nothing until all are answered.
async fn burst(store: &Arc<SqliteStore>, burst: Burst, calls: u64) -> Result<()> {
    let mut tasks = JoinSet::new();
    for call in 0..calls {
        let store = Arc::clone(store);
        let session = id(call % SESSIONS);
        let writes = match burst {
            Burst::Loads => false,
            Burst::Writes => true,
            Burst::Both => call % 3 == 0,
        };
        tasks.spawn(async move {
            if writes {
                store.touch(&portal(), session, at(1)).await
            } else {
                let loaded: Option<Record> = store.load(&portal(), session, at(1)).await?;
                Ok(loaded.is_some())
            }
        });
    }
    while let Some(done) = tasks.join_next().await {
        assert!(done.expect("no panic")?, "it is live");
    }
    Ok(())
}

fn in_bursts(workers: usize) {
    let runtime = Builder::new_multi_thread()
        .worker_threads(workers)
        .enable_all()
        .build()
        .expect("a runtime");
    runtime.block_on(async {
        let place = Place::new();
        // Who is forgotten is told so by the deadline.
        let options = place.options().queue_length(10_000);
        let options = options.synchronous(Synchronous::Normal);
        let store = Arc::new(store(options.deadline(Duration::from_secs(20))).await);
        for number in 0..SESSIONS {
            put(&store, &record(number)).await;
        }
        for calls in [65, 300, 900, 5000] {
            for _ in 0..(10_000 / calls).min(30) {
                let loads = burst(&store, Burst::Loads, calls).await;
                loads.unwrap_or_else(|error| panic!("{calls} loads: {error}"));
            }
            for kind in [Burst::Writes, Burst::Both] {
                for _ in 0..(2_000 / calls).clamp(1, 5) {
                    let done = burst(&store, kind, calls).await;
                    done.unwrap_or_else(|error| panic!("{calls} {kind:?}: {error}"));
                }
            }
        }
        store.close().await.expect("closed");
    });
}

#[test]
fn a_burst_that_ends_in_silence_leaves_nobody_waiting_on_one_worker() {
    in_bursts(1);
}

#[test]
fn a_burst_that_ends_in_silence_leaves_nobody_waiting_on_four_workers() {
    in_bursts(4);
}
