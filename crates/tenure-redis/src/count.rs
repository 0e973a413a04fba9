//! How many sessions there are.

use futures_util::future::join_all;
use tenure_store::{Counts, Namespace, Result, Timestamp};

use crate::answer;
use crate::call::Call;
use crate::keys::{Key, Shard};
use crate::notes::Notes;
use crate::scripts::{OVER, TALLY};
use crate::store::Core;

/// How many headers one script looks at.
const STEP: u64 = 500;

/// How many sessions there are. Looks at those that ran out and were not reaped, in short steps
/// beside all other calls; and at no instant at all shards together.
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
    let tallying = TALLY.on(shard, keys).arg(now.as_millis()).walking();
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
    let until = now.as_millis().to_string();
    walk(core, shard, Key::Due, &until, None, now, &mut counts).await?;
    counts.live = answer::count(&due)?.saturating_sub(counts.over);
    let notes = Notes::from_value(notes)?;
    for epoch in notes.epochs() {
        let (queue, reset) = (Key::Old(epoch), notes.reset(epoch).unwrap_or(now));
        // Those that had not run out by then ended then, all of them: nothing is looked at.
        let at = reset.as_millis().to_string();
        let ended = within(core, shard, queue, &at, "+inf").await?;
        if ended > 0 {
            counts.over += ended;
            counts.oldest_due = earliest(counts.oldest_due, Some(reset));
        }
        let before = format!("({at}");
        walk(core, shard, queue, &before, Some(reset), now, &mut counts).await?;
    }
    Ok(counts)
}

/// Counts what is over in a queue up to a score.
async fn walk(
    core: &Core,
    shard: &Shard,
    queue: Key,
    until: &str,
    reset: Option<Timestamp>,
    now: Timestamp,
    counts: &mut Counts,
) -> Result<()> {
    let total = within(core, shard, queue, "-inf", until).await?;
    let mut from = 0;
    while from < total {
        let to = total.min(from + STEP);
        let listing = Call::plain("ZRANGE")
            .arg(shard.key(queue))
            .arg(from)
            .arg(to - 1);
        let ids = answer::array(core.servers.ask(listing.walking()).await?)?;
        let ids = ids.iter().map(answer::id).collect::<Result<Vec<_>>>()?;
        let records = ids.iter().map(|id| Key::Record(*id));
        let looking = OVER
            .on(shard, [Key::Epoch].into_iter().chain(records))
            .arg(now.as_millis())
            .arg(reset.map_or(String::new(), |at| at.as_millis().to_string()));
        let [over, first] = answer::tuple::<2>(core.servers.ask(looking.walking()).await?)?;
        counts.over += answer::count(&over)?;
        counts.oldest_due = earliest(counts.oldest_due, answer::maybe_instant(&first)?);
        from = to;
    }
    Ok(())
}

/// How many are in a queue between two scores.
async fn within(core: &Core, shard: &Shard, queue: Key, from: &str, to: &str) -> Result<u64> {
    let counting = Call::plain("ZCOUNT").arg(shard.key(queue));
    let counting = counting.arg(from).arg(to).walking();
    answer::count(&core.servers.ask(counting).await?)
}

fn earliest(one: Option<Timestamp>, other: Option<Timestamp>) -> Option<Timestamp> {
    [one, other].into_iter().flatten().min()
}
