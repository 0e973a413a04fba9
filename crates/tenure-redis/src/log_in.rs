//! A principal gets one more session, and never more than it may have, though its sessions
//! lie on all shards and no script spans two.
//!
//! Nothing is locked. A log-in leaves a mark, first on its own session's shard and then on
//! all others, looks at the principal's sessions, and is carried out by one script on its
//! own shard only if its mark still stands there. Of two log-ins that are both carried out,
//! one has seen the other: ARCHITECTURE.md has the proof.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::time::Duration;

use deadpool_redis::redis::Value;
use futures_util::future::join_all;
use tenure_store::{
    EndReason, Error, ErrorKind, Excess, Namespace, Principal, PrincipalLimit, Result, Timestamp,
    Updated,
};
use tokio::sync::Mutex;
use tokio::time::{Instant, timeout_at};

use crate::call::Call;
use crate::keys::{self, Key, Shard};
use crate::others::Others;
use crate::replicas::Trail;
use crate::runtimes::Local;
use crate::scripts::{MARK, UNMARK};
use crate::servers::in_part;
use crate::store::Core;
use crate::update::{Attempt, Update};

/// Carries out an update after which the principal has no more sessions than it may.
pub(crate) struct LogIn {
    pub(crate) update: Update,
    pub(crate) principal: Principal,
    pub(crate) limit: PrincipalLimit,
}

/// Log-ins of one principal in this process queue here rather than fight over marks.
pub(crate) struct Turns([Mutex<()>; 64]);

impl Default for Turns {
    fn default() -> Self {
        Self(std::array::from_fn(|_| Mutex::new(())))
    }
}

impl Local for Turns {
    fn is_idle(&self) -> bool {
        self.0.iter().all(|turn| turn.try_lock().is_ok())
    }
}

impl Turns {
    fn of(&self, ns: &Namespace, principal: &Principal) -> &Mutex<()> {
        let mut hasher = DefaultHasher::new();
        (ns, principal).hash(&mut hasher);
        let place = hasher.finish() % self.0.len() as u64;
        &self.0[usize::try_from(place).unwrap_or(0)]
    }
}

/// What a log-in leaves on each shard: random bytes, and when, so that one that was left
/// behind can be told from one of a log-in under way.
type Mark = [u8; 16];

impl LogIn {
    /// All steps together have one deadline, but for those that end others: these go on until
    /// there is room, for the next log-in if not for this one.
    pub(crate) async fn run(&self, core: &Core) -> Result<Updated> {
        let until = Instant::now() + core.servers.deadline;
        let (mut displaced, mut mark, trail) = (0, None, Trail::new());
        let updated = {
            let turns = core.turns.here();
            let turn = turns.of(&self.update.ns, &self.principal).lock();
            let _turn = timeout_at(until, turn).await.map_err(|_| late(core))?;
            self.repeat(core, until, &mut mark, &mut displaced, &trail)
                .await
        };
        if let Some(mark) = mark {
            self.unmark(core, mark).await;
        }
        match updated {
            Ok(Updated::Done) => {
                core.servers.replicated(trail).await?;
                Ok(Updated::Done)
            }
            // The others are gone: it must not be said that nothing happened.
            Ok(_) if displaced > 0 => Err(Error::unavailable(
                "the session changed or ended while others made room for it",
            )),
            Err(error) if displaced > 0 => Err(in_part(error)),
            updated => updated,
        }
    }

    /// `mark` is the one that was left last: its successor takes its places.
    async fn repeat(
        &self,
        core: &Core,
        until: Instant,
        mark: &mut Option<Mark>,
        displaced: &mut u64,
        trail: &Trail,
    ) -> Result<Updated> {
        loop {
            let new = new_mark(self.update.now)?;
            *mark = Some(new);
            let attempt = self.attempt(core, until, new, displaced, trail).await?;
            match attempt {
                Some(updated) => return Ok(updated),
                None => pause().await?,
            }
        }
    }

    /// `None` if another log-in came in between.
    async fn attempt(
        &self,
        core: &Core,
        until: Instant,
        mark: Mark,
        displaced: &mut u64,
        trail: &Trail,
    ) -> Result<Option<Updated>> {
        let shards = core.shards(&self.update.ns);
        let own = usize::from(keys::number(self.update.id));
        let room = usize::try_from(self.limit.sessions).unwrap_or(usize::MAX);
        let looking = async {
            // The own shard first: the proof needs it.
            let first = match core.servers.ask(self.mark_own(&shards[own], mark)).await? {
                Value::Int(0) => return Ok(Err(Some(Updated::Gone))),
                Value::Int(2) => return Ok(Err(Some(Updated::Changed))),
                places => places,
            };
            let others = shards.iter().enumerate();
            let others = others.filter(|(number, _)| *number != own);
            let marking = others.map(|(_, shard)| self.mark(shard, mark));
            let mut answers = core.servers.ask_all(marking).await?;
            answers.insert(own, first);
            let mut others = Others::new(&self.update, &self.principal, &shards);
            others.see(core, answers, self.page()).await?;
            match self.limit.excess {
                Excess::Refuse => {
                    others.until(core, |others| others.count() >= room).await?;
                    if others.count() >= room {
                        return self.refuse(core, &others, own, mark).await.map(Err);
                    }
                }
                Excess::EndOldest(_) => {
                    let newest = room.saturating_sub(1);
                    let known = |others: &Others<'_>| others.knows_the_newest(newest);
                    others.until(core, known).await?;
                }
            }
            Ok(Ok(others))
        };
        let looked = timeout_at(until, looking).await;
        let others = match looked.map_err(|_| late(core))?? {
            Ok(others) => others,
            Err(settled) => return Ok(settled),
        };
        if let Excess::EndOldest(after) = self.limit.excess {
            let newest = room.saturating_sub(1);
            let reason = EndReason::Displaced;
            others
                .end_but_newest(core, newest, reason, after, displaced, trail)
                .await?;
        }
        let updating = self.update.attempt(core, &mark);
        let updated = timeout_at(until, updating).await.map_err(|_| late(core))?;
        Ok(match updated? {
            Attempt::Settled(updated) => Some(updated),
            Attempt::Overtaken => None,
        })
    }

    /// Full, if those that were live are so still, and the session itself too: then all of
    /// them were at once, in between.
    async fn refuse(
        &self,
        core: &Core,
        others: &Others<'_>,
        own: usize,
        mark: Mark,
    ) -> Result<Option<Updated>> {
        let room = usize::try_from(self.limit.sessions).unwrap_or(usize::MAX);
        let still = others.still_live(core, room).await?;
        let shards = core.shards(&self.update.ns);
        let own = core.servers.ask(self.mark_own(&shards[own], mark)).await?;
        Ok(match own {
            Value::Int(0) => Some(Updated::Gone),
            Value::Int(2) => Some(Updated::Changed),
            _ => (still >= room).then_some(Updated::Full),
        })
    }

    /// How many places a mark asks each shard for. Sessions are spread evenly: twice the share
    /// is nearly always enough.
    fn page(&self) -> u32 {
        (self.limit.sessions / 8)
            .saturating_add(16)
            .min(crate::others::STEP)
    }

    fn mark(&self, shard: &Shard, mark: Mark) -> Call {
        let keys = [Key::Epoch, Key::Marks, Key::Principals];
        self.with_mark(MARK.on(shard, keys), mark)
    }

    fn mark_own(&self, shard: &Shard, mark: Mark) -> Call {
        let record = Key::Record(self.update.id);
        let keys = [Key::Epoch, Key::Marks, Key::Principals, record];
        self.with_mark(MARK.on(shard, keys), mark)
            .arg(&self.update.expected.get().to_be_bytes())
    }

    fn with_mark(&self, call: Call, mark: Mark) -> Call {
        call.arg(self.principal.as_str())
            .arg(&mark)
            .arg(self.page())
            .arg(self.update.now.as_millis())
    }

    /// Nothing depends on it: a mark that is left hinders nobody, and a later log-in, whoever's,
    /// removes it.
    async fn unmark(&self, core: &Core, mark: Mark) {
        let shards = core.shards(&self.update.ns);
        let taking_back = shards.iter().map(|shard| {
            let call = UNMARK.on(shard, [Key::Marks]);
            core.servers
                .ask(call.arg(self.principal.as_str()).arg(&mark))
        });
        for error in join_all(taking_back)
            .await
            .into_iter()
            .filter_map(Result::err)
        {
            tracing::debug!(%error, "a log-in's mark is left behind");
        }
    }
}

fn late(core: &Core) -> Error {
    let millis = core.servers.deadline.as_millis();
    Error::unavailable(format!("the log-in was not through within {millis} ms"))
}

fn new_mark(now: Timestamp) -> Result<Mark> {
    let mut mark = Mark::default();
    mark[..8].copy_from_slice(&random()?);
    mark[8..].copy_from_slice(&now.as_millis().to_be_bytes());
    Ok(mark)
}

fn random() -> Result<[u8; 8]> {
    let mut bytes = [0; 8];
    getrandom::fill(&mut bytes).map_err(|error| {
        let failed = Error::new(
            ErrorKind::Other,
            "the operating system gave no random bytes",
        );
        failed.with_source(error)
    })?;
    Ok(bytes)
}

/// Breaks the step into which log-ins on several nodes may have fallen.
#[allow(
    clippy::disallowed_methods,
    reason = "waits for other processes, which send no signal"
)]
async fn pause() -> Result<()> {
    let [byte, ..] = random()?;
    tokio::time::sleep(Duration::from_millis(u64::from(byte) % 16)).await;
    Ok(())
}
