//! Reapers in processes of their own, on one store: side by side, and killed at every
//! place where it hurts.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use tenure::{BoxError, EndedSession, Error, ManualClock, Sessions, SessionsBuilder};
use tokio::task::JoinSet;

use crate::child::{Child, say};
use crate::support::keys::ring;
use crate::support::place::Place;
use crate::support::watched::{Trip, Watched};

const LEASE: Duration = Duration::from_secs(90);

pub(crate) async fn reapers_side_by_side_run_each_hook_once(backend: &str) {
    for reapers in [2, 8] {
        let place = Place::on(backend).await;
        let ended = ended_sessions(place.url(), 10_000).await;
        let children: Vec<Child> = (0..reapers)
            .map(|_| Child::start(&["reap", place.url(), "0", "never"]))
            .collect();
        let mut calls: BTreeMap<String, u32> = BTreeMap::new();
        for mut child in children {
            while let Some(line) = child.line() {
                let (id, _) = attempt(&line);
                *calls.entry(id).or_default() += 1;
            }
            assert!(!child.was_killed());
        }
        assert_eq!(
            calls.len(),
            ended.len(),
            "{reapers} reapers: every end has its hook"
        );
        let twice: Vec<_> = calls.iter().filter(|(_, count)| **count > 1).collect();
        assert!(
            twice.is_empty(),
            "{reapers} reapers: called more than once: {twice:?}"
        );
    }
}

pub(crate) async fn a_hook_comes_again_wherever_its_process_dies(backend: &str) {
    let places = [
        "before-claim",
        "after-claim",
        "before-settle",
        "after-settle",
    ];
    let in_hooks = [1, 2, 7, 18, 29, 50].map(|count| format!("in-hook:{count}"));
    for trip in places.map(str::to_owned).into_iter().chain(in_hooks) {
        let place = Place::on(backend).await;
        let ended = ended_sessions(place.url(), 120).await;
        // It may die as often as it likes: each time the lease runs out, and the next
        // process goes on.
        let mut attempts: BTreeMap<String, Vec<u32>> = BTreeMap::new();
        let mut deaths = 0;
        for life in 0.. {
            assert!(life < 400, "{trip}: it never gets done");
            let minutes = (life * 2).to_string();
            let how = if life < 3 { trip.as_str() } else { "never" };
            let mut child = Child::start(&["reap", place.url(), &minutes, how]);
            while let Some(line) = child.line() {
                let (id, number) = attempt(&line);
                attempts.entry(id).or_default().push(number);
            }
            if child.was_killed() {
                deaths += 1;
            } else if how == "never" {
                break;
            }
        }
        assert!(deaths > 0, "{trip}: it was to die");
        let told: BTreeSet<String> = attempts.keys().cloned().collect();
        assert_eq!(told, ended, "{trip}: every end has its hook");
        for (id, numbers) in attempts {
            let rising = numbers.windows(2).all(|pair| pair[0] < pair[1]);
            assert!(rising, "{trip}: attempts at {id}: {numbers:?}");
        }
    }
}

/// The child: one round of a reaper, at so many minutes past, that may kill itself.
pub(crate) async fn reap(url: &str, minutes: u64, how: &str) -> Result<(), BoxError> {
    let store = tenure_connect::connect(url).await?;
    let store = Arc::new(Watched::new(store));
    let in_hook: Option<u64> = how.strip_prefix("in-hook:").map(str::parse).transpose()?;
    match how {
        "before-claim" => store.trip(Trip::Before("claim")),
        "after-claim" => store.trip(Trip::After("claim")),
        "before-settle" => store.trip(Trip::Before("settle")),
        "after-settle" => store.trip(Trip::After("settle")),
        _ => {}
    }
    let calls = Arc::new(std::sync::atomic::AtomicU64::new(0));
    let clock = ManualClock::default();
    clock.advance(Duration::from_mins(minutes));
    let sessions = Sessions::builder(store, ring("2026-11", 7), "portal")
        .hook_lease(LEASE)
        .clock(Arc::new(clock))
        .on_end(move |session: EndedSession| {
            say(&format!("{} {}", session.id(), session.attempt()));
            let count = calls.fetch_add(1, std::sync::atomic::Ordering::SeqCst) + 1;
            if in_hook == Some(count) {
                std::process::abort();
            }
            async { Ok::<_, Error>(()) }
        })
        .build()
        .await?;
    sessions.reaper()?.batch(50).run_once().await?;
    sessions.store().close().await?;
    Ok(())
}

/// So many sessions that a reset has ended; their ids.
async fn ended_sessions(url: &str, how_many: usize) -> BTreeSet<String> {
    let store = tenure_connect::connect(url).await;
    let builder: SessionsBuilder =
        Sessions::builder(store.expect("opens"), ring("2026-11", 7), "portal");
    let sessions = builder
        .clock(Arc::new(ManualClock::default()))
        .on_end(|_: EndedSession| async { Ok::<_, Error>(()) })
        .build()
        .await
        .expect("good settings");
    let mut tasks = JoinSet::new();
    for task in 0..16 {
        let sessions = sessions.clone();
        tasks.spawn(async move {
            let mut ids = BTreeSet::new();
            for n in (task..how_many).step_by(16) {
                let session = sessions.start().expect("starts");
                session.set("n", &n).expect("fits");
                session.commit().await.expect("commits");
                ids.insert(session.id().to_string());
            }
            ids
        });
    }
    let mut ids = BTreeSet::new();
    while let Some(made) = tasks.join_next().await {
        ids.extend(made.expect("no panic"));
    }
    sessions.reset().await.expect("resets");
    sessions.store().close().await.expect("closes");
    ids
}

fn attempt(line: &str) -> (String, u32) {
    let (id, number) = line.split_once(' ').expect("an id and a number");
    (id.to_owned(), number.parse().expect("a number"))
}
