//! When end hooks run, how often, and how many at once: against a small model, in a time
//! that is paused and moves on by itself. It is the runtime's, the library's clock too.

#![allow(
    clippy::unchecked_time_subtraction,
    reason = "a test that gets it wrong fails"
)]

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use support::watched::{Failing, Watched};
use tenure::{
    BoxError, Clock, EndedSession, KeyRing, MasterSecret, ReaperHandle, SessionId, Sessions,
    SessionsBuilder, Timestamp,
};
use tenure_memory::MemoryStore;
use tenure_store::{Filter, Status};
use tokio::time::{Instant, sleep_until, timeout};

#[path = "support/mod.rs"]
#[allow(dead_code, reason = "each test uses its part")]
mod support;

const SECOND: Duration = Duration::from_secs(1);
const MINUTE: Duration = Duration::from_mins(1);
const LIMIT: Duration = Duration::from_secs(10);
const ATTEMPTS: u32 = 4;

#[derive(Debug)]
struct RuntimeClock(Instant);

impl Clock for RuntimeClock {
    fn now(&self) -> Timestamp {
        Timestamp::from_millis_clamped(1_767_225_600_000).plus(self.running())
    }

    fn running(&self) -> Duration {
        self.0.elapsed()
    }
}

struct World {
    store: Arc<Watched>,
    clock: Arc<RuntimeClock>,
    keys: KeyRing,
}

impl World {
    fn new() -> Self {
        let secret = MasterSecret::generate().expect("random bytes");
        Self {
            store: Arc::new(Watched::new(Arc::new(MemoryStore::new()))),
            clock: Arc::new(RuntimeClock(Instant::now())),
            keys: KeyRing::new("key", secret).expect("a ring"),
        }
    }

    fn builder(&self) -> SessionsBuilder {
        let store = Arc::clone(&self.store) as _;
        Sessions::builder(store, self.keys.clone(), "portal").clock(Arc::clone(&self.clock) as _)
    }

    async fn statuses(&self, sessions: &Sessions) -> BTreeMap<SessionId, Status> {
        let page = sessions.list(&Filter::all(1000)).await.expect("answers");
        let sessions = page.sessions.iter();
        sessions.map(|info| (info.id(), info.status())).collect()
    }
}

async fn stored(sessions: &Sessions) -> tenure::Session {
    let session = sessions.start().expect("starts");
    session.set("n", &1).expect("fits");
    session.commit().await.expect("commits");
    session
}

/// The attempts that were made, each from its begin to its end.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<Made>>>);

#[derive(Clone, Debug)]
struct Made {
    session: SessionId,
    /// As the hook was told.
    number: u32,
    began: Instant,
    /// `None` as long as it runs.
    ended: Option<Instant>,
    succeeded: bool,
}

/// Notes the end of an attempt, however it comes.
struct Running {
    log: Log,
    place: usize,
}

impl Log {
    fn begin(&self, session: &EndedSession) -> Running {
        let mut made = self.0.lock().expect("nobody panics with it");
        made.push(Made {
            session: session.id(),
            number: session.attempt(),
            began: Instant::now(),
            ended: None,
            succeeded: false,
        });
        Running {
            log: self.clone(),
            place: made.len() - 1,
        }
    }

    fn made(&self) -> Vec<Made> {
        self.0.lock().expect("nobody panics with it").clone()
    }

    /// From when no hook runs, as of this instant: a reaper asks again when those it has begun
    /// are through.
    fn free_from(&self, mut at: Instant) -> Instant {
        let made = self.made();
        let runs = |at: Instant| {
            let running = made
                .iter()
                .filter(move |made| made.began <= at + SECOND / 10);
            running.filter_map(|made| made.ended).find(|end| *end > at)
        };
        while let Some(end) = runs(at) {
            at = end;
        }
        at
    }

    fn of(&self, session: SessionId) -> Vec<Made> {
        let mut made = self.made();
        made.retain(|made| made.session == session);
        made
    }
}

impl Running {
    fn succeeded(&self) {
        self.log.0.lock().expect("nobody panics with it")[self.place].succeeded = true;
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let mut made = self.log.0.lock().expect("nobody panics with it");
        made[self.place].ended = Some(Instant::now());
    }
}

async fn passes(time: Duration) {
    sleep_until(Instant::now() + time).await;
}

/// The wait that is promised after so many failures: this at most, and three quarters of it
/// at least.
fn back_off(failures: u32) -> Duration {
    SECOND * 2_u32.pow(failures - 1)
}

#[tokio::test(start_paused = true)]
async fn a_failed_hook_is_tried_again_after_the_wait_that_is_promised() {
    for explicit in [true, false] {
        let (world, log) = (World::new(), Log::default());
        let seen = log.clone();
        let sessions = world
            .builder()
            .on_end(move |session: EndedSession| {
                let _running = seen.begin(&session);
                async { Err::<(), _>("the mail server is away") }
            })
            .build()
            .await
            .expect("good settings");
        let reaper = sessions.reaper().expect("a hook").spawn();
        let session = stored(&sessions).await;
        if explicit {
            passes(MINUTE).await;
            session.end().await.expect("ends");
        } else {
            drop(session);
        }
        for _ in 0..120 {
            passes(MINUTE).await;
        }
        let made = log.made();
        let numbers: Vec<u32> = made.iter().map(|made| made.number).collect();
        assert_eq!(numbers, [1, 2, 3, 4, 5, 6, 7, 8, 9, 10]);
        for (one, next) in made.iter().zip(&made[1..]) {
            let promised = back_off(one.number);
            let waited = next.began - one.began;
            assert!(
                waited >= promised * 3 / 4 && waited <= promised + SECOND / 10,
                "{waited:?} after attempt {}, not {promised:?}",
                one.number
            );
        }
        reaper.shutdown().await;
    }
}

#[tokio::test(start_paused = true)]
async fn no_more_hooks_run_at_once_than_may() {
    let (world, log) = (World::new(), Log::default());
    let seen = log.clone();
    let sessions = world
        .builder()
        .on_end(move |session: EndedSession| {
            let seen = seen.clone();
            async move {
                let _running = seen.begin(&session);
                passes(SECOND).await;
                Ok::<_, BoxError>(())
            }
        })
        .build()
        .await
        .expect("good settings");
    for _ in 0..20 {
        stored(&sessions).await;
    }
    sessions.reset().await.expect("resets");
    let reaper = sessions.reaper().expect("a hook").concurrency(3).batch(7);
    assert_eq!(reaper.run_once().await.expect("answers").succeeded, 20);
    let made = log.made();
    let at_once = |at: Instant| {
        let running = |made: &&Made| made.began <= at && made.ended.is_some_and(|end| at < end);
        made.iter().filter(running).count()
    };
    let most = made.iter().map(|made| at_once(made.began)).max();
    assert_eq!(most, Some(3));
}

/// What comes out is told while others of the batch still run: a node that dies then has
/// only those run again.
#[tokio::test(start_paused = true)]
async fn what_succeeded_is_settled_while_others_still_run() {
    let world = World::new();
    let sessions = world
        .builder()
        .on_end(move |session: EndedSession| async move {
            if session.get::<bool>("slow")?.is_some() {
                passes(SECOND * 20).await;
            }
            Ok::<_, BoxError>(())
        })
        .build()
        .await
        .expect("good settings");
    let slow = sessions.start().expect("starts");
    slow.set("slow", &true).expect("fits");
    slow.commit().await.expect("commits");
    stored(&sessions).await;
    sessions.reset().await.expect("resets");
    let reaper = sessions.reaper().expect("a hook");
    let round = tokio::spawn(async move { reaper.run_once().await });
    passes(SECOND).await;
    let statuses = world.statuses(&sessions).await;
    assert_eq!(statuses, BTreeMap::from([(slow.id(), Status::Held)]));
    let reaped = round.await.expect("no panic").expect("answers");
    assert_eq!(reaped.succeeded, 2);
}

/// A hook is not begun on a lease that could not be renewed and is over: another node may
/// have begun it.
#[tokio::test(start_paused = true)]
async fn nothing_is_begun_on_a_lease_that_is_over() {
    let (world, log) = (World::new(), Log::default());
    let seen = log.clone();
    let sessions = world
        .builder()
        .hook_time_limit(MINUTE * 10)
        .on_end(move |session: EndedSession| {
            let seen = seen.clone();
            async move {
                let running = seen.begin(&session);
                passes(MINUTE * 2).await;
                running.succeeded();
                Ok::<_, BoxError>(())
            }
        })
        .build()
        .await
        .expect("good settings");
    for _ in 0..2 {
        stored(&sessions).await;
    }
    sessions.reset().await.expect("resets");
    world.store.fail("renew", 3, Failing::Refused);
    let reaper = sessions.reaper().expect("a hook").concurrency(1);
    reaper.run_once().await.expect("answers");
    for pair in log.made().windows(2) {
        assert!(pair[0].ended.is_some_and(|end| end <= pair[1].began));
    }
    let second = log.made().pop().expect("attempts");
    assert_eq!(second.number, 1, "given back, it had not begun");
}

/// Numbers that look random and are the same in each run.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: u64) -> u64 {
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1);
        (self.0 >> 33) % sides
    }

    /// One of two places.
    fn flip(&mut self) -> usize {
        usize::from(self.roll(2) == 1)
    }

    fn time(&mut self, at_most: Duration) -> Duration {
        let millis = u64::try_from(at_most.as_millis()).expect("short");
        Duration::from_millis(self.roll(millis + 1))
    }
}

/// What a hook does in one attempt, after some time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Deed {
    Succeed,
    Fail,
    Panic,
    /// Fail with an error that panics when somebody wants to know it.
    Unspeakable,
    Hang,
}

#[derive(Debug)]
struct Unspeakable;

impl fmt::Display for Unspeakable {
    fn fmt(&self, _: &mut fmt::Formatter<'_>) -> fmt::Result {
        panic!("an error that cannot be shown")
    }
}

impl std::error::Error for Unspeakable {}

type Script = BTreeMap<(SessionId, u32), (Deed, Duration)>;

/// A node of the model's service.
async fn node(world: &World, log: &Log, script: &Arc<Mutex<Script>>) -> Sessions {
    let (log, script) = (log.clone(), Arc::clone(script));
    let builder = world.builder().idle_timeout(MINUTE).hook_attempts(ATTEMPTS);
    let builder = builder
        .hook_time_limit(LIMIT)
        .on_end(move |session: EndedSession| {
            let running = log.begin(&session);
            let key = (session.id(), session.attempt());
            let (deed, after) = script.lock().expect("nobody panics with it")[&key];
            async move {
                passes(after).await;
                match deed {
                    Deed::Succeed => running.succeeded(),
                    Deed::Fail => return Err("the mail server is away".into()),
                    Deed::Panic => panic!("the hook panics, as it was told to"),
                    Deed::Unspeakable => return Err(BoxError::from(Unspeakable)),
                    Deed::Hang => std::future::pending().await,
                }
                Ok::<_, BoxError>(())
            }
        });
    builder.build().await.expect("good settings")
}

/// How rough a story is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Weather {
    Calm,
    /// The store refuses now and then, or its answers get lost; nodes are stopped and begin
    /// again; rounds are dropped.
    Rough,
}

/// Sessions that end in several ways, and hooks that do what the dice say, on two nodes.
/// Then what was made is compared with what the documents promise.
async fn story(seed: u64, weather: Weather) {
    let (world, log, mut dice) = (World::new(), Log::default(), Dice(seed));
    let script = Arc::new(Mutex::new(Script::new()));
    let nodes = [
        node(&world, &log, &script).await,
        node(&world, &log, &script).await,
    ];
    let spawn = |number: usize| nodes[number].reaper().expect("a hook").spawn();
    let mut reapers: [Option<ReaperHandle>; 2] = [Some(spawn(0)), Some(spawn(1))];
    let mut ids = Vec::new();
    for _ in 0..6 {
        let session = stored(&nodes[dice.flip()]).await;
        ids.push(session.id());
        for attempt in 1..=ATTEMPTS {
            let deed = match dice.roll(8) {
                0..3 => Deed::Succeed,
                3..5 => Deed::Fail,
                5 => Deed::Panic,
                6 => Deed::Unspeakable,
                _ => Deed::Hang,
            };
            let after = dice.time(LIMIT - SECOND);
            let mut script = script.lock().expect("nobody panics with it");
            script.insert((session.id(), attempt), (deed, after));
        }
        if dice.roll(2) == 0 {
            assert!(session.end().await.expect("ends"));
        }
        passes(dice.time(SECOND * 5)).await;
    }
    let until = Instant::now() + MINUTE * 3;
    while weather == Weather::Rough && Instant::now() < until {
        passes(dice.time(SECOND * 5)).await;
        let how = [Failing::Refused, Failing::Unheard][dice.flip()];
        let which = dice.flip();
        match dice.roll(5) {
            0 => world.store.fail("settle", dice.roll(4), how),
            1 => world.store.fail("claim", 1, Failing::Refused),
            2 => world.store.fail("renew", dice.roll(2), Failing::Refused),
            3 => match reapers[which].take() {
                Some(reaper) => reaper.shutdown().await,
                None => reapers[which] = Some(spawn(which)),
            },
            _ => {
                let reaper = nodes[which].reaper().expect("a hook");
                // Dropped, as a rule.
                let _ = timeout(dice.time(SECOND * 5), reaper.run_once()).await;
            }
        }
    }
    for (number, reaper) in reapers.iter_mut().enumerate() {
        reaper.get_or_insert_with(|| spawn(number));
    }
    let is_over = |status: &Status| *status == Status::Dead;
    for _ in 0..60 {
        passes(MINUTE).await;
        if world.statuses(&nodes[0]).await.values().all(is_over) {
            break;
        }
    }
    let statuses = world.statuses(&nodes[0]).await;
    for id in ids {
        let made = log.of(id);
        let numbers = made.iter().map(|made| made.number);
        assert!((1..).zip(numbers).all(|(n, told)| n == told), "{made:#?}");
        let last = made.last().expect("each session has its hook");
        let (before, succeeded) = (&made[..made.len() - 1], last.succeeded);
        assert!(before.iter().all(|made| !made.succeeded), "{made:#?}");
        assert!(succeeded || last.number == ATTEMPTS, "{made:#?}");
        assert_eq!(statuses.contains_key(&id), !succeeded, "{made:#?}");
        for (one, next) in made.iter().zip(&made[1..]) {
            let ended = one.ended.expect("one at a time");
            assert!(ended - one.began <= LIMIT + SECOND / 100, "{made:#?}");
            let promised = back_off(one.number);
            assert!(ended + promised * 3 / 4 <= next.began, "{made:#?}");
            if weather == Weather::Calm {
                let latest = log.free_from(ended + promised) + SECOND / 10;
                assert!(next.began <= latest, "{made:#?}");
            }
        }
        if weather == Weather::Calm {
            for made in &made {
                let (deed, _) = script.lock().expect("nobody panics with it")[&(id, made.number)];
                assert_eq!(made.succeeded, deed == Deed::Succeed);
            }
        }
    }
    for reaper in reapers.into_iter().flatten() {
        reaper.shutdown().await;
    }
}

#[tokio::test(start_paused = true)]
async fn hooks_run_as_the_model_says() {
    for seed in 0..40 {
        story(seed, Weather::Calm).await;
    }
}

#[tokio::test(start_paused = true)]
async fn hooks_run_as_the_model_says_when_stores_refuse_and_nodes_stop() {
    for seed in 0..80 {
        story(seed, Weather::Rough).await;
    }
}
