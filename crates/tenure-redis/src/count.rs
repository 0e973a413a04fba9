//! How many sessions there are.

use futures_util::future::join_all;
use tenure_store::{Counts, Namespace, Result, State, Timestamp};

use crate::answer;
use crate::call::Call;
use crate::fetch::{Extent, Fetched, fetch};
use crate::keys::{Key, Shard};
use crate::notes::Notes;
use crate::scripts::TALLY;
use crate::store::Core;

/// How many headers are read at once.
const STEP: usize = 1000;

/// How many sessions there are. Reads the headers of all that are over, and no instant at
/// which all shards are looked at together.
pub(crate) async fn count(core: &Core, ns: &Namespace, now: Timestamp) -> Result<Counts> {
    let shards = core.shards(ns);
    let counting = shards.iter().map(|shard| count_shard(core, shard, now));
    let mut total = Counts::default();
    for counts in join_all(counting).await {
        let counts = counts?;
        total.live += counts.live;
        total.over += counts.over;
        total.waiting += counts.waiting;
        total.held += counts.held;
        total.dead += counts.dead;
        total.oldest_due = earliest(total.oldest_due, counts.oldest_due);
    }
    Ok(total)
}

async fn count_shard(core: &Core, shard: &Shard, now: Timestamp) -> Result<Counts> {
    let keys = [Key::Notes, Key::Due, Key::Waiting, Key::Held, Key::Dead];
    let tallying = TALLY.on(shard, keys).arg(now.as_millis()).bulk();
    let [
        notes,
        due,
        waiting,
        held,
        lapsed,
        dead,
        first_waiting,
        first_held,
    ] = answer::tuple(core.servers.ask(tallying).await?)?;
    let mut counts = Counts {
        live: 0,
        over: 0,
        waiting: answer::count(&waiting)? + answer::count(&lapsed)?,
        held: answer::count(&held)?,
        dead: answer::count(&dead)?,
        oldest_due: None,
    };
    for first in [first_waiting, first_held] {
        let first = answer::maybe_instant(&first)?.filter(|due| *due <= now);
        counts.oldest_due = earliest(counts.oldest_due, first);
    }
    walk(core, shard, Key::Due, now, &mut counts).await?;
    counts.live = answer::count(&due)?.saturating_sub(counts.over);
    for epoch in Notes::from_value(notes)?.epochs() {
        walk(core, shard, Key::Old(epoch), now, &mut counts).await?;
    }
    Ok(counts)
}

/// Counts what is over in a queue.
async fn walk(
    core: &Core,
    shard: &Shard,
    queue: Key,
    now: Timestamp,
    counts: &mut Counts,
) -> Result<()> {
    let until = match queue {
        Key::Due => now.as_millis().to_string(),
        _ => "+inf".to_owned(),
    };
    for step in 0.. {
        let listing = Call::plain("ZRANGEBYSCORE")
            .arg(shard.key(queue))
            .arg("-inf")
            .arg(&until)
            .arg("LIMIT")
            .arg(step * STEP)
            .arg(STEP);
        let ids = answer::array(core.servers.ask(listing.bulk()).await?)?;
        let ids = ids.iter().map(answer::id).collect::<Result<Vec<_>>>()?;
        if ids.is_empty() {
            return Ok(());
        }
        let fetching = fetch(shard, &ids, Extent::Headers).bulk();
        let mut fetched = Fetched::from_value(core.servers.ask(fetching).await?)?;
        for (id, header) in ids.iter().zip(std::mem::take(&mut fetched.records)) {
            let Some(header) = header.filter(|bytes| !bytes.is_empty()) else {
                continue;
            };
            match fetched.entry(*id, header, now) {
                Ok(entry) if matches!(entry.state, State::Over(_)) => counts.add(&entry, now),
                Ok(_) => {}
                Err(error) => tracing::warn!(%error, "a session is left out of a count"),
            }
        }
        if ids.len() < STEP {
            return Ok(());
        }
    }
    Ok(())
}

fn earliest(one: Option<Timestamp>, other: Option<Timestamp>) -> Option<Timestamp> {
    [one, other].into_iter().flatten().min()
}
