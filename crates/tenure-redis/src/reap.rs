//! Reaping: what is due becomes a tombstone in somebody's hands, or goes without one.

use std::time::Duration;

use deadpool_redis::redis::Value;
use tenure_store::{Claimed, Ended, Error, ErrorKind, Namespace, Purged, Result, Timestamp};

use crate::answer::{self, unexpected};
use crate::call::Script;
use crate::due::{Candidate, Heads, Reach};
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
    let until = now.plus(lease);
    let mut heads = Heads::find(core, ns, Reach::Claimable, limit.min(MAX_ROWS), now).await?;
    let mut ended: Vec<(Timestamp, Ended)> = Vec::new();
    for (candidate, found) in look(core, &mut heads, &CLAIM, now, until).await? {
        let Some(bytes) = found else { continue };
        heads.expect(Some(until));
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
    Ok(Claimed {
        ended: ended.into_iter().map(|(_, ended)| ended).collect(),
        more: heads.more,
        hooks_expected: heads.all_expect_hooks,
        next_due: heads.next,
    })
}

/// Removes what is over and what nobody holds.
pub(crate) async fn purge(
    core: &Core,
    ns: &Namespace,
    limit: u32,
    now: Timestamp,
) -> Result<Purged> {
    let mut heads = Heads::find(core, ns, Reach::Unheld, limit.min(MAX_ROWS), now).await?;
    if heads.any_expects_hooks {
        return Err(refused(ns));
    }
    let removed = look(core, &mut heads, &PURGE, now, now).await?.len();
    Ok(Purged {
        removed: removed as u64,
        more: heads.more,
        next_due: heads.next,
    })
}

/// Has a script look at the candidates, all shards at once; returns the ripe ones.
async fn look(
    core: &Core,
    heads: &mut Heads,
    script: &'static Script,
    now: Timestamp,
    until: Timestamp,
) -> Result<Vec<(Candidate, Option<Vec<u8>>)>> {
    let batches = std::mem::take(&mut heads.batches);
    let bytes = MAX_BYTES / batches.len().max(1);
    let calls = batches
        .iter()
        .map(|batch| batch.call(script, now, until, bytes));
    let answers = core.servers.ask_all(calls).await?;
    let mut ripe = Vec::new();
    for (batch, answer) in batches.into_iter().zip(answers) {
        // Hooks are expected since a moment ago. Whatever others of this call removed, the
        // next one is refused.
        if answer == Value::Nil {
            heads.more = true;
            continue;
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
    }
    Ok(ripe)
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
