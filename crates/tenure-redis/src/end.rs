//! Sessions are ended: one by its user or an operator, or all of a principal.

use tenure_store::{
    After, Cursor, End, EndReason, Ended, Error, Namespace, Principal, Result, SessionId,
    Timestamp, Tombstone,
};

use crate::answer;
use crate::create::queue;
use crate::keys::{Key, Shard};
use crate::place::{self, theirs};
use crate::record::{decode, phase};
use crate::scripts::{END, END_ALL};
use crate::servers::together;
use crate::store::Core;

/// How many sessions one script ends, so that others get their turn.
const STEP: u32 = 500;

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
        .arg(rotation.map_or(-1, i64::from))
        .replicated();
    let Some(bytes) = answer::bytes(core.servers.ask(ending).await?)? else {
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
        let shards = core.shards(&self.ns);
        let each = shards.iter().map(|shard| self.in_shard(core, shard));
        let ended = together(futures_util::future::join_all(each).await)?;
        Ok(ended.into_iter().sum())
    }

    async fn in_shard(&self, core: &Core, shard: &Shard) -> Result<u64> {
        let (mut ended, mut behind) = (0, None);
        loop {
            let listing = theirs(shard, &self.principal, behind, STEP);
            let places = core.servers.ask(listing).await?;
            let places = place::places(places)?;
            behind = places.last().copied();
            let those = places.iter().filter(|place| Some(place.id) != self.except);
            let those: Vec<Cursor> = those.copied().collect();
            let reason = EndReason::PrincipalRevoked;
            ended += end_all(
                core,
                shard,
                &those,
                &self.principal,
                reason,
                self.after,
                self.now,
            )
            .await?;
            if places.len() < STEP as usize {
                return Ok(ended);
            }
        }
    }
}

/// Ends those of a principal's sessions in a shard that are live and still theirs; says how
/// many.
pub(crate) async fn end_all(
    core: &Core,
    shard: &Shard,
    places: &[Cursor],
    principal: &Principal,
    reason: EndReason,
    after: After,
    now: Timestamp,
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
        .arg(now.as_millis())
        .arg(reason.code())
        .arg(u8::from(after != After::Discard))
        .arg(principal.as_str());
    for place in places {
        ending = ending.arg(&place::bytes(*place));
    }
    answer::count(&core.servers.ask(ending.bulk().replicated()).await?)
}
