//! What every request does: load and touch.

use tenure_store::{Namespace, Record, Result, SessionId, Timestamp};

use crate::answer;
use crate::call::Call;
use crate::keys::Key;
use crate::record::decode;
use crate::scripts::TOUCH;
use crate::store::Core;

/// Reads a live session. Both keys are read at one instant, so it can be judged here.
pub(crate) async fn load(
    core: &Core,
    ns: &Namespace,
    id: SessionId,
    now: Timestamp,
) -> Result<Option<Record>> {
    let shard = core.shard(ns, id);
    let reading = Call::plain("MGET")
        .arg(shard.key(Key::Epoch))
        .arg(shard.key(Key::Record(id)));
    let [epoch, record] = answer::tuple(core.servers.ask(reading).await?)?;
    match (answer::epoch(&epoch)?, answer::bytes(record)?) {
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
