//! Loads that wait together go out together: one `MGET` for all of them, for which client and
//! server do less than for one each.

use std::sync::Arc;

use tenure_store::{Error, Namespace, Result, SessionId};
use tokio::sync::oneshot;
use tokio::task::yield_now;
use tokio::time::timeout;

use crate::answer;
use crate::call::Call;
use crate::joint::{Flight, Joint};
use crate::keys::{self, Key, Shard};
use crate::queue::Seat;
use crate::runtimes::PerRuntime;
use crate::store::Core;

/// How many commands are on their way at once. While there are as many, loads wait for each
/// other; a load that is alone waits for none.
const FLIGHTS: usize = 2;
/// How many loads one command is for, so that no answer gets very large.
const MOST: usize = 64;

/// What is stored of a session: its shard's epoch, and its record.
pub(crate) type Found = (Option<u64>, Option<Vec<u8>>);

/// The loads that wait, each for those of its runtime.
pub(crate) type Gather = PerRuntime<Joint<Load>>;

pub(crate) struct Load {
    ns: Namespace,
    id: SessionId,
    caller: oneshot::Sender<Result<Found>>,
    _seat: Seat,
}

/// What is stored of a session, read at one instant.
pub(crate) async fn load(
    core: &Arc<Core>,
    seat: Seat,
    ns: &Namespace,
    id: SessionId,
) -> Result<Found> {
    let (caller, answer) = oneshot::channel();
    let load = Load {
        ns: ns.clone(),
        id,
        caller,
        _seat: seat,
    };
    // A task serves it, so that a caller that is slow to look for its answer is in the way of
    // no other.
    if let Some(flight) = core.loads.here().join(load, FLIGHTS) {
        tokio::spawn(fly(Arc::clone(core), flight));
    }
    // The flight itself has the deadline; this is for a load that waited for one before.
    let patience = core.servers.deadline + core.servers.deadline / 16;
    match timeout(patience, answer).await {
        Ok(Ok(found)) => found,
        Ok(Err(_)) => Err(Error::unavailable("the store stopped before its answer")),
        Err(_) => Err(core.servers.late()),
    }
}

/// Brings what waits, until nothing does.
async fn fly(core: Arc<Core>, mut flight: Flight<Load>) {
    // A caller that has gone wants no answer.
    while let Some(loads) = flight.take(MOST, |load| !load.caller.is_closed()) {
        match read(&core, &loads).await {
            Ok(found) => {
                for (load, found) in loads.into_iter().zip(found) {
                    let _ = load.caller.send(found);
                }
            }
            Err(error) => fail(loads, error),
        }
        // Those that have just been answered may ask again, and go with the others then.
        yield_now().await;
    }
}

fn fail(mut loads: Vec<Load>, error: Error) {
    if loads.len() == 1 {
        if let Some(load) = loads.pop() {
            let _ = load.caller.send(Err(error));
        }
        return;
    }
    let error = Arc::new(error);
    for load in loads {
        let shared = Error::new(error.kind(), "it failed together with others");
        let shared = shared.with_source(Arc::clone(&error));
        let _ = load.caller.send(Err(shared));
    }
}

/// What is stored of each, all read at one instant.
async fn read(core: &Core, loads: &[Load]) -> Result<Vec<Result<Found>>> {
    // Many sessions share few shards: what those are called is worked out once.
    let mut shards: Vec<(&Namespace, u8, Shard)> = Vec::new();
    let mut places = Vec::with_capacity(loads.len());
    for Load { ns, id, .. } in loads {
        let number = keys::number(*id);
        let mut known = shards.iter();
        let place = known.position(|(other, of, _)| *of == number && *other == ns);
        places.push(place.unwrap_or(shards.len()));
        if place.is_none() {
            shards.push((ns, number, core.shard(ns, *id)));
        }
    }
    let count = shards.len();
    let epochs = shards.iter().map(|(_, _, shard)| shard.key(Key::Epoch));
    let records = places.iter().zip(loads);
    let records = records.map(|(&place, load)| shards[place].2.key(Key::Record(load.id)));
    let keys: Vec<_> = epochs.chain(records).collect();
    let reading = Call::on_keys("MGET", &keys);
    let mut epochs = answer::array(core.servers.ask(reading).await?)?;
    if epochs.len() != count + loads.len() {
        return Err(answer::unexpected());
    }
    let records = epochs.split_off(count);
    let found = places.into_iter().zip(records).map(|(place, record)| {
        let epoch = answer::epoch(&epochs[place])?;
        Ok((epoch, answer::bytes(record)?))
    });
    Ok(found.collect())
}
