//! What every request does: load and touch.

use std::sync::Arc;

use tenure_store::{Namespace, Record, Result, SessionId, Timestamp};

use crate::answer;
use crate::call::Call;
use crate::gather::{self, Found};
use crate::keys::Key;
use crate::queue::Seat;
use crate::record::decode;
use crate::scripts::TOUCH;
use crate::store::Core;

/// Reads a live session. Both keys are read at one instant, so it can be judged here.
pub(crate) async fn load(
    core: &Arc<Core>,
    seat: Seat,
    ns: &Namespace,
    id: SessionId,
    now: Timestamp,
) -> Result<Option<Record>> {
    judge(id, gather::load(core, seat, ns, id).await?, now)
}

/// The same by a command of its own.
pub(crate) async fn load_alone(
    core: &Core,
    ns: &Namespace,
    id: SessionId,
    now: Timestamp,
) -> Result<Option<Record>> {
    let shard = core.shard(ns, id);
    let keys = [shard.key(Key::Epoch), shard.key(Key::Record(id))];
    let reading = Call::on_keys("MGET", &keys);
    let [epoch, record] = answer::tuple(core.servers.ask(reading).await?)?;
    judge(id, (answer::epoch(&epoch)?, answer::bytes(record)?), now)
}

fn judge(id: SessionId, found: Found, now: Timestamp) -> Result<Option<Record>> {
    match found {
        (Some(epoch), Some(record)) => Ok(decode(id, record)?.live(epoch, now)),
        _ => Ok(None),
    }
}

/// Notes an access to a live session.
pub(crate) async fn touch(
    core: &Core,
    ns: &Namespace,
    id: SessionId,
    now: Timestamp,
) -> Result<bool> {
    let touching = TOUCH
        .on(&core.shard(ns, id), [Key::Epoch, Key::Record(id)])
        .arg(now.as_millis());
    Ok(answer::number(&core.servers.ask(touching).await?)? == 1)
}
