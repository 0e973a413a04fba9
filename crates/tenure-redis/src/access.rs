//! What every request does: load and touch.

use std::sync::Arc;

use tenure_store::{Namespace, Record, Result, SessionId, Timestamp};

use crate::answer;
use crate::call::Call;
use crate::gather::Gather;
use crate::keys::Key;
use crate::record::decode;
use crate::scripts::TOUCH;
use crate::store::Core;

/// Reads a live session. Both keys are read at one instant, so it can be judged here.
///
/// On a Cluster one command is for one shard, and so for one session mostly; there each load
/// goes out by itself.
pub(crate) async fn load(
    core: &Arc<Core>,
    ns: &Namespace,
    id: SessionId,
    now: Timestamp,
) -> Result<Option<Record>> {
    let found = if core.servers.is_cluster() {
        let shard = core.shard(ns, id);
        let reading = Call::plain("MGET")
            .arg(shard.key(Key::Epoch))
            .arg(shard.key(Key::Record(id)));
        let [epoch, record] = answer::tuple(core.servers.ask(reading).await?)?;
        (answer::epoch(&epoch)?, answer::bytes(record)?)
    } else {
        Gather::load(core, ns, id).await?
    };
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
