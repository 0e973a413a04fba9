//! O: entries that come from another store.

use tenure_store::{
    After, End, EndReason, Entry, ErrorKind, Filter, Imported, Outcome, Phase, State, Tombstone,
};

use crate::props::{
    HOUR, IDLE, LEASE, LEASE_MILLIS, at, endless, failure, id, principal, record, record_of,
    timeout, version,
};
use crate::story::{Story, both};
use crate::{Stage, Verdict};

pub(super) fn live(number: u64) -> Entry {
    Entry {
        record: record(number),
        state: State::Live,
    }
}

/// A dead letter after three attempts, and one more that is held.
pub(super) fn tombstones() -> [Tombstone; 3] {
    let end = End {
        reason: EndReason::Administrator,
        at: at(-HOUR),
    };
    let mut waiting = Tombstone::new(end);
    for attempt in 0..3 {
        let now = at(attempt - 100);
        waiting.claim(LEASE, now);
        let why = failure("no route");
        waiting.settle(&Outcome::Retry { at: at(50), why }, now);
    }
    let mut held = waiting.clone();
    held.claim(LEASE, at(0));
    let mut dead = held.clone();
    dead.settle(
        &Outcome::Dead {
            why: failure("no route"),
        },
        at(1),
    );
    [waiting, held, dead]
}

/// A live session is live, with the times, the counts and the version that it had, and
/// runs out when it would have.
pub async fn an_imported_session_lives_on(stage: &Stage) -> Verdict {
    let ns = stage.portal();
    let mut entry = live(1);
    entry.record = record_of(1, "alice");
    entry.record.accesses = 77;
    entry.record.last_access = at(HOUR);
    entry.record.leaves_at = Some(at(HOUR + 5));
    assert_eq!(stage.bring(ns, &entry, at(HOUR + 1)).await?, Imported::Done);
    assert_eq!(stage.entry(ns, id(1), at(HOUR + 2)).await?, entry);
    let loaded = stage.other().load(ns, id(1), at(HOUR + 2)).await?;
    assert_eq!(loaded.as_ref(), Some(&entry.record));
    assert_eq!(stage.load(ns, id(1), at(HOUR + 5)).await?, None);

    assert!(stage.touch(ns, id(1), at(HOUR + 4)).await?);
    let mut filter = Filter::all(10);
    filter.principal = Some(principal("alice"));
    assert_eq!(stage.scan(ns, &filter, at(HOUR + 4)).await?.len(), 1);
    let ended = stage.claim_one(ns, at(HOUR + 4 + IDLE)).await?;
    assert_eq!(ended.tombstone.end.at, at(HOUR + 4 + IDLE));
    Ok(())
}

/// Waiting, held or dead: times, attempts, failures and version stay, and so does what
/// can be done with it.
pub async fn an_imported_tombstone_is_what_it_was(stage: &Stage) -> Verdict {
    let ns = stage.portal();
    for (number, tombstone) in (1..).zip(tombstones()) {
        let entry = Entry {
            record: record_of(number, "alice"),
            state: State::Ended(tombstone),
        };
        assert_eq!(stage.bring(ns, &entry, at(2)).await?, Imported::Done);
        assert_eq!(stage.other().entry(ns, id(number), at(3)).await?, entry);
        assert_eq!(stage.load(ns, id(number), at(3)).await?, None);
        assert!(!stage.touch(ns, id(number), at(3)).await?);
    }
    assert_eq!(
        stage.claim_all(ns, at(49)).await?,
        [],
        "backing off, held, dead"
    );
    let waiting = stage.claim_one(ns, at(50)).await?;
    assert_eq!((waiting.record.id, waiting.tombstone.claims), (id(1), 4));
    assert!(
        stage
            .settle_one(ns, waiting.ticket(), Outcome::Done, at(50))
            .await?
    );
    let held = stage.claim_one(ns, at(LEASE_MILLIS)).await?;
    assert_eq!((held.record.id, held.tombstone.claims), (id(2), 5));
    assert_eq!((held.tombstone.failures, held.tombstone.unsettled), (3, 2));
    assert_eq!(stage.count(ns, at(LEASE_MILLIS)).await?.dead, 1);
    Ok(())
}

/// Its times may say that it is live: it was reset, and comes to the reapers with the
/// reason and the instant that it had.
pub async fn an_imported_session_that_was_over_stays_over(stage: &Stage) -> Verdict {
    let ns = stage.portal();
    let reset = End {
        reason: EndReason::ApplicationReset,
        at: at(5),
    };
    let idle = End {
        reason: EndReason::IdleTimeout,
        at: at(3),
    };
    for (number, end) in [(1, reset), (2, idle)] {
        let entry = Entry {
            record: endless(number),
            state: State::Over(end),
        };
        assert_eq!(stage.bring(ns, &entry, at(6)).await?, Imported::Done);
        assert_eq!(stage.load(ns, id(number), at(6)).await?, None);
        assert_eq!(
            stage.load(ns, id(number), at(1)).await?,
            None,
            "on no clock"
        );
        let State::Ended(tombstone) = stage.entry(ns, id(number), at(6)).await?.state else {
            panic!("it is a tombstone now");
        };
        assert_eq!(tombstone, Tombstone::new(end));
    }
    let ended = stage.reap(ns, at(6)).await?;
    assert_eq!(ended.len(), 2);
    assert!(ended.iter().all(|ended| ended.tombstone.claims == 1));
    Ok(())
}

/// What ran out on the way is over when it arrives.
pub async fn an_import_revives_nothing_that_ran_out(stage: &Stage) -> Verdict {
    let ns = stage.portal();
    assert_eq!(
        stage.bring(ns, &live(1), at(IDLE + 5)).await?,
        Imported::Done
    );
    assert_eq!(stage.load(ns, id(1), at(IDLE + 5)).await?, None);
    let ended = stage.claim_one(ns, at(IDLE + 5)).await?;
    assert_eq!(ended.tombstone.end.reason, EndReason::IdleTimeout);
    assert_eq!(ended.tombstone.end.at, at(IDLE));
    Ok(())
}

/// Nothing is overwritten, whatever its status.
pub async fn an_import_takes_no_id_in_use(stage: &Stage) -> Verdict {
    let ns = stage.portal();
    stage.put(ns, &record(4)).await?;
    stage
        .end(ns, id(4), None, EndReason::Logout, After::Queue, at(1))
        .await?;
    stage.bury(ns, at(1)).await?;
    stage.put(ns, &record(1)).await?;
    let mut short = record(2);
    short.idle_timeout = timeout(1);
    stage.put(ns, &short).await?;
    stage.put(ns, &record(3)).await?;
    stage
        .end(ns, id(3), None, EndReason::Logout, After::Queue, at(1))
        .await?;
    let before = stage.everything(ns, at(2)).await?;
    for number in 1..=4 {
        let mut intruder = live(number);
        intruder.record.version = version(99);
        assert_eq!(
            stage.other().bring(ns, &intruder, at(2)).await?,
            Imported::Exists
        );
        let [_, _, dead] = tombstones();
        intruder.state = State::Ended(dead);
        assert_eq!(stage.bring(ns, &intruder, at(2)).await?, Imported::Exists);
    }
    assert_eq!(stage.everything(ns, at(2)).await?, before);
    Ok(())
}

/// Imported twice at once, by a copy that was started twice: one of them brings it.
pub async fn an_import_happens_once(stage: &Stage) -> Verdict {
    let ns = stage.portal();
    for number in 0..20 {
        let imported = both(stage, |node| {
            let ns = ns.clone();
            async move { node.bring(&ns, &live(number), at(1)).await }
        });
        let imported = imported.await?;
        let done = imported.iter().filter(|it| **it == Imported::Done);
        assert_eq!(done.count(), 1);
    }
    assert_eq!(stage.count(ns, at(1)).await?.live, 20);
    Ok(())
}

/// It is not older than the resets that were before it, and not safe from those after.
pub async fn an_imported_session_belongs_to_the_present(stage: &Stage) -> Verdict {
    let ns = stage.portal();
    stage.reset(ns, at(10)).await?;
    assert_eq!(stage.bring(ns, &live(1), at(11)).await?, Imported::Done);
    assert!(stage.load(ns, id(1), at(12)).await?.is_some());
    stage.reset(ns, at(13)).await?;
    assert_eq!(stage.load(ns, id(1), at(14)).await?, None);
    let ended = stage.claim_one(ns, at(14)).await?;
    assert_eq!(ended.tombstone.end.reason, EndReason::ApplicationReset);
    assert_eq!(ended.tombstone.end.at, at(13));
    Ok(())
}

/// A whole namespace copied entry by entry is the same namespace.
pub async fn a_copy_is_like_the_original(stage: &Stage) -> Verdict {
    let (from, to) = (stage.portal(), stage.wiki());
    for number in 1..=20 {
        stage.put(from, &record(number)).await?;
    }
    for number in 1..=9 {
        let after = [After::Queue, After::Hold(LEASE), After::Queue];
        let after = after[usize::try_from(number % 3).unwrap_or(0)];
        stage
            .end(from, id(number), None, EndReason::Logout, after, at(1))
            .await?;
    }
    for (ended, why) in stage
        .claim_all(from, at(2))
        .await?
        .into_iter()
        .zip(["a", "b"])
    {
        let dead = Outcome::Dead { why: failure(why) };
        assert!(stage.settle_one(from, ended.ticket(), dead, at(3)).await?);
    }
    let original = stage.everything(from, at(4)).await?;
    for entry in &original {
        assert_eq!(stage.bring(to, entry, at(4)).await?, Imported::Done);
    }
    assert_eq!(stage.everything(to, at(4)).await?, original);
    assert_eq!(
        stage.count(to, at(4)).await?,
        stage.count(from, at(4)).await?
    );
    let held = original.iter().filter_map(|entry| match &entry.state {
        State::Ended(tombstone) => Some(tombstone.phase),
        _ => None,
    });
    assert!(held.clone().any(|phase| phase == Phase::Dead));
    assert!(
        held.clone()
            .any(|phase| matches!(phase, Phase::Held { .. }))
    );
    Ok(())
}

/// Counters at their limits come through; beyond them nothing is stored.
pub async fn an_import_with_impossible_counters_is_refused(stage: &Stage) -> Verdict {
    let ns = stage.portal();
    let [tombstone, ..] = tombstones();
    let most = i32::MAX.unsigned_abs();
    let counters: [fn(&mut Tombstone) -> &mut u32; 3] = [
        |tombstone| &mut tombstone.claims,
        |tombstone| &mut tombstone.failures,
        |tombstone| &mut tombstone.unsettled,
    ];
    let mut entries = Vec::new();
    for beyond in [0, 1] {
        let mut entry = live(1);
        entry.record.accesses = (1 << 53) + u64::from(beyond);
        entries.push((beyond, entry));
        for (number, counter) in (2..).zip(&counters) {
            let mut tombstone = tombstone.clone();
            *counter(&mut tombstone) = most + beyond;
            let mut entry = live(number);
            entry.state = State::Ended(tombstone);
            entries.push((beyond, entry));
        }
    }
    // Those beyond first, so that their ids are free.
    for (beyond, entry) in entries.into_iter().rev() {
        let imported = stage.bring(ns, &entry, at(1)).await;
        if beyond == 1 {
            let kind = imported.map_err(|error| error.kind());
            assert_eq!(kind, Err(ErrorKind::Invalid));
        } else {
            assert_eq!(imported?, Imported::Done);
            assert_eq!(stage.entry(ns, entry.record.id, at(1)).await?, entry);
        }
    }
    Ok(())
}
