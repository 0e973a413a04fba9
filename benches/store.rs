//! What each store does for a request, and the whole library on it: `cargo bench --bench store`
//! measures memory, SQLite and every server that the environment names, as `scripts/test` has
//! them. `scripts/bench` has the same work done by others too.

#![allow(clippy::disallowed_methods, reason = "a bench reads the clock")]

#[path = "../tests/support/mod.rs"]
#[allow(dead_code, unused_imports, reason = "a bench uses its part")]
mod support;

use std::sync::Arc;
use std::time::{Duration, Instant};

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use support::keys::ring;
use support::place::Place;
use support::place::server::Kind;
use tenure::{EndedSession, Error, Sessions, Token};
use tenure_conformance::props::{id, payload_of, record};
use tenure_store::{
    Access, Change, Hooks, Namespace, SessionStore, Timeout, Timestamp, Updated, Version,
};
use tokio::runtime::Runtime;
use tokio::task::JoinSet;

/// How many sessions there are.
const SESSIONS: u64 = 20_000;
/// How many tasks work at once.
const TASKS: [u64; 3] = [1, 16, 64];

fn stores(criterion: &mut Criterion) {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .expect("a runtime can be built");
    let servers = Kind::ALL.into_iter().filter(|kind| kind.is_given());
    let servers = servers.map(Kind::backend);
    for backend in ["memory", "sqlite"].into_iter().chain(servers) {
        let place = runtime.block_on(Place::on(backend));
        let subject = Arc::new(runtime.block_on(Subject::on(&place)));
        for (name, work) in [
            ("load", Work::Load),
            ("load, touch", Work::Touch),
            ("load, update", Work::Update),
            ("unknown", Work::Unknown),
            ("library: resume", Work::Resume),
            ("library: resume, change, commit", Work::Commit),
            ("library: forged token", Work::Forged),
        ] {
            let mut group = criterion.benchmark_group(format!("{backend}/{name}"));
            group.throughput(Throughput::Elements(1)).sample_size(10);
            group.measurement_time(Duration::from_secs(2));
            for tasks in TASKS {
                group.bench_function(BenchmarkId::from_parameter(tasks), |bencher| {
                    bencher.iter_custom(|times| together(&runtime, &subject, work, tasks, times));
                });
            }
            group.finish();
        }
        runtime.block_on(subject.store.close()).expect("closes");
    }
}

criterion_group!(benches, stores);
criterion_main!(benches);

#[derive(Clone, Copy)]
enum Work {
    Load,
    Touch,
    Update,
    Unknown,
    Resume,
    Commit,
    Forged,
}

/// A full store, and a service on it.
struct Subject {
    store: Arc<dyn SessionStore>,
    ns: Namespace,
    sessions: Sessions,
    tokens: Vec<Token>,
    forged: Token,
}

impl Subject {
    async fn on(place: &Place) -> Self {
        let store = tenure_connect::connect(place.url())
            .await
            .expect("connects");
        let ns = Namespace::sessions("store").expect("a good name");
        store.open(&ns, Hooks::Withdrawn).await.expect("opens");
        let sessions = Sessions::builder(Arc::clone(&store), ring("2026-11", 7), "library")
            .on_end(|_: EndedSession| async { Ok::<_, Error>(()) })
            .build()
            .await
            .expect("the settings are good");
        let mut tasks = JoinSet::new();
        for task in 0..64 {
            let (store, ns, sessions) = (Arc::clone(&store), ns.clone(), sessions.clone());
            tasks.spawn(async move {
                let mut tokens = Vec::new();
                for number in (task..SESSIONS).step_by(64) {
                    let mut record = record(number);
                    (record.created, record.last_access) = (now(), now());
                    record.idle_timeout = Timeout::new(Duration::from_hours(24)).ok();
                    record.payload = payload_of(512);
                    let _ = store.create(&ns, &record, now()).await.expect("stored");
                    let session = sessions.start().expect("starts");
                    session.set("user", &number).expect("small");
                    session.set("text", &"x".repeat(480)).expect("small");
                    tokens.extend(session.commit().await.expect("stored"));
                }
                tokens
            });
        }
        let tokens: Vec<Token> = tasks.join_all().await.into_iter().flatten().collect();
        let mut forged = tokens[0].as_str().to_owned();
        forged.replace_range(
            20..21,
            if forged[20..].starts_with('A') {
                "B"
            } else {
                "A"
            },
        );
        Self {
            store,
            ns,
            sessions,
            tokens,
            forged: Token::new(forged),
        }
    }

    async fn work(&self, work: Work, number: u64) {
        let (store, ns, id) = (&self.store, &self.ns, id(number));
        let token = &self.tokens[usize::try_from(number).expect("fits")];
        match work {
            Work::Load => assert!(store.load(ns, id, now()).await.expect("answers").is_some()),
            Work::Touch => {
                assert!(store.load(ns, id, now()).await.expect("answers").is_some());
                assert!(store.touch(ns, id, now()).await.expect("answers"));
            }
            Work::Update => loop {
                let found = store.load(ns, id, now()).await.expect("answers");
                let found = found.expect("it is live");
                let mut change = Change::new(
                    Version::new(found.version.get().wrapping_add(1)),
                    Access::Counts,
                );
                change.payload = Some(found.payload);
                let updated = store.update(ns, id, found.version, &change, now()).await;
                if updated.expect("answers") == Updated::Done {
                    return;
                }
            },
            Work::Unknown => {
                let id = tenure_conformance::props::id(SESSIONS + 1 + number);
                assert!(store.load(ns, id, now()).await.expect("answers").is_none());
            }
            Work::Resume => {
                let session = self.sessions.resume(token).await.expect("answers");
                let user = session.expect("it is live").get::<u64>("user");
                assert!(user.expect("readable").is_some());
            }
            Work::Commit => {
                let session = self.sessions.resume(token).await.expect("answers");
                let session = session.expect("it is live");
                session.set("user", &number).expect("small");
                session.commit().await.expect("stored");
            }
            Work::Forged => {
                let session = self.sessions.resume(&self.forged).await;
                assert!(session.expect("answers").is_none());
            }
        }
    }
}

/// How long it takes to do the work so many times, by so many tasks.
fn together(
    runtime: &Runtime,
    subject: &Arc<Subject>,
    work: Work,
    tasks: u64,
    times: u64,
) -> Duration {
    let began = Instant::now();
    runtime.block_on(async {
        let mut working = JoinSet::new();
        for task in 0..tasks.min(times) {
            let subject = Arc::clone(subject);
            working.spawn(async move {
                for n in (task..times).step_by(usize::try_from(tasks).expect("fits")) {
                    // All over the sessions, as users are.
                    subject.work(work, n.wrapping_mul(7_919) % SESSIONS).await;
                }
            });
        }
        working.join_all().await;
    });
    began.elapsed()
}

fn now() -> Timestamp {
    let now = std::time::SystemTime::UNIX_EPOCH
        .elapsed()
        .unwrap_or_default();
    Timestamp::from_millis_clamped(i64::try_from(now.as_millis()).unwrap_or(i64::MAX))
}
