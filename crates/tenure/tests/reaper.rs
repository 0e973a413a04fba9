//! How the reaper goes about it. The runtime's time is a tokio clock that is paused and
//! moves on by itself; the sessions' time is a manual clock.

use std::ops::Range;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tenure::{
    BoxError, Clock, EndReason, EndedSession, KeyRing, ManualClock, MasterSecret, Reaped, Sessions,
    SessionsBuilder, Timestamp,
};
use tenure_memory::MemoryStore;
use tenure_store::{After, SessionStore};
use tokio::sync::watch;
use tokio::time::Instant;

const IDLE: Duration = Duration::from_mins(20);
const LEASE: Duration = Duration::from_secs(90);

struct World {
    store: Arc<dyn SessionStore>,
    clock: Arc<ManualClock>,
    keys: KeyRing,
}

impl World {
    fn new() -> Self {
        let secret = MasterSecret::generate().expect("random bytes");
        Self {
            store: Arc::new(MemoryStore::new()),
            clock: Arc::default(),
            keys: KeyRing::new("key", secret).expect("a ring"),
        }
    }

    fn builder(&self) -> SessionsBuilder {
        Sessions::builder(Arc::clone(&self.store), self.keys.clone(), "portal")
            .idle_timeout(IDLE)
            .hook_lease(LEASE)
            .clock(Arc::clone(&self.clock) as _)
    }
}

async fn store(sessions: &Sessions, how_many: usize) {
    for n in 0..how_many {
        let session = sessions.start().expect("starts");
        session.set("n", &n).expect("fits");
        session.commit().await.expect("commits");
    }
}

#[tokio::test(start_paused = true)]
async fn a_spawned_reaper_keeps_to_its_rate() {
    let world = World::new();
    let times = Arc::new(Mutex::new(Vec::new()));
    let note = Arc::clone(&times);
    let (done, mut all_done) = watch::channel(0);
    let sessions = world
        .builder()
        .on_end(move |_: EndedSession| {
            note.lock().expect("nobody panics").push(Instant::now());
            done.send_modify(|count| *count += 1);
            async { Ok::<_, BoxError>(()) }
        })
        .build()
        .await
        .expect("good settings");
    store(&sessions, 100).await;
    sessions.reset().await.expect("resets");
    let reaper = sessions.reaper().expect("a hook").batch(7).rate(10).spawn();
    all_done
        .wait_for(|count| *count == 100)
        .await
        .expect("the hook is there");
    reaper.shutdown().await;
    let times = times.lock().expect("nobody panics").clone();
    let took = times[99] - times[0];
    assert!(
        took >= Duration::from_millis(9_800),
        "100 hooks in {took:?}, at 10 a second"
    );
    for window in times.windows(12) {
        let span = window[11] - window[0];
        assert!(span >= Duration::from_secs(1), "12 hooks within {span:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_slow_hook_keeps_its_lease() {
    let world = World::new();
    let (begun, mut has_begun) = watch::channel(false);
    let (go_on, wait) = watch::channel(false);
    let sessions = world
        .builder()
        .hook_time_limit(LEASE * 10)
        .on_end(move |session: EndedSession| {
            assert_eq!(session.attempt(), 1, "nobody else may get it meanwhile");
            let (begun, mut wait) = (begun.clone(), wait.clone());
            async move {
                begun.send(true)?;
                wait.wait_for(|go_on| *go_on).await?;
                Ok::<_, BoxError>(())
            }
        })
        .build()
        .await
        .expect("good settings");
    store(&sessions, 1).await;
    sessions.reset().await.expect("resets");
    let slow = sessions.reaper().expect("a hook");
    let slow = tokio::spawn(async move { slow.run_once().await });
    has_begun.wait_for(|begun| *begun).await.expect("it begins");
    let other = sessions.reaper().expect("a hook");
    for _ in 0..12 {
        world.clock.advance(LEASE / 3);
        tokio::time::advance(LEASE / 3).await;
        tokio::task::yield_now().await;
        let reaped = other.run_once().await.expect("answers");
        assert_eq!(reaped, Reaped::default(), "the lease is renewed");
    }
    go_on.send(true).expect("the hook waits");
    assert_eq!(slow.await.expect("no panic").expect("answers").succeeded, 1);
}

#[tokio::test]
async fn a_clock_that_jumps_pauses_the_reaper() {
    let world = World::new();
    let sessions = world
        .builder()
        .on_end(|_: EndedSession| async { Ok::<_, BoxError>(()) })
        .build()
        .await
        .expect("good settings");
    store(&sessions, 3).await;
    let reaper = sessions.reaper().expect("a hook");
    reaper.run_once().await.expect("answers");
    let right = world.clock.now();
    world.clock.set(right.plus(IDLE * 100));
    assert!(reaper.run_once().await.expect("answers").paused);
    world.clock.set(right);
    assert_eq!(reaper.run_once().await.expect("answers"), Reaped::default());
    let counts = world
        .store
        .count(sessions.namespace(), right)
        .await
        .expect("answers");
    assert_eq!(counts.live, 3, "nobody was ended");
    world.clock.advance(IDLE);
    assert_eq!(
        reaper.run_once().await.expect("answers").succeeded,
        3,
        "time that passes ends"
    );
}

/// Jumps ahead when it is read for the n-th time, back at a later one, and ahead again.
#[derive(Debug)]
struct Jumpy {
    right: ManualClock,
    reads: AtomicUsize,
    ahead: Vec<Range<usize>>,
}

impl Clock for Jumpy {
    fn now(&self) -> Timestamp {
        let read = self.reads.fetch_add(1, Ordering::Relaxed);
        let is_ahead = self.ahead.iter().any(|reads| reads.contains(&read));
        let ahead = if is_ahead { IDLE * 3 } else { Duration::ZERO };
        self.right.now().plus(ahead)
    }

    fn running(&self) -> Duration {
        self.right.running()
    }
}

#[tokio::test]
async fn wherever_in_a_round_the_clock_jumps_nobody_is_ended() {
    // The first two looks are those of `build`, which trusts what it sees.
    for first in 2..60 {
        for hooks in [true, false] {
            let ahead = vec![
                first..first + 3,
                first + 5..first + 6,
                first + 7..usize::MAX,
            ];
            let clock = Arc::new(Jumpy {
                right: ManualClock::default(),
                reads: AtomicUsize::new(0),
                ahead: Vec::new(),
            });
            let world = World::new();
            let sessions = async |clock: Arc<Jumpy>| {
                let builder = world.builder().clock(clock as _);
                let builder = if hooks {
                    builder.on_end(|_: EndedSession| async { Ok::<_, BoxError>(()) })
                } else {
                    builder.no_end_hook()
                };
                builder.build().await.expect("good settings")
            };
            let steady = sessions(clock).await;
            store(&steady, 10).await;
            steady.reset().await.expect("resets");
            store(&steady, 3).await;

            let clock = Arc::new(Jumpy {
                right: ManualClock::default(),
                reads: AtomicUsize::new(0),
                ahead,
            });
            let jumpy = sessions(Arc::clone(&clock)).await;
            let reaper = jumpy.reaper().expect("asked for").batch(3).concurrency(1);
            for _ in 0..4 {
                reaper.run_once().await.expect("answers");
            }
            let counts = world.store.count(jumpy.namespace(), clock.right.now());
            let counts = counts.await.expect("answers");
            assert_eq!(counts.live, 3, "ahead from the {first}. look on");
        }
    }
}

#[tokio::test]
async fn a_hook_that_kills_its_process_is_set_aside_in_the_end() {
    let world = World::new();
    let sessions = world
        .builder()
        .hook_attempts(2)
        .on_end(|_: EndedSession| async { Ok::<_, BoxError>(()) })
        .build()
        .await
        .expect("good settings");
    store(&sessions, 1).await;
    let ns = sessions.namespace();
    sessions.reset().await.expect("resets");
    // Processes that claim it, and are never heard of again.
    for _ in 0..20 {
        let claimed = world
            .store
            .claim(ns, LEASE, 10, world.clock.now())
            .await
            .expect("answers");
        assert_eq!(claimed.ended.len(), 1);
        world.clock.advance(LEASE);
    }
    let reaped = sessions
        .reaper()
        .expect("a hook")
        .run_once()
        .await
        .expect("answers");
    assert_eq!((reaped.succeeded, reaped.dead), (0, 1));
}

#[tokio::test]
async fn a_session_that_moved_gets_no_hook() {
    let world = World::new();
    let sessions = world
        .builder()
        .on_end(|_: EndedSession| async { Err::<(), _>("it lives on elsewhere") })
        .build()
        .await
        .expect("good settings");
    let session = sessions.start().expect("starts");
    session.set("n", &1).expect("fits");
    session.commit().await.expect("commits");
    let (ns, now) = (sessions.namespace(), world.clock.now());
    let moved = world
        .store
        .end(ns, session.id(), None, EndReason::Moved, After::Queue, now)
        .await;
    assert!(moved.expect("answers").is_some());
    let reaped = sessions
        .reaper()
        .expect("a hook")
        .run_once()
        .await
        .expect("answers");
    assert_eq!(reaped.succeeded, 1, "settled without a call");
}
