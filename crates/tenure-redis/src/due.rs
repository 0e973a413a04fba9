//! What is due in a namespace: the heads of all shards' queues, merged, oldest first. A look
//! writes nothing; what comes of it is judged again by whoever does.

use deadpool_redis::redis::Value;
use futures_util::future::join_all;
use tenure_store::{Error, ErrorKind, Namespace, Result, SessionId, Timestamp};

use crate::answer::{self, unexpected};
use crate::call::{Call, Script};
use crate::keys::{Key, Shard};
use crate::scripts::HEADS;
use crate::store::Core;

/// Of so many resets the sessions are looked at in one step; the later ones' turn comes
/// when the first are through.
const MAX_RESETS: u32 = 8;

/// Where the queues are among the keys of `lua/due.lua`, counted from 1: the one for what is
/// due, for what waits and for what is held; then, behind two others, those of older epochs.
const QUEUES: [u32; 3] = [3, 4, 5];
const OLD_QUEUES: u32 = 8;

/// What counts as due.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Reach {
    /// What may be claimed: waiting tombstones from their time on.
    Claimable,
    /// What may be purged: waiting tombstones at any time.
    Unheld,
}

/// What was seen at the heads of all queues.
#[derive(Debug, Default)]
pub(crate) struct Heads {
    /// Whether hooks are expected by any shard, and by every one.
    pub(crate) any_expects_hooks: bool,
    pub(crate) all_expect_hooks: bool,
    /// What to look at, by shard; those due first.
    pub(crate) batches: Vec<Batch>,
    /// Whether something is due that is not among them.
    pub(crate) more: bool,
    /// When what is not among them is due at the earliest.
    pub(crate) next: Option<Timestamp>,
}

/// What to look at in one shard.
#[derive(Debug)]
pub(crate) struct Batch {
    pub(crate) number: u8,
    shard: Shard,
    epochs: Vec<u64>,
    pub(crate) candidates: Vec<Candidate>,
}

/// A session that may be due.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Candidate {
    pub(crate) due: Timestamp,
    pub(crate) id: SessionId,
    queue: u32,
}

/// The heads of one shard's queues.
#[derive(Debug)]
struct Head {
    hooks_expected: bool,
    resets: u64,
    epochs: Vec<u64>,
    /// `None` if the epochs that were asked for are not the ones that there are.
    queues: Option<Vec<(Vec<Value>, Value)>>,
}

impl Heads {
    /// Looks for up to `limit` sessions that are due, those due first.
    pub(crate) async fn find(
        core: &Core,
        ns: &Namespace,
        reach: Reach,
        limit: u32,
        now: Timestamp,
        without: &[u8],
    ) -> Result<Self> {
        // Sessions are spread evenly: twice each queue's share is nearly always enough.
        let share = limit.min(limit / 8 + 16);
        let numbered = (0..).zip(core.shards(ns));
        let (numbers, shards): (Vec<u8>, Vec<Shard>) = numbered
            .filter(|(number, _)| !without.contains(number))
            .unzip();
        let finding = shards
            .iter()
            .map(|shard| Head::find(core, ns, shard, reach, share, now));
        // What a shard has that does not answer waits for the next look.
        let found = reached(join_all(finding).await)?;
        let reached = numbers.into_iter().zip(shards).zip(found);
        let reached = reached.filter_map(|(shard, head)| Some((shard, head?)));
        let (shards, heads): (Vec<(u8, Shard)>, Vec<Head>) = reached.unzip();

        let mut found = Heads {
            any_expects_hooks: heads.iter().any(|head| head.hooks_expected),
            all_expect_hooks: heads.iter().all(|head| head.hooks_expected),
            ..Heads::default()
        };
        let mut all: Vec<(Candidate, usize)> = Vec::new();
        let mut horizon = Timestamp::MAX;
        let mut has_spent_resets = vec![false; heads.len()];
        for (number, head) in heads.iter().enumerate() {
            found.more |= head.resets > head.epochs.len() as u64;
            for (place, (due, next)) in (0..).zip(head.queues.iter().flatten()) {
                let queue = QUEUES
                    .get(place as usize)
                    .copied()
                    .unwrap_or(OLD_QUEUES + place - 3);
                let mut candidates = candidates(due, queue)?;
                has_spent_resets[number] |= queue >= OLD_QUEUES && candidates.is_empty();
                if candidates.len() > share as usize {
                    // What nobody has seen is due no earlier than the last that was.
                    candidates.truncate(share as usize);
                    horizon = horizon.min(candidates.last().map_or(horizon, |last| last.due));
                    found.more = true;
                } else {
                    found.expect(answer::maybe_instant(next)?);
                }
                all.extend(candidates.into_iter().map(|candidate| (candidate, number)));
            }
        }
        all.sort_unstable();
        let limit = usize::try_from(limit).unwrap_or(usize::MAX);
        let seen = all
            .iter()
            .take_while(|(candidate, _)| candidate.due <= horizon)
            .count();
        for (candidate, _) in all.split_off(seen.min(limit)) {
            found.more = true;
            found.expect(Some(candidate.due));
        }

        let mut batches: Vec<Batch> = shards
            .into_iter()
            .zip(heads)
            .map(|((number, shard), head)| Batch {
                number,
                shard,
                epochs: head.epochs,
                candidates: Vec::new(),
            })
            .collect();
        for (candidate, number) in all {
            batches[number].candidates.push(candidate);
        }
        let with_work = batches.into_iter().zip(has_spent_resets);
        let with_work = with_work.filter(|(batch, spent)| *spent || !batch.candidates.is_empty());
        found.batches = with_work.map(|(batch, _)| batch).collect();
        Ok(found)
    }

    /// Something is due then.
    pub(crate) fn expect(&mut self, due: Option<Timestamp>) {
        self.next = [self.next, due].into_iter().flatten().min();
    }
}

impl Head {
    async fn find(
        core: &Core,
        ns: &Namespace,
        shard: &Shard,
        reach: Reach,
        share: u32,
        now: Timestamp,
    ) -> Result<Self> {
        let waiting = match reach {
            Reach::Claimable => now,
            Reach::Unheld => Timestamp::MAX,
        };
        // The keys have to be named before they are known: so it is asked for no resets
        // first, which is nearly always right, then for those that there are.
        let mut epochs: Vec<u64> = Vec::new();
        loop {
            let queues = [Key::Epoch, Key::Notes, Key::Due, Key::Waiting, Key::Held];
            let old = epochs.iter().map(|epoch| Key::Old(*epoch));
            let mut looking = HEADS
                .on(shard, queues.into_iter().chain(old))
                .arg(now.as_millis())
                .arg(share + 1)
                .arg(waiting.as_millis())
                .arg(MAX_RESETS);
            for epoch in &epochs {
                looking = looking.arg(*epoch);
            }
            let answer = core.servers.ask(looking.bulk()).await?;
            if answer == Value::Nil {
                return Err(Error::not_opened(ns));
            }
            let head = Self::from_value(answer)?;
            if head.queues.is_some() || head.epochs == epochs {
                return Ok(head);
            }
            epochs = head.epochs;
        }
    }

    fn from_value(value: Value) -> Result<Self> {
        let mut parts = answer::array(value)?.into_iter();
        let mut next = || parts.next().ok_or_else(unexpected);
        let hooks_expected = answer::number(&next()?)? != 0;
        let resets = answer::count(&next()?)?;
        let epochs = answer::array(next()?)?;
        let epochs = epochs
            .iter()
            .map(answer::count)
            .collect::<Result<Vec<_>>>()?;
        let queues = parts
            .map(|queue| {
                let [due, next] = answer::tuple(queue)?;
                Ok((answer::array(due)?, next))
            })
            .collect::<Result<Vec<_>>>()?;
        Ok(Self {
            hooks_expected,
            resets,
            epochs,
            queues: (!queues.is_empty()).then_some(queues),
        })
    }
}

impl Batch {
    /// The script on what is to be looked at, which returns at most so many bytes.
    pub(crate) fn call(
        &self,
        script: &'static Script,
        now: Timestamp,
        until: Timestamp,
        bytes: usize,
    ) -> Call {
        let keys = [
            Key::Epoch,
            Key::Notes,
            Key::Due,
            Key::Waiting,
            Key::Held,
            Key::Created,
            Key::Principals,
        ];
        let old = self.epochs.iter().map(|epoch| Key::Old(*epoch));
        let records = self
            .candidates
            .iter()
            .map(|candidate| Key::Record(candidate.id));
        let mut call = script
            .on(&self.shard, keys.into_iter().chain(old).chain(records))
            .arg(now.as_millis())
            .arg(until.as_millis())
            .arg(bytes)
            .arg(self.epochs.len());
        for epoch in &self.epochs {
            call = call.arg(*epoch);
        }
        for candidate in &self.candidates {
            call = call.arg(candidate.id.as_bytes()).arg(candidate.queue);
        }
        call.bulk()
    }
}

/// What those shards said that could be reached. An error only if none could; or if one lost
/// what it had, and is to be opened again.
pub(crate) fn reached<T>(mut answers: Vec<Result<T>>) -> Result<Vec<Option<T>>> {
    let is_lost = |answer: &Result<T>| match answer {
        Ok(_) => false,
        Err(error) => error.kind() == ErrorKind::NotOpened,
    };
    if let Some(lost) = answers.iter().position(is_lost) {
        return answers.swap_remove(lost).map(|_| Vec::new());
    }
    if !answers.is_empty() && answers.iter().all(Result::is_err) {
        return answers.into_iter().map(|answer| answer.map(Some)).collect();
    }
    let note = |error: &_| tracing::warn!(%error, "a part of the sessions is not reaped for now");
    let answers = answers.into_iter();
    Ok(answers
        .map(|answer| answer.inspect_err(note).ok())
        .collect())
}

/// Ids and dues, one after the other.
fn candidates(values: &[Value], queue: u32) -> Result<Vec<Candidate>> {
    let pairs = values.chunks_exact(2).filter_map(|pair| match pair {
        [id, due] => Some((id, due)),
        _ => None,
    });
    pairs
        .map(|(id, due)| {
            Ok(Candidate {
                // Of an older epoch, one that never runs out has its reset's instant.
                due: answer::maybe_instant(due)?.unwrap_or(Timestamp::MAX),
                id: answer::id(id)?,
                queue,
            })
        })
        .collect()
}
