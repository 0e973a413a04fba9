//! What one application's requests feel while another's sessions are reset and reaped:
//! loads, their p50 and p99, before, during and after.
//!
//! `cargo bench --bench drain` runs on memory, SQLite and every server that the environment
//! names, as `scripts/test` has them; `TENURE_BENCH_SESSIONS` says how many sessions are reset
//! (100,000), `TENURE_BENCH_RATE` how many end hooks begin in a second (5,000).

#![allow(
    clippy::cast_precision_loss,
    clippy::disallowed_methods,
    clippy::print_stdout,
    reason = "a bench reads the clock, and prints what it read"
)]

#[path = "../tests/support/mod.rs"]
#[allow(dead_code, unused_imports, reason = "a bench uses its part")]
mod support;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use support::keys::ring;
use support::place::Place;
use support::place::server::Kind;
use tenure::{EndedSession, Error, Sessions};
use tenure_conformance::props::{id, payload_of, record};
use tenure_store::{Hooks, Namespace, SessionStore, Timestamp};
use tokio::task::JoinSet;

/// Of the application that is only looked at.
const LOADED: u64 = 10_000;
const TASKS: u64 = 16;
const PHASE: Duration = Duration::from_secs(5);

fn main() {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .expect("a runtime can be built");
    let servers = Kind::ALL.into_iter().filter(|kind| kind.is_given());
    let servers = servers.map(Kind::backend);
    println!("backend         phase      loads/s    p50 µs    p99 µs    max µs");
    for backend in ["memory", "sqlite"].into_iter().chain(servers) {
        runtime.block_on(drain(backend));
    }
}

async fn drain(backend: &str) {
    let place = Place::on(backend).await;
    let store = tenure_connect::connect(place.url())
        .await
        .expect("connects");
    let (portal, wiki) = (namespace("portal"), namespace("wiki"));
    let reset = number("TENURE_BENCH_SESSIONS", 100_000);
    let (left, done) = (
        Arc::new(AtomicU64::new(reset)),
        Arc::new(AtomicBool::new(false)),
    );
    let hook = {
        let (left, done) = (Arc::clone(&left), Arc::clone(&done));
        move |_: EndedSession| {
            if left.fetch_sub(1, Ordering::SeqCst) == 1 {
                done.store(true, Ordering::SeqCst);
            }
            async { Ok::<_, Error>(()) }
        }
    };
    let sessions = Sessions::builder(Arc::clone(&store), ring("2026-11", 7), "portal")
        .on_end(hook)
        .build()
        .await
        .expect("the settings are good");
    store.open(&wiki, Hooks::Unstated).await.expect("opens");
    fill(&store, &portal, reset).await;
    fill(&store, &wiki, LOADED).await;

    let rest = Arc::new(AtomicBool::new(false));
    let stopped = tokio::spawn(stop_after(PHASE, Arc::clone(&rest)));
    print(backend, "before", &loads(&store, &wiki, &rest).await);
    stopped.await.expect("it only waits");

    let began = Instant::now();
    sessions.reset().await.expect("resets");
    let took = began.elapsed();
    let rate = u32::try_from(number("TENURE_BENCH_RATE", 5_000)).expect("a rate");
    let reaper = sessions.reaper().expect("a hook").rate(rate);
    let (began, reaper) = (
        Instant::now(),
        reaper.pause(Duration::from_millis(100)).spawn(),
    );
    print(backend, "during", &loads(&store, &wiki, &done).await);
    let drained = began.elapsed();
    reaper.shutdown().await;
    let left = store.count(&portal, now()).await.expect("counts");
    assert_eq!(
        left.over + left.waiting + left.held,
        0,
        "all of it is drained"
    );

    let rest = Arc::new(AtomicBool::new(false));
    let stopped = tokio::spawn(stop_after(PHASE, Arc::clone(&rest)));
    print(backend, "after", &loads(&store, &wiki, &rest).await);
    stopped.await.expect("it only waits");
    println!("{backend:<15} a reset of {reset} took {took:.1?}, its drain {drained:.1?}");
    store.close().await.expect("closes");
}

/// How long each of many loads took, by some tasks, until told to stop.
async fn loads(store: &Arc<dyn SessionStore>, ns: &Namespace, stop: &Arc<AtomicBool>) -> Loads {
    let began = Instant::now();
    let mut tasks = JoinSet::new();
    for task in 0..TASKS {
        let (store, ns, stop) = (Arc::clone(store), ns.clone(), Arc::clone(stop));
        tasks.spawn(async move {
            let mut took = Vec::new();
            let mut number = task;
            while !stop.load(Ordering::SeqCst) {
                number = (number + 7_919) % LOADED;
                let began = Instant::now();
                let found = store.load(&ns, id(number), now()).await;
                took.push(began.elapsed());
                assert!(found.expect("answers").is_some());
                // Memory answers without ever waiting, and others must get their turn.
                tokio::task::yield_now().await;
            }
            took
        });
    }
    let mut all = Vec::new();
    while let Some(took) = tasks.join_next().await {
        all.extend(took.expect("no load fails"));
    }
    all.sort_unstable();
    Loads {
        took: all,
        within: began.elapsed(),
    }
}

struct Loads {
    /// How long each took, the quickest first.
    took: Vec<Duration>,
    /// How long all took together.
    within: Duration,
}

fn print(backend: &str, phase: &str, loads: &Loads) {
    let Loads { took, within } = loads;
    // Of a hundred, the one that so many are quicker than.
    let at = |of_100: usize| {
        let place = (took.len() * of_100 / 100).min(took.len() - 1);
        took[place].as_nanos() as f64 / 1e3
    };
    let rate = took.len() as f64 / within.as_secs_f64();
    println!(
        "{backend:<15} {phase:<8} {rate:>9.0} {:>9.1} {:>9.1} {:>9.1}",
        at(50),
        at(99),
        at(100)
    );
}

async fn fill(store: &Arc<dyn SessionStore>, ns: &Namespace, sessions: u64) {
    let mut tasks = JoinSet::new();
    for task in 0..64 {
        let (store, ns) = (Arc::clone(store), ns.clone());
        tasks.spawn(async move {
            for number in (task..sessions).step_by(64) {
                let mut record = record(number);
                (record.created, record.last_access) = (now(), now());
                record.payload = payload_of(512);
                let _ = store.create(&ns, &record, now()).await.expect("stored");
            }
        });
    }
    while let Some(done) = tasks.join_next().await {
        done.expect("every session is stored");
    }
}

async fn stop_after(span: Duration, flag: Arc<AtomicBool>) {
    tokio::time::sleep(span).await;
    flag.store(true, Ordering::SeqCst);
}

fn namespace(application: &str) -> Namespace {
    Namespace::sessions(application).expect("a good name")
}

fn now() -> Timestamp {
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    let now = now.expect("it is later than 1970").as_millis();
    Timestamp::from_millis_clamped(i64::try_from(now).unwrap_or(i64::MAX))
}

fn number(name: &str, default: u64) -> u64 {
    let text = std::env::var(name).ok();
    text.map_or(default, |text| text.parse().expect("a number"))
}
