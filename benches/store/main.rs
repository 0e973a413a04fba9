//! What each store does for a request and for many sessions at once, and the whole library on
//! it: `cargo bench --bench store` measures memory, SQLite and every server that the environment
//! names, as `scripts/test` has them. `scripts/bench` has the same work done by others too.

#![allow(clippy::disallowed_methods, reason = "a bench reads the clock")]

mod bulk;
mod subject;
#[path = "../../tests/support/mod.rs"]
#[allow(dead_code, unused_imports, reason = "a bench uses its part")]
mod support;
mod work;

use std::sync::Arc;
use std::time::{Duration, Instant};

use criterion::{
    BenchmarkId, Criterion, SamplingMode, Throughput, criterion_group, criterion_main,
};
use support::place::Place;
use support::place::server::Kind;
use tokio::runtime::Runtime;

use crate::bulk::Bulk;
use crate::subject::Subject;
use crate::work::Work;

/// How many sessions there are.
const SESSIONS: u64 = 100_000;
/// How many tasks work at once.
const TASKS: [u64; 3] = [1, 16, 64];
/// How many sessions are reset at once.
const RESETS: [u64; 3] = [10, 1_000, SESSIONS];

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
        for (name, work) in Work::ALL {
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
        for bulk in Bulk::ALL {
            let mut group = criterion.benchmark_group(format!("{backend}/{}", bulk.words()));
            // Each time anew there must be sessions first, which takes longest.
            group.sampling_mode(SamplingMode::Flat).sample_size(10);
            group.warm_up_time(Duration::from_millis(1));
            group.measurement_time(Duration::from_millis(100));
            let sizes = if bulk == Bulk::Reset {
                &RESETS[..]
            } else {
                &RESETS[2..]
            };
            for sessions in sizes {
                group.throughput(Throughput::Elements(*sessions));
                group.bench_function(BenchmarkId::from_parameter(sessions), |bencher| {
                    bencher.iter_custom(|times| {
                        let one = || runtime.block_on(bulk.timed(subject.store(), *sessions));
                        (0..times).map(|_| one()).sum()
                    });
                });
            }
            group.finish();
        }
        runtime.block_on(subject.store().close()).expect("closes");
    }
}

criterion_group!(benches, stores);
criterion_main!(benches);

/// How long it takes to do the work so many times, by so many tasks. What it needs is made before,
/// and what it leaves is ended after.
fn together(
    runtime: &Runtime,
    subject: &Arc<Subject>,
    work: Work,
    tasks: u64,
    times: u64,
) -> Duration {
    const MANY: u64 = 64;
    if let Some(makes) = work.needs() {
        runtime.block_on(subject.spread(makes, MANY, times));
    }
    let began = Instant::now();
    runtime.block_on(subject.spread(work, tasks, times));
    let took = began.elapsed();
    if let Some(ends) = work.leaves() {
        runtime.block_on(subject.spread(ends, MANY, times));
    }
    took
}
