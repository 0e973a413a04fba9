//! What operators see. Nothing here writes.

use std::collections::BTreeMap;

use tenure_store::{Cursor, Entry, Filter, Namespace, Page, Result, SessionId, Status, Timestamp};

use crate::answer;
use crate::call::Call;
use crate::fetch::{Extent, Fetched, fetch};
use crate::keys::{self, Key, Shard};
use crate::place::{places, range};
use crate::record::decode;
use crate::store::Core;

/// A page holds at most so many entries, and about as many bytes.
const MAX_ENTRIES: u32 = 1000;
const MAX_BYTES: usize = 8 << 20;
/// Of a queue with no more in a shard, all are looked at.
const FEW: usize = 500;

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
    let shards = core.shards(ns);
    let (mut looked_at, mut is_whole) = match queued(core, &shards, filter, now).await? {
        Some(all) => (all, true),
        None => range_of_all(core, &shards, filter, limit).await?,
    };
    is_whole &= looked_at.len() <= limit as usize;
    looked_at.truncate(limit as usize);

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
        fetch(shard, ids, Extent::Whole(bytes)).walking()
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

/// The next sessions in order, whatever became of them; and whether those are the last.
async fn range_of_all(
    core: &Core,
    shards: &[Shard],
    filter: &Filter,
    limit: u32,
) -> Result<(Vec<Cursor>, bool)> {
    // Sessions are spread evenly: twice each shard's share is nearly always enough.
    let share = limit.min(limit / 8 + 16);
    let listing = shards
        .iter()
        .map(|shard| range(shard, filter, share).walking());
    let mut looked_at: Vec<Cursor> = Vec::new();
    let mut horizon: Option<Cursor> = None;
    for answer in core.servers.ask_all(listing).await? {
        let places = places(answer)?;
        // What nobody has seen comes behind the last that was.
        if let Some(last) = places.last().filter(|_| places.len() >= share as usize) {
            horizon = Some(horizon.map_or(*last, |horizon| horizon.min(*last)));
        }
        looked_at.extend(places);
    }
    looked_at.sort_unstable();
    looked_at.retain(|place| horizon.is_none_or(|horizon| *place <= horizon));
    Ok((looked_at, horizon.is_none()))
}

/// The next sessions in order of a status that has queues of its own, all that there are, if
/// they are few: else a look at the sessions in order finds some soon.
async fn queued(
    core: &Core,
    shards: &[Shard],
    filter: &Filter,
    now: Timestamp,
) -> Result<Option<Vec<Cursor>>> {
    let (now_on, lapsed) = (format!("({}", now.as_millis()), now.as_millis().to_string());
    let queues: &[(Key, &str, &str)] = match filter.status {
        Some(Status::Waiting) => &[(Key::Waiting, "-inf", "+inf"), (Key::Held, "-inf", &lapsed)],
        Some(Status::Held) => &[(Key::Held, &now_on, "+inf")],
        Some(Status::Dead) => &[(Key::Dead, "-inf", "+inf")],
        _ => return Ok(None),
    };
    let each = shards
        .iter()
        .flat_map(|shard| queues.iter().map(move |queue| (shard, queue)));
    let each: Vec<_> = each.collect();
    let listing = each.iter().map(|(shard, (queue, from, to))| {
        let listing = Call::plain("ZRANGEBYSCORE").arg(shard.key(*queue));
        let listing = listing.arg(*from).arg(*to).arg("LIMIT").arg(0);
        listing.arg(FEW + 1).walking()
    });
    let mut found: Vec<(&Shard, Vec<SessionId>)> = Vec::new();
    for ((shard, _), answer) in each.iter().zip(core.servers.ask_all(listing).await?) {
        let ids = answer::array(answer)?;
        let ids = ids.iter().map(answer::id).collect::<Result<Vec<_>>>()?;
        if ids.len() > FEW {
            return Ok(None);
        }
        if !ids.is_empty() {
            found.push((shard, ids));
        }
    }
    let fetching = found
        .iter()
        .map(|(shard, ids)| fetch(shard, ids, Extent::Headers).walking());
    let answers = core.servers.ask_all(fetching).await?;
    let mut all = Vec::new();
    for ((_, ids), answer) in found.iter().zip(answers) {
        let headers = Fetched::from_value(answer)?.records;
        for (id, header) in ids.iter().zip(headers) {
            let header = header.filter(|header| !header.is_empty());
            // What cannot be read is left out, as everywhere in a list.
            let record = header.and_then(|header| decode(*id, header).ok());
            all.extend(record.map(|stored| Cursor::of(&stored.record)));
        }
    }
    all.retain(|place| {
        filter.created.contains(&place.created) && filter.after.is_none_or(|after| *place > after)
    });
    all.sort_unstable();
    all.dedup();
    Ok(Some(all))
}
