//! What operators see. Nothing here writes.

use std::collections::BTreeMap;

use tenure_store::{Cursor, Entry, Filter, Namespace, Page, Result, SessionId, Timestamp};

use crate::fetch::{Extent, Fetched, fetch};
use crate::keys;
use crate::place::{places, range};
use crate::store::Core;

/// A page holds at most so many entries, and about as many bytes.
const MAX_ENTRIES: u32 = 1000;
const MAX_BYTES: usize = 8 << 20;

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
        let places = places(answer)?;
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
