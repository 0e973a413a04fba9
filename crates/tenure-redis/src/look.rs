//! What operators see. Nothing here writes.

use std::collections::BTreeMap;

use deadpool_redis::redis::Value;
use futures_util::future::join_all;
use tenure_store::{
    Counts, Cursor, Entry, Filter, Namespace, Page, Principal, Result, SessionId, State, Timestamp,
};

use crate::answer;
use crate::call::Call;
use crate::keys::{self, Key, Shard};
use crate::notes::Notes;
use crate::record::{HEADER, decode};
use crate::scripts::{FETCH, TALLY};
use crate::store::Core;

/// A page holds at most so many entries, and about as many bytes.
const MAX_ENTRIES: u32 = 1000;
const MAX_BYTES: usize = 8 << 20;

/// How many headers a count reads at once.
const STEP: usize = 1000;

/// One session, whatever became of it.
pub(crate) async fn inspect(
    core: &Core,
    ns: &Namespace,
    id: SessionId,
    now: Timestamp,
) -> Result<Option<Entry>> {
    let shard = core.shard(ns, id);
    let fetching = fetch(&shard, &[id], Extent::Whole(usize::MAX));
    let mut fetched = Fetched::from_value(core.servers.ask(fetching).await?)?;
    let record = fetched.records.pop();
    match record.flatten().filter(|bytes| !bytes.is_empty()) {
        Some(bytes) => fetched.entry(id, bytes, now).map(Some),
        None => Ok(None),
    }
}

/// A page of sessions.
pub(crate) async fn list(
    core: &Core,
    ns: &Namespace,
    filter: &Filter,
    now: Timestamp,
) -> Result<Page> {
    let limit = filter.limit.min(MAX_ENTRIES);
    // Sessions are spread evenly: twice each shard's share is nearly always enough.
    let share = limit.min(limit / 8 + 16);
    let shards = core.shards(ns);
    let listing = shards
        .iter()
        .map(|shard| range(shard, filter, share).bulk());
    let mut looked_at: Vec<Cursor> = Vec::new();
    let mut horizon: Option<Cursor> = None;
    for answer in core.servers.ask_all(listing).await? {
        let places = answer::places(answer)?;
        // What nobody has seen comes behind the last that was.
        if let Some(last) = places.last().filter(|_| places.len() >= share as usize) {
            horizon = Some(horizon.map_or(*last, |horizon| horizon.min(*last)));
        }
        looked_at.extend(places);
    }
    looked_at.sort_unstable();
    let seen = looked_at.partition_point(|place| horizon.is_none_or(|horizon| *place <= horizon));
    let mut is_whole = horizon.is_none() && looked_at.len() <= limit as usize;
    looked_at.truncate(seen.min(limit as usize));

    let mut by_shard: BTreeMap<u8, Vec<SessionId>> = BTreeMap::new();
    for place in &looked_at {
        by_shard
            .entry(keys::number(place.id))
            .or_default()
            .push(place.id);
    }
    let bytes = MAX_BYTES / by_shard.len().max(1);
    let fetching = by_shard.iter().map(|(number, ids)| {
        let shard = &shards[usize::from(*number)];
        fetch(shard, ids, Extent::Whole(bytes)).bulk()
    });
    let answers = core.servers.ask_all(fetching).await?;
    let mut fetched = BTreeMap::new();
    for (number, answer) in by_shard.into_keys().zip(answers) {
        let mut found = Fetched::from_value(answer)?;
        found.records.reverse();
        fetched.insert(number, found);
    }

    let mut page = Page {
        entries: Vec::new(),
        next: None,
    };
    for place in looked_at {
        let found = fetched.get_mut(&keys::number(place.id));
        let Some((found, Some(bytes))) = found.and_then(|found| {
            let record = found.records.pop()?;
            Some((found, record))
        }) else {
            // There was no room for it, nor then for what comes after it.
            is_whole = false;
            break;
        };
        page.next = Some(place);
        if bytes.is_empty() {
            continue;
        }
        match found.entry(place.id, bytes, now) {
            Ok(entry) if filter.matches(&entry, now) => page.entries.push(entry),
            Ok(_) => {}
            // One damaged record must not hide the others.
            Err(error) => tracing::warn!(%error, "a session is left out of a list"),
        }
    }
    if is_whole {
        page.next = None;
    }
    Ok(page)
}

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

/// A principal's next places in a shard.
pub(crate) fn theirs(
    shard: &Shard,
    principal: &Principal,
    behind: Option<Cursor>,
    limit: u32,
) -> Call {
    let mut filter = Filter::all(limit);
    filter.principal = Some(principal.clone());
    filter.after = behind;
    // The very last instant is in it too.
    let end = [0xff; 24];
    between(shard, &filter, &end, limit).bulk()
}

/// The next places in a shard that a filter may let pass.
fn range(shard: &Shard, filter: &Filter, limit: u32) -> Call {
    let id = SessionId::from_bytes([0; 16]);
    let created = filter.created.end;
    let end = answer::place_bytes(Cursor { created, id });
    between(shard, filter, &end[..8], limit)
}

/// The next places in a shard before an end.
fn between(shard: &Shard, filter: &Filter, end: &[u8], limit: u32) -> Call {
    let (key, name) = match &filter.principal {
        Some(principal) => (
            Key::Principals,
            [principal.as_str().as_bytes(), b"\0"].concat(),
        ),
        None => (Key::Created, Vec::new()),
    };
    let id = SessionId::from_bytes([0; 16]);
    let created = filter.created.start;
    // Nothing sorts before a place's first eight bytes but what is created earlier.
    let start = [
        b"[",
        &name[..],
        &answer::place_bytes(Cursor { created, id })[..8],
    ]
    .concat();
    let start = match filter.after.filter(|after| after.created >= created) {
        Some(after) => [b"(", &name[..], &answer::place_bytes(after)].concat(),
        None => start,
    };
    Call::plain("ZRANGEBYLEX")
        .arg(shard.key(key))
        .arg(start)
        .arg([b"(", &name[..], end].concat())
        .arg("LIMIT")
        .arg(0)
        .arg(limit)
}

/// How much of each record is wanted.
enum Extent {
    /// All of it, until that is more than so many bytes.
    Whole(usize),
    Headers,
}

fn fetch(shard: &Shard, ids: &[SessionId], extent: Extent) -> Call {
    let records = ids.iter().map(|id| Key::Record(*id));
    let keys = [Key::Epoch, Key::Notes].into_iter().chain(records);
    let call = FETCH.on(shard, keys);
    match extent {
        Extent::Whole(bytes) => call.arg(-1).arg(bytes),
        Extent::Headers => call.arg(HEADER - 1).arg(usize::MAX),
    }
}

/// Records of a shard, and what is needed to judge them.
struct Fetched {
    epoch: u64,
    notes: Notes,
    /// Empty where there is none; `None` where there was no room.
    records: Vec<Option<Vec<u8>>>,
}

impl Fetched {
    fn from_value(value: Value) -> Result<Self> {
        let [epoch, notes, records] = answer::tuple(value)?;
        let records = answer::array(records)?.into_iter().map(answer::bytes);
        Ok(Self {
            epoch: answer::epoch(&epoch)?.unwrap_or_default(),
            notes: Notes::from_value(notes)?,
            records: records.collect::<Result<_>>()?,
        })
    }

    fn entry(&self, id: SessionId, bytes: Vec<u8>, now: Timestamp) -> Result<Entry> {
        Ok(decode(id, bytes)?.entry(self.epoch, &self.notes, now))
    }
}

fn earliest(one: Option<Timestamp>, other: Option<Timestamp>) -> Option<Timestamp> {
    [one, other].into_iter().flatten().min()
}
