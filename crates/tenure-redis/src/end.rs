//! Sessions are ended: one by its user or an operator, or all of a principal.

use futures_util::future::join_all;
use tenure_store::{
    After, Cursor, End, EndReason, Ended, Error, Namespace, Principal, Result, SessionId,
    Timestamp, Tombstone,
};

use crate::answer;
use crate::create::queue;
use crate::keys::{Key, Shard};
use crate::place::{self, theirs};
use crate::record::{decode, phase};
use crate::replicas::Trail;
use crate::scripts::{END, END_ALL};
use crate::servers::{in_part, together};
use crate::store::Core;

/// How many sessions one script ends, so that others get their turn.
pub(crate) const STEP: u32 = 500;

/// Ends a live session.
pub(crate) async fn end(
    core: &Core,
    ns: &Namespace,
    id: SessionId,
    rotation: Option<u32>,
    end: End,
    after: After,
) -> Result<Option<Ended>> {
    let mut tombstone = Tombstone::new(end);
    if let After::Hold(lease) = after {
        tombstone.claim(lease, end.at);
    }
    let (phase, due) = phase(&tombstone);
    let keys = [
        Key::Epoch,
        Key::Record(id),
        Key::Due,
        queue(phase),
        Key::Created,
        Key::Principals,
    ];
    let ending = END
        .on(&core.shard(ns, id), keys)
        .arg(id.as_bytes())
        .arg(end.at.as_millis())
        .arg(end.reason.code())
        .arg(if after == After::Discard { 0 } else { phase })
        .arg(due)
        .arg(rotation.map_or(-1, i64::from));
    let trail = Trail::new();
    let ended = core.servers.ask_to_end(ending, &trail).await?;
    core.servers.replicated(trail).await?;
    let Some(bytes) = answer::bytes(ended)? else {
        return Ok(None);
    };
    // It has ended all the same: whoever tries again finds it so.
    let unreadable = |error| Error::unavailable("the session ended unread").with_source(error);
    let record = decode(id, bytes).map_err(unreadable)?.record;
    Ok(Some(Ended { record, tombstone }))
}

/// All live sessions of a principal but one.
pub(crate) struct Revoke {
    pub(crate) ns: Namespace,
    pub(crate) principal: Principal,
    pub(crate) except: Option<SessionId>,
    pub(crate) after: After,
    pub(crate) now: Timestamp,
}

impl Revoke {
    /// Ends them; says how many. What had the principal before the call is in the lists
    /// that are gone through.
    pub(crate) async fn run(&self, core: &Core) -> Result<u64> {
        let (shards, trail) = (core.shards(&self.ns), Trail::new());
        let each = shards
            .iter()
            .map(|shard| self.in_shard(core, shard, &trail));
        let ended = together(join_all(each).await)?;
        core.servers.replicated(trail).await?;
        Ok(ended.into_iter().sum())
    }

    async fn in_shard(&self, core: &Core, shard: &Shard, trail: &Trail) -> Result<u64> {
        let (mut ended, mut behind) = (0, None);
        loop {
            match self.step(core, shard, behind, trail).await {
                Ok((here, next)) => {
                    ended += here;
                    behind = next;
                }
                Err(error) if ended > 0 => return Err(in_part(error)),
                Err(error) => return Err(error),
            }
            if behind.is_none() {
                return Ok(ended);
            }
        }
    }

    /// Says how many it ended, and behind which the next step begins.
    async fn step(
        &self,
        core: &Core,
        shard: &Shard,
        behind: Option<Cursor>,
        trail: &Trail,
    ) -> Result<(u64, Option<Cursor>)> {
        let listing = theirs(shard, &self.principal, behind, STEP);
        let places = place::places(core.servers.ask(listing).await?)?;
        let those = places.iter().filter(|place| Some(place.id) != self.except);
        let those: Vec<Cursor> = those.copied().collect();
        let by = By {
            principal: &self.principal,
            reason: EndReason::PrincipalRevoked,
            after: self.after,
            now: self.now,
        };
        let ended = end_all(core, shard, &those, &by, trail).await?;
        let last = places.last().filter(|_| places.len() >= STEP as usize);
        Ok((ended, last.copied()))
    }
}

/// Why a principal's sessions end, and what becomes of them.
pub(crate) struct By<'a> {
    pub(crate) principal: &'a Principal,
    pub(crate) reason: EndReason,
    pub(crate) after: After,
    pub(crate) now: Timestamp,
}

/// Ends those of a principal's sessions in a shard that are live and still theirs; says how
/// many.
pub(crate) async fn end_all(
    core: &Core,
    shard: &Shard,
    places: &[Cursor],
    by: &By<'_>,
    trail: &Trail,
) -> Result<u64> {
    if places.is_empty() {
        return Ok(0);
    }
    let keys = [
        Key::Epoch,
        Key::Due,
        Key::Waiting,
        Key::Created,
        Key::Principals,
    ];
    let records = places.iter().map(|place| Key::Record(place.id));
    let mut ending = END_ALL
        .on(shard, keys.into_iter().chain(records))
        .arg(by.now.as_millis())
        .arg(by.reason.code())
        .arg(u8::from(by.after != After::Discard))
        .arg(by.principal.as_str());
    for place in places {
        ending = ending.arg(&place::bytes(*place));
    }
    answer::count(&core.servers.ask_to_end(ending.bulk(), trail).await?)
}
