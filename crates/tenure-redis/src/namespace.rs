//! All sessions of a namespace: opened, reset.

use deadpool_redis::redis::Value;
use futures_util::future::join_all;
use tenure_store::{Epoch, Error, Hooks, Namespace, Result, SessionId, Timestamp};

use crate::answer::{self, unexpected};
use crate::call::Call;
use crate::keys::{self, Key};
use crate::replicas::Trail;
use crate::scripts::{OPEN, REGISTER, RESET};
use crate::servers::together;
use crate::store::Core;

/// Makes a namespace known. The list of namespaces comes first, and decides: whatever can
/// hold sessions is listed, two opens at once leave all shards with the later one's word,
/// and one that failed halfway is completed by the next.
///
/// Should the list have lost its latest word, in a fail-over, shards have a newer one. Then the
/// list takes over that, or goes beyond it with this caller's own.
pub(crate) async fn open(core: &Core, ns: &Namespace, hooks: Hooks) -> Result<()> {
    let word = match hooks {
        Hooks::Expected => Some(1),
        Hooks::Unstated => None,
        Hooks::Withdrawn => Some(0),
    };
    let shards = core.shards(ns);
    let (mut newest, mut floor) = (None, 0);
    loop {
        let said = word.or(newest);
        let registering = REGISTER
            .on_key(keys::namespaces(&core.prefix))
            .arg(keys::field(ns))
            .arg(said.map_or(String::new(), |word| word.to_string()))
            .arg(floor);
        let [hooks, stamp] = answer::tuple(core.servers.ask(registering).await?)?;
        let (hooks, stamp) = (answer::number(&hooks)?, answer::number(&stamp)?);
        let opening = shards.iter().map(|shard| {
            let keys = [Key::Epoch, Key::Notes];
            OPEN.on(shard, keys).arg(hooks).arg(stamp).bulk()
        });
        floor = 0;
        for answer in core.servers.ask_all(opening).await? {
            let [theirs, its_stamp] = answer::tuple(answer)?;
            let (theirs, its_stamp) = (answer::number(&theirs)?, answer::number(&its_stamp)?);
            let is_newer = its_stamp > stamp || its_stamp == stamp && theirs != hooks;
            if is_newer && its_stamp > floor {
                (newest, floor) = (Some(theirs), its_stamp);
            }
        }
        if floor == 0 {
            return Ok(());
        }
    }
}

/// Begins every shard's next epoch, which ends every session of the present one.
///
/// No order among the shards is needed: a session is judged by its own shard's epoch alone.
/// A shard whose epoch is no longer the one that was read here was reset by somebody else
/// since this call began: what this call promises has happened there.
pub(crate) async fn reset(core: &Core, ns: &Namespace, now: Timestamp) -> Result<()> {
    let shards = core.shards(ns);
    let reading = shards.iter().map(|shard| epoch_call(shard).bulk());
    let mut resetting = Vec::with_capacity(shards.len());
    for (shard, epoch) in shards.iter().zip(core.servers.ask_all(reading).await?) {
        let epoch = answer::epoch(&epoch)?.ok_or_else(|| Error::not_opened(ns))?;
        let keys = [Key::Epoch, Key::Notes, Key::Due, Key::Old(epoch)];
        resetting.push(RESET.on(shard, keys).arg(epoch).arg(now.as_millis()));
    }
    let trail = Trail::new();
    let resetting = resetting
        .into_iter()
        .map(|call| core.servers.ask_to_end(call.bulk(), &trail));
    for answer in together(join_all(resetting).await)? {
        match answer {
            Value::Int(0 | 1) => {}
            Value::Int(-1) => return Err(Error::not_opened(ns)),
            _ => return Err(unexpected()),
        }
    }
    core.servers.replicated(trail).await
}

/// The present epoch of the shard in which a session of this id lies.
pub(crate) async fn epoch(core: &Core, ns: &Namespace, id: SessionId) -> Result<Epoch> {
    let reading = epoch_call(&core.shard(ns, id));
    let epoch = answer::epoch(&core.servers.ask(reading).await?)?;
    epoch.map(Epoch::new).ok_or_else(|| Error::not_opened(ns))
}

/// All namespaces, in order.
pub(crate) async fn namespaces(core: &Core) -> Result<Vec<Namespace>> {
    let reading = Call::plain("HKEYS").arg(keys::namespaces(&core.prefix));
    let fields = answer::array(core.servers.ask(reading.bulk()).await?)?;
    let mut namespaces = fields
        .iter()
        .map(|field| keys::namespace(answer::text(field)?).ok_or_else(unexpected))
        .collect::<Result<Vec<_>>>()?;
    namespaces.sort_unstable();
    Ok(namespaces)
}

fn epoch_call(shard: &keys::Shard) -> Call {
    Call::plain("GET").arg(shard.key(Key::Epoch))
}
