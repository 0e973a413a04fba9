//! Some tasks that do one kind of work for a while, and what that cost.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use cpu_time::ProcessTime;
use serde::{Deserialize, Serialize};
use tokio::task::JoinSet;

use crate::subject::{Error, Result, Subject};
use crate::visit::Visit;

/// What a request wants.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Work {
    Load,
    Touch,
    TouchNowAndThen,
    Change,
    Create,
    End,
    Unknown,
    Forged,
}

impl Work {
    pub(crate) const ALL: [Self; 8] = [
        Self::Load,
        Self::Touch,
        Self::TouchNowAndThen,
        Self::Change,
        Self::Create,
        Self::End,
        Self::Unknown,
        Self::Forged,
    ];

    pub(crate) fn words(self) -> &'static str {
        match self {
            Self::Load => "load",
            Self::Touch => "load + touch",
            Self::TouchNowAndThen => "load + touch if worth it",
            Self::Change => "load, change, save",
            Self::Create => "create",
            Self::End => "end",
            Self::Unknown => "unknown session",
            Self::Forged => "forged token",
        }
    }
}

/// What a window saw.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub(crate) struct Sample {
    pub(crate) operations: u64,
    pub(crate) seconds: f64,
    /// Of this process, on all its threads; a server's own are not in it.
    pub(crate) cpu_seconds: f64,
    pub(crate) p50_us: f64,
    pub(crate) p99_us: f64,
}

/// How long a window is, and how many work in it.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub(crate) struct Window {
    pub(crate) tasks: usize,
    pub(crate) span: Duration,
}

/// A subject full of sessions.
pub(crate) struct Filled<S: Subject> {
    pub(crate) subject: S,
    /// The session of each user, by the user's number.
    keys: Vec<S::Key>,
    /// Sessions beyond these, to be ended.
    spare: Mutex<Vec<S::Key>>,
    /// How many operations are done between two looks at the clock: a look costs as much as a
    /// load from memory does.
    grain: u32,
}

/// No window creates more sessions: what is there is to stay about as much as it was.
const MOST_CREATED: usize = 50_000;

impl<S: Subject> Filled<S> {
    pub(crate) async fn new(subject: S, sessions: usize, grain: u32) -> Result<Arc<Self>> {
        const TASKS: usize = 64;
        let empty = Arc::new(subject);
        let mut tasks = JoinSet::new();
        for task in 0..TASKS {
            let subject = Arc::clone(&empty);
            tasks.spawn(async move {
                let mut keys = Vec::new();
                for user in (task..sessions).step_by(TASKS) {
                    keys.push((user, subject.create(&Visit::of(user as u64)).await?));
                }
                Ok::<_, Error>(keys)
            });
        }
        let mut keys = Vec::with_capacity(sessions);
        while let Some(done) = tasks.join_next().await {
            keys.extend(done??);
        }
        keys.sort_unstable_by_key(|(user, _)| *user);
        Ok(Arc::new(Self {
            subject: Arc::into_inner(empty).ok_or("a task still fills it")?,
            keys: keys.into_iter().map(|(_, key)| key).collect(),
            spare: Mutex::default(),
            grain,
        }))
    }

    /// `None` if the subject has no such work.
    pub(crate) async fn measure(
        self: &Arc<Self>,
        work: Work,
        window: Window,
    ) -> Result<Option<Sample>> {
        let cpu = ProcessTime::now();
        let began = Instant::now();
        let until = began + window.span;
        let mut tasks = JoinSet::new();
        for _ in 0..window.tasks {
            let filled = Arc::clone(self);
            let most = MOST_CREATED / window.tasks;
            tasks.spawn(async move { filled.work(work, until, most).await });
        }
        let mut took = Vec::new();
        let mut operations = 0;
        while let Some(done) = tasks.join_next().await {
            let Some(log) = done?? else { return Ok(None) };
            operations += log.operations;
            took.extend(log.took);
        }
        let (seconds, cpu_seconds) = (began.elapsed(), cpu.elapsed());
        took.sort_unstable();
        let at = |of_100: usize| {
            let place = (took.len() * of_100 / 100).min(took.len().saturating_sub(1));
            took.get(place)
                .map_or(0.0, |took| took.as_nanos() as f64 / 1e3)
        };
        Ok((operations > 0).then(|| Sample {
            operations,
            seconds: seconds.as_secs_f64(),
            cpu_seconds: cpu_seconds.as_secs_f64(),
            p50_us: at(50),
            p99_us: at(99),
        }))
    }

    /// Ends what windows created and no window ended.
    pub(crate) async fn tidy(&self) -> Result<()> {
        loop {
            let Some(key) = self.take_spare() else {
                return Ok(());
            };
            self.subject.end(key).await?;
        }
    }

    fn take_spare(&self) -> Option<S::Key> {
        let mut spare = self.spare.lock().unwrap_or_else(PoisonError::into_inner);
        spare.pop()
    }

    /// One task. Its first operation of each grain is timed.
    async fn work(&self, work: Work, until: Instant, most: usize) -> Result<Option<Log>> {
        let mut log = Log::default();
        let mut draw = fastrand::Rng::new();
        // Made beforehand: how they are made is not measured.
        let visits: Vec<Visit> = (0..16).map(|_| Visit::of(draw.u64(..1 << 32))).collect();
        let mut created = Vec::new();
        let mut before = Instant::now();
        while before < until {
            for n in 0..self.grain {
                let user = draw.usize(..self.keys.len());
                let key = &self.keys[user];
                let found = match work {
                    Work::Load => Some(self.subject.load(key).await?),
                    Work::Touch => Some(self.subject.touch(key).await?),
                    Work::TouchNowAndThen => match self.subject.touch_now_and_then(key).await? {
                        Some(found) => Some(found),
                        None => return Ok(None),
                    },
                    Work::Change => Some(self.subject.change(key, draw.u32(1..100)).await?),
                    Work::Create => {
                        let visit = &visits[log.operations as usize % visits.len()];
                        created.push(self.subject.create(visit).await?);
                        None
                    }
                    Work::End => {
                        let Some(key) = self.take_spare() else {
                            return Ok(Some(log));
                        };
                        self.subject.end(key).await?;
                        None
                    }
                    Work::Unknown => {
                        must_not(self.subject.unknown(draw.u64(..)).await?)?;
                        None
                    }
                    Work::Forged => {
                        must_not(self.subject.forged().await?)?;
                        None
                    }
                };
                if found.is_some_and(|found| found != user as u64) {
                    return Err(format!("session {user} is of {found:?}").into());
                }
                log.operations += 1;
                if n == 0 {
                    log.took.push(before.elapsed());
                }
            }
            if created.len() >= most {
                break;
            }
            if self.grain > 1 {
                // Memory answers without ever waiting, and others must get their turn.
                tokio::task::yield_now().await;
            }
            before = Instant::now();
        }
        let mut spare = self.spare.lock().unwrap_or_else(PoisonError::into_inner);
        spare.append(&mut created);
        Ok(Some(log))
    }
}

#[derive(Default)]
struct Log {
    operations: u64,
    took: Vec<Duration>,
}

fn must_not(found: bool) -> Result<()> {
    if found {
        return Err("a session was found that nobody started".into());
    }
    Ok(())
}
