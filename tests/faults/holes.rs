//! Servers that are there and do not answer: not at all, too late, or nobody new.

use std::sync::Arc;
use std::time::Duration;

use tenure_store::SessionId;
use tokio::task::JoinSet;
use tokio::time::timeout;

use crate::line::{Line, PATIENCE, recovered};
use crate::support::proxy::Line as Wire;

/// How many calls at once: several of each kind.
const CALLS: usize = 30;

pub(crate) async fn a_black_hole_is_unavailable_within_the_deadline_and_then_it_goes_on(
    backend: &str,
) {
    let line = Line::to(backend, 500).await;
    for _ in 0..2 {
        let ids = line.sessions(CALLS).await;
        let (some, others) = ids.split_at(CALLS / 2);
        line.set(Wire::BlackHole);
        for ids in [some, others] {
            assert_eq!(unavailable(&line, ids).await, calls(ids));
        }
        line.set(Wire::Open);
        recovered(&*line.store, &line.checker).await;
    }
    line.check().await;
}

pub(crate) async fn a_slow_server_is_waited_for_until_the_deadline(backend: &str) {
    let line = Line::to(backend, 2_000).await;
    let ids = line.sessions(CALLS).await;
    let (some, others) = ids.split_at(CALLS / 2);
    line.set(Wire::Slow(Duration::from_millis(50)));
    assert_eq!(unavailable(&line, some).await, 0, "none was too late");
    line.set(Wire::Slow(PATIENCE));
    assert_eq!(unavailable(&line, others).await, calls(others), "all were");
    line.set(Wire::Open);
    line.check().await;
}

pub(crate) async fn a_server_that_refuses_is_unavailable_and_then_it_goes_on(backend: &str) {
    let line = Line::to(backend, 500).await;
    let ids = line.sessions(CALLS).await;
    line.set(Wire::Refusing);
    line.cut_all();
    assert_eq!(unavailable(&line, &ids).await, calls(&ids));
    line.set(Wire::Open);
    line.check().await;
}

/// Calls of each kind at once; says how many of them were unavailable.
///
/// # Panics
/// If one of them is not over by then.
async fn unavailable(line: &Line, ids: &[SessionId]) -> u64 {
    let before = line.checker.unavailable();
    let mut calls = JoinSet::new();
    for (number, id) in ids
        .iter()
        .copied()
        .map(Some)
        .chain([None, None])
        .enumerate()
    {
        let (store, checker) = (Arc::clone(&line.store), Arc::clone(&line.checker));
        calls.spawn(async move {
            match (id, number % 4) {
                (Some(id), 0) => checker.update(&*store, id).await,
                (Some(id), 1) => checker.touch(&*store, id).await,
                (Some(id), 2) => checker.end(&*store, id).await,
                (Some(id), _) => checker.load(&*store, id).await,
                (None, 0 | 2) => checker.reap(&*store).await,
                (None, _) => _ = checker.create(&*store).await,
            }
        });
    }
    let all = calls.join_all();
    timeout(PATIENCE, all).await.expect("each is over in time");
    line.checker.unavailable() - before
}

/// How many calls that makes.
fn calls(ids: &[SessionId]) -> u64 {
    ids.len() as u64 + 2
}
