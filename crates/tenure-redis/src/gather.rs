//! Loads that wait together go out together: one `MGET` for all of them, for which client and
//! server do less than for one each.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tenure_store::{Error, Namespace, Result, SessionId};
use tokio::runtime::Handle;
use tokio::sync::oneshot;
use tokio::task::yield_now;
use tokio::time::timeout;

use crate::answer;
use crate::call::Call;
use crate::keys::{self, Key, Shard};
use crate::store::Core;

/// How many commands are on their way at once. While there are as many, loads wait for each
/// other; nobody waits who is alone.
const FLIGHTS: usize = 2;
/// How many loads one command is for, so that no answer gets very large.
const MOST: usize = 64;

/// What is stored of a session: its shard's epoch, and its record.
pub(crate) type Found = (Option<u64>, Option<Vec<u8>>);

/// The loads that wait.
#[derive(Default)]
pub(crate) struct Gather(Mutex<State>);

#[derive(Default)]
struct State {
    waiting: Vec<Load>,
    flights: usize,
}

struct Load {
    ns: Namespace,
    id: SessionId,
    caller: oneshot::Sender<Result<Found>>,
}

impl Gather {
    /// What is stored of a session, read at one instant.
    pub(crate) async fn load(core: &Arc<Core>, ns: &Namespace, id: SessionId) -> Result<Found> {
        let (caller, answer) = oneshot::channel();
        let ns = ns.clone();
        let load = Load { ns, id, caller };
        if let Some(load) = core.loads.join(load) {
            let _flight = Flight(core);
            let found = read(core, &[load]).await?.pop();
            return found.ok_or_else(answer::unexpected)?;
        }
        match timeout(core.servers.deadline, answer).await {
            Ok(Ok(found)) => found,
            Ok(Err(_)) => Err(Error::unavailable("the store stopped before its answer")),
            Err(_) => Err(core.servers.late()),
        }
    }

    /// Takes the load, or gives it back: then there is room for one more flight, and it is the
    /// caller's own.
    fn join(&self, load: Load) -> Option<Load> {
        let mut state = self.state();
        if state.flights < FLIGHTS {
            state.flights += 1;
            return Some(load);
        }
        state.waiting.push(load);
        None
    }

    /// Those that waited longest; none, and one flight less, if nobody waits.
    fn take(&self) -> Vec<Load> {
        let mut state = self.state();
        // Whoever has gone meanwhile wants no answer.
        state.waiting.retain(|load| !load.caller.is_closed());
        let count = state.waiting.len().min(MOST);
        if count == 0 {
            state.flights -= 1;
        }
        state.waiting.drain(..count).collect()
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A caller's own flight. Whether it ends or is given up, those that waited meanwhile go next.
struct Flight<'a>(&'a Arc<Core>);

impl Drop for Flight<'_> {
    fn drop(&mut self) {
        let loads = self.0.loads.take();
        if loads.is_empty() {
            return;
        }
        match Handle::try_current() {
            Ok(runtime) => drop(runtime.spawn(fly(Arc::clone(self.0), loads))),
            // Their callers are going down with it too.
            Err(_) => self.0.loads.state().flights -= 1,
        }
    }
}

/// Brings these, and then what waits, until nothing does.
async fn fly(core: Arc<Core>, mut loads: Vec<Load>) {
    while !loads.is_empty() {
        match read(&core, &loads).await {
            Ok(found) => {
                for (load, found) in loads.into_iter().zip(found) {
                    // A caller that has gone meanwhile does not want it.
                    let _ = load.caller.send(found);
                }
            }
            Err(error) => {
                let error = Arc::new(error);
                for load in loads {
                    let shared = Error::new(error.kind(), "it failed together with others");
                    let _ = load
                        .caller
                        .send(Err(shared.with_source(Arc::clone(&error))));
                }
            }
        }
        // Those that have just been answered may ask again, and go with the others then.
        yield_now().await;
        loads = core.loads.take();
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
