//! Faults of creating, loading, touching, changing and importing.

use tenure_store::{
    Access, Change, Created, Entry, Epoch, Hooks, Imported, Payload, Record, Result, SessionId,
    State, Updated, Version,
};

use crate::call::{Call, before};
use crate::faults::Fault;

pub(crate) async fn create(call: &Call<'_>, record: &Record) -> Result<Created> {
    let mut record = record.clone();
    match call.fault {
        Fault::UpsertsOnCreate => call.remove(record.id).await?,
        Fault::CreatesUnopened => call.good.open(&call.ns, Hooks::Unstated).await?,
        Fault::DropsLastByte => record.payload = clipped(&record.payload),
        _ => {}
    }
    call.good.create(&call.ns, &record, call.now).await
}

pub(crate) async fn load(call: &Call<'_>, id: SessionId) -> Result<Option<Record>> {
    match call.fault {
        Fault::HonoursAtTheEnd => return call.at(before(call.now)).load(id).await,
        Fault::LoadIsAnAccess => {
            call.touch(id).await?;
        }
        Fault::LoadsTheEnded | Fault::DeletesOnExpiredLoad => {
            match (call.fault, call.inspect(id).await?) {
                (Fault::LoadsTheEnded, Some(Entry { record, state })) => {
                    return Ok((!matches!(state, State::Over(_))).then_some(record));
                }
                (
                    _,
                    Some(Entry {
                        state: State::Over(_),
                        ..
                    }),
                ) => call.remove(id).await?,
                _ => {}
            }
        }
        _ => {}
    }
    call.load(id).await
}

pub(crate) async fn touch(call: &Call<'_>, id: SessionId) -> Result<bool> {
    let Some(Entry { record: old, .. }) = call.inspect(id).await? else {
        return call.touch(id).await;
    };
    // A session that ran out is touched while it still could be, then used now.
    let then = match call.fault {
        Fault::TouchRevives => call.at(call.in_time(&old)),
        _ => call.at(call.now),
    };
    let touched = then.touch(id).await?;
    let mend = |new: &mut Record| match call.fault {
        Fault::TouchRevives => new.last_access = old.last_access.max(call.now),
        Fault::TouchMovesBack => new.last_access = call.now,
        Fault::TouchKeepsLeave => new.leaves_at = old.leaves_at,
        Fault::TouchCountsNothing => new.accesses = old.accesses,
        Fault::TouchMakesVersion => new.version = Version::new(!old.version.get()),
        _ => {}
    };
    if matches!(
        call.fault,
        Fault::TouchRevives
            | Fault::TouchMovesBack
            | Fault::TouchKeepsLeave
            | Fault::TouchCountsNothing
            | Fault::TouchMakesVersion
    ) {
        then.rewrite(id, mend).await?;
    }
    Ok(touched)
}

pub(crate) async fn update(
    call: &Call<'_>,
    id: SessionId,
    mut expected: Version,
    change: &Change,
) -> Result<Updated> {
    let mut change = change.clone();
    let mut now = call.now;
    match call.fault {
        Fault::IgnoresVersion => {
            let loaded = call.load(id).await?;
            expected = loaded.map_or(expected, |record| record.version);
        }
        Fault::LengtheningRevives => {
            let entry = call.inspect(id).await?;
            now = entry.map_or(now, |entry| call.in_time(&entry.record));
        }
        Fault::PassiveCounts => change.access = Access::Counts,
        Fault::DropsLastByte => change.payload = change.payload.as_ref().map(clipped),
        _ => {}
    }
    let good = call.good;
    let updated = good.update(&call.ns, id, expected, &change, now).await?;
    match (call.fault, updated) {
        (Fault::ChangedForGone, Updated::Gone) => Ok(Updated::Changed),
        (Fault::UpsertsOnUpdate, Updated::Gone) => revive(call, id, &change).await,
        _ => Ok(updated),
    }
}

pub(crate) async fn import(call: &Call<'_>, entry: &Entry, epoch: Epoch) -> Result<Imported> {
    let Entry {
        mut record,
        mut state,
    } = entry.clone();
    match (call.fault, &state) {
        (Fault::ImportOverwrites, _) => call.remove(record.id).await?,
        (Fault::ImportRevives, State::Over(_)) => state = State::Live,
        (Fault::ImportResetsTimes, _) => {
            record.created = call.now;
            record.last_access = call.now;
        }
        (Fault::ImportsAcrossResets, _) => return call.import(record, state).await,
        (Fault::ImportDistrustsTheEnded, State::Over(_) | State::Ended(_)) => {
            let present = call.good.epoch(&call.ns, record.id).await?;
            if present != epoch && call.inspect(record.id).await?.is_none() {
                return Ok(Imported::Reset);
            }
        }
        _ => {}
    }
    let entry = Entry { record, state };
    call.good.import(&call.ns, &entry, epoch, call.now).await
}

/// Changes what has ended, and makes it live again.
async fn revive(call: &Call<'_>, id: SessionId, change: &Change) -> Result<Updated> {
    let Some(Entry { mut record, .. }) = call.inspect(id).await? else {
        return Ok(Updated::Gone);
    };
    call.remove(id).await?;
    change.apply_to(&mut record, call.now);
    let _ = call.import(record, State::Live).await?;
    Ok(Updated::Done)
}

fn clipped(payload: &Payload) -> Payload {
    let bytes = payload.as_bytes();
    Payload::new(bytes[..bytes.len().saturating_sub(1)].to_vec())
}
