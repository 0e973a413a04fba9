//! A principal gets one more session, and never more than it may have, though its sessions
//! lie on all shards and no script spans two.
//!
//! Nothing is locked. A log-in leaves a mark, first on its own session's shard and then on
//! all others, looks at the principal's sessions, and is carried out by one script on its
//! own shard only if its mark still stands there. Of two log-ins that are both carried out,
//! one has seen the other: ARCHITECTURE.md has the proof.

use std::collections::BTreeMap;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::time::Duration;

use deadpool_redis::redis::Value;
use tenure_store::{
    Cursor, EndReason, Error, ErrorKind, Excess, Namespace, Principal, PrincipalLimit, Result,
    Updated,
};
use tokio::sync::Mutex;
use tokio::time::timeout;

use crate::answer;
use crate::call::Call;
use crate::end::end_all;
use crate::keys::{self, Key, Shard};
use crate::place::{self, theirs};
use crate::scripts::{LIVING, MARK, UNMARK};
use crate::servers::together;
use crate::store::Core;
use crate::update::{Attempt, Update};

/// How many sessions one script looks at.
const STEP: u32 = 1000;

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

impl Turns {
    fn of(&self, ns: &Namespace, principal: &Principal) -> &Mutex<()> {
        let mut hasher = DefaultHasher::new();
        (ns, principal).hash(&mut hasher);
        let place = hasher.finish() % self.0.len() as u64;
        &self.0[usize::try_from(place).unwrap_or(0)]
    }
}

type Mark = [u8; 8];

/// The principal's other sessions, by shard.
type Others = BTreeMap<u8, Vec<Cursor>>;

impl LogIn {
    /// All steps together have one deadline.
    pub(crate) async fn run(&self, core: &Core) -> Result<Updated> {
        let deadline = core.servers.deadline;
        let late = || {
            let millis = deadline.as_millis();
            Error::unavailable(format!("the log-in was not through within {millis} ms"))
        };
        timeout(deadline, self.repeat(core))
            .await
            .unwrap_or_else(|_| Err(late()))
    }

    async fn repeat(&self, core: &Core) -> Result<Updated> {
        let _turn = core.turns.of(&self.update.ns, &self.principal).lock().await;
        let mut displaced = 0;
        loop {
            let mark = random()?;
            let updated = self.attempt(core, mark, &mut displaced).await;
            self.unmark(core, mark).await;
            match updated? {
                Some(Updated::Done) => return Ok(Updated::Done),
                // The others are gone: it must not be said that nothing happened.
                Some(_) if displaced > 0 => {
                    return Err(Error::unavailable(
                        "the session changed or ended while others made room for it",
                    ));
                }
                Some(updated) => return Ok(updated),
                None => pause().await?,
            }
        }
    }

    /// `None` if another log-in came in between.
    async fn attempt(
        &self,
        core: &Core,
        mark: Mark,
        displaced: &mut u64,
    ) -> Result<Option<Updated>> {
        let shards = core.shards(&self.update.ns);
        let own = usize::from(keys::number(self.update.id));
        // The own shard first: the proof needs it.
        let first = match core.servers.ask(self.mark_own(&shards[own], mark)).await? {
            Value::Int(0) => return Ok(Some(Updated::Gone)),
            Value::Int(2) => return Ok(Some(Updated::Changed)),
            places => places,
        };
        let others = shards
            .iter()
            .enumerate()
            .filter(|(number, _)| *number != own);
        let marking = others.map(|(_, shard)| self.mark(shard, mark));
        let mut answers = core.servers.ask_all(marking).await?;
        answers.insert(own, first);
        let mut found = Others::new();
        for ((number, shard), answer) in (0..).zip(&shards).zip(answers) {
            let mut places = place::places(answer)?;
            while places.len().is_multiple_of(STEP as usize) && !places.is_empty() {
                let listing = theirs(shard, &self.principal, places.last().copied(), STEP);
                let more = place::places(core.servers.ask(listing).await?)?;
                if more.is_empty() {
                    break;
                }
                places.extend(more);
            }
            places.retain(|place| place.id != self.update.id);
            found.insert(number, places);
        }

        let living = self.living(core, &shards, &found).await?;
        let count = living.values().map(Vec::len).sum::<usize>();
        let room = usize::try_from(self.limit.sessions).unwrap_or(usize::MAX);
        if count >= room {
            match self.limit.excess {
                Excess::Refuse => return self.refuse(core, &shards, own, mark, &living).await,
                Excess::EndOldest(_) => {
                    *displaced += self
                        .end_oldest(core, &shards, living, count + 1 - room)
                        .await?;
                }
            }
        }
        Ok(match self.update.attempt(core, &mark).await? {
            Attempt::Settled(updated) => Some(updated),
            Attempt::Overtaken => None,
        })
    }

    /// Full, if those that were live are so still, and the session itself too: then all of
    /// them were at once, in between.
    async fn refuse(
        &self,
        core: &Core,
        shards: &[Shard],
        own: usize,
        mark: Mark,
        living: &Others,
    ) -> Result<Option<Updated>> {
        let still = self.living(core, shards, living).await?;
        let count = still
            .values()
            .map(|places| places.len() as u64)
            .sum::<u64>();
        let own = core.servers.ask(self.mark_own(&shards[own], mark)).await?;
        Ok(match own {
            Value::Int(0) => Some(Updated::Gone),
            Value::Int(2) => Some(Updated::Changed),
            _ => (count >= u64::from(self.limit.sessions)).then_some(Updated::Full),
        })
    }

    /// Ends so many, the oldest first; says how many it were.
    async fn end_oldest(
        &self,
        core: &Core,
        shards: &[Shard],
        living: Others,
        excess: usize,
    ) -> Result<u64> {
        let Excess::EndOldest(after) = self.limit.excess else {
            return Ok(0);
        };
        let mut oldest: Vec<Cursor> = living.into_values().flatten().collect();
        oldest.sort_unstable();
        oldest.truncate(excess);
        let mut by_shard = Others::new();
        for place in oldest {
            by_shard
                .entry(keys::number(place.id))
                .or_default()
                .push(place);
        }
        let (reason, now) = (EndReason::Displaced, self.update.now);
        let ending = by_shard.iter().map(|(number, places)| {
            let shard = &shards[usize::from(*number)];
            end_all(core, shard, places, &self.principal, reason, after, now)
        });
        let ended = together(futures_util::future::join_all(ending).await)?;
        Ok(ended.into_iter().sum())
    }

    /// Those that are live now.
    async fn living(&self, core: &Core, shards: &[Shard], found: &Others) -> Result<Others> {
        let mut chunks = Vec::new();
        for (number, places) in found {
            chunks.extend(places.chunks(STEP as usize).map(|chunk| (*number, chunk)));
        }
        let looking = chunks.iter().map(|(number, places)| {
            let records = places.iter().map(|place| Key::Record(place.id));
            LIVING
                .on(
                    &shards[usize::from(*number)],
                    [Key::Epoch].into_iter().chain(records),
                )
                .arg(self.update.now.as_millis())
                .arg(self.principal.as_str())
        });
        let mut living = Others::new();
        for ((number, places), answer) in chunks.iter().zip(core.servers.ask_all(looking).await?) {
            let answer = answer::array(answer)?;
            let live = places
                .iter()
                .zip(answer)
                .filter(|(_, lives)| *lives == Value::Int(1));
            let live = live.map(|(place, _)| *place);
            living.entry(*number).or_default().extend(live);
        }
        Ok(living)
    }

    fn mark(&self, shard: &Shard, mark: Mark) -> Call {
        let keys = [Key::Epoch, Key::Marks, Key::Principals];
        self.with_mark(MARK.on(shard, keys), mark)
    }

    fn mark_own(&self, shard: &Shard, mark: Mark) -> Call {
        let record = Key::Record(self.update.id);
        let keys = [Key::Epoch, Key::Marks, Key::Principals, record];
        self.with_mark(MARK.on(shard, keys), mark)
            .arg(self.update.now.as_millis())
            .arg(&self.update.expected.get().to_be_bytes())
    }

    fn with_mark(&self, call: Call, mark: Mark) -> Call {
        call.arg(self.principal.as_str()).arg(&mark).arg(STEP)
    }

    /// Nothing depends on it: a mark that is left hinders nobody.
    async fn unmark(&self, core: &Core, mark: Mark) {
        let shards = core.shards(&self.update.ns);
        let taking_back = shards.iter().map(|shard| {
            let call = UNMARK.on(shard, [Key::Marks]);
            call.arg(self.principal.as_str()).arg(&mark)
        });
        if let Err(error) = core.servers.ask_all(taking_back).await {
            tracing::debug!(%error, "a log-in's mark is left behind");
        }
    }
}

fn random() -> Result<Mark> {
    let mut bytes = Mark::default();
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
