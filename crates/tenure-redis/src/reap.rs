//! Reaping: what is due becomes a tombstone in somebody's hands, or goes without one.

use std::time::Duration;

use deadpool_redis::redis::Value;
use tenure_store::{
    Claimed, Ended, Error, ErrorKind, Namespace, Purged, Result, Timestamp, Tombstone,
};

use crate::answer::{self, unexpected};
use crate::call::Script;
use crate::due::{Batch, Candidate, Heads, Reach, reached};
use crate::keys::SHARDS;
use crate::record::decode;
use crate::scripts::{CLAIM, PURGE};
use crate::store::Core;

/// One step looks at no more sessions, and returns about as many bytes at most.
const MAX_ROWS: u32 = 1000;
const MAX_BYTES: usize = 8 << 20;

/// What one of the candidates turned out to be.
enum Found {
    /// Nothing: it was in the queue and nowhere else.
    Gone,
    /// It was used meanwhile, and is due then if ever.
    Later(Option<Timestamp>),
    /// Somebody else was quicker, or there was no room for it.
    Again,
    /// It is over or ended: its record, if that was asked for.
    Ripe(Option<Vec<u8>>),
}

/// Holds what is due.
pub(crate) async fn claim(
    core: &Core,
    ns: &Namespace,
    lease: Duration,
    limit: u32,
    now: Timestamp,
) -> Result<Claimed> {
    let until = Tombstone::held_until(lease, now);
    let seeking = Reach::Claimable;
    let (heads, ripe) = look(core, ns, seeking, limit, &CLAIM, now, until).await?;
    let mut claimed = Claimed {
        ended: Vec::new(),
        more: heads.more,
        hooks_expected: heads.all_expect_hooks,
        next_due: heads.next,
    };
    let mut ended: Vec<(Timestamp, Ended)> = Vec::new();
    for (candidate, found) in ripe {
        let Some(bytes) = found else { continue };
        claimed.next_due = [claimed.next_due, Some(until)].into_iter().flatten().min();
        match decode(candidate.id, bytes) {
            Ok(stored) => {
                let tombstone = stored.tombstone.ok_or_else(unexpected)?;
                let record = stored.record;
                ended.push((candidate.due, Ended { record, tombstone }));
            }
            // It is held all the same, so that it holds up nobody.
            Err(error) => tracing::warn!(%error, "a session cannot be reaped"),
        }
    }
    ended.sort_by_key(|(due, ended)| (*due, ended.record.id));
    claimed.ended = ended.into_iter().map(|(_, ended)| ended).collect();
    Ok(claimed)
}

/// Removes what is over and what nobody holds.
pub(crate) async fn purge(
    core: &Core,
    ns: &Namespace,
    limit: u32,
    now: Timestamp,
) -> Result<Purged> {
    let (heads, removed) = look(core, ns, Reach::Unheld, limit, &PURGE, now, now).await?;
    Ok(Purged {
        removed: removed.len() as u64,
        more: heads.more,
        next_due: heads.next,
    })
}

type Ripe = Vec<(Candidate, Option<Vec<u8>>)>;

/// Has a script look at what is due, all shards at once; returns the ripe ones. Where shards
/// cannot be reached, or refuse, the others are looked at for themselves.
async fn look(
    core: &Core,
    ns: &Namespace,
    reach: Reach,
    limit: u32,
    script: &'static Script,
    now: Timestamp,
    until: Timestamp,
) -> Result<(Heads, Ripe)> {
    let (mut refusing, mut refusal) = (Vec::new(), None);
    loop {
        let limit = limit.min(MAX_ROWS);
        let mut heads = Heads::find(core, ns, reach, limit, now, &refusing).await?;
        if reach == Reach::Unheld && heads.any_expects_hooks {
            return Err(refused(ns));
        }
        let batches = std::mem::take(&mut heads.batches);
        if batches.is_empty()
            && let Some(refusal) = refusal
        {
            return Err(refusal);
        }
        let bytes = MAX_BYTES / batches.len().max(1);
        let calls = batches
            .iter()
            .map(|batch| batch.call(script, now, until, bytes));
        let answers = core.servers.ask_each(calls).await;
        let failing = batches.iter().zip(&answers);
        let failing = failing.filter(|(_, answer)| answer.is_err());
        refusing.extend(failing.map(|(batch, _)| batch.number));
        // They may have hidden what others have, which is due later.
        let all_refuse = !answers.is_empty() && answers.iter().all(Result::is_err);
        if all_refuse && refusal.is_none() && refusing.len() < usize::from(SHARDS) {
            refusal = answers.into_iter().find_map(Result::err);
            continue;
        }
        let mut ripe = Vec::new();
        for (batch, answer) in batches.into_iter().zip(reached(answers)?) {
            take(&mut heads, &mut ripe, batch, answer, now)?;
        }
        return Ok((heads, ripe));
    }
}

/// Takes in what a script said of a shard's candidates; `None` if it said nothing.
fn take(
    heads: &mut Heads,
    ripe: &mut Ripe,
    batch: Batch,
    answer: Option<Value>,
    now: Timestamp,
) -> Result<()> {
    let Some(answer) = answer else {
        let first = batch.candidates.iter().map(|candidate| candidate.due).min();
        heads.expect(first);
        return Ok(());
    };
    // Hooks are expected since a moment ago. Whatever others of this call removed, the next
    // one is refused.
    if answer == Value::Nil {
        heads.more = true;
        return Ok(());
    }
    for (candidate, found) in batch.candidates.into_iter().zip(answer::array(answer)?) {
        match Found::from_value(found)? {
            Found::Gone => {}
            Found::Later(due) => {
                heads.expect(due);
                heads.more |= due.is_some_and(|due| due <= now);
            }
            Found::Again => {
                heads.expect(Some(candidate.due));
                heads.more = true;
            }
            Found::Ripe(bytes) => ripe.push((candidate, bytes)),
        }
    }
    Ok(())
}

impl Found {
    fn from_value(value: Value) -> Result<Self> {
        let mut parts = answer::array(value)?.into_iter();
        let what = parts.next().ok_or_else(unexpected)?;
        let detail = parts.next();
        Ok(match answer::number(&what)? {
            0 => Found::Gone,
            1 => Found::Later(answer::maybe_instant(&detail.ok_or_else(unexpected)?)?),
            2 => Found::Again,
            3 => Found::Ripe(detail.map(answer::bytes).transpose()?.flatten()),
            _ => return Err(unexpected()),
        })
    }
}

fn refused(ns: &Namespace) -> Error {
    let message =
        format!("end hooks are expected for {ns}: run a reaper with hooks, or withdraw them");
    Error::new(ErrorKind::Misconfigured, message)
}
