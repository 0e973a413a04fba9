//! A, O: values at the edges of what is allowed, and one byte beyond.

use tenure_store::{Created, Entry, ErrorKind, Filter, Record, State, Updated};
use tokio::task::JoinSet;

use crate::props::{LEASE, at, id, passive, payload, payload_of, principal, record, version};
use crate::story::{Story, all};
use crate::{Stage, Verdict};

/// Larger limits than this cannot be tried in reasonable memory.
const MOST: usize = 64 << 20;

async fn payload_limit(stage: &Stage) -> Result<usize, crate::Broken> {
    let limit = stage.describe(at(0)).await?.payload_limit;
    assert!(
        limit <= MOST,
        "the fixture sets a payload limit of at most {MOST} bytes"
    );
    Ok(limit)
}

pub async fn a_payload_at_the_limit_round_trips(stage: &Stage) -> Verdict {
    let ns = stage.portal();
    let largest = payload_of(payload_limit(stage).await?);
    let created = Record {
        payload: largest.clone(),
        ..record(1)
    };
    stage.put(ns, &created).await?;
    assert_eq!(stage.load(ns, id(1), at(1)).await?, Some(created));

    stage.put(ns, &record(2)).await?;
    let mut change = passive(3);
    change.payload = Some(largest.clone());
    let updated = stage.update(ns, id(2), version(2), &change, at(1)).await?;
    assert_eq!(updated, Updated::Done);
    let loaded = stage.other().load(ns, id(2), at(1)).await?;
    assert!(loaded.is_some_and(|record| record.payload == largest));
    Ok(())
}

/// The error says so, the id stays free, and the old value stays where there is one.
pub async fn a_payload_beyond_the_limit_is_refused(stage: &Stage) -> Verdict {
    let ns = stage.portal();
    let beyond = payload_of(payload_limit(stage).await? + 1);
    let record_beyond = Record {
        payload: beyond.clone(),
        ..record(1)
    };
    let refused = stage.create(ns, &record_beyond, at(0)).await;
    assert_eq!(
        refused.map_err(|error| error.kind()),
        Err(ErrorKind::TooLarge)
    );
    let entry = Entry {
        record: record_beyond,
        state: State::Live,
    };
    let refused = stage.bring(ns, &entry, at(0)).await;
    assert_eq!(
        refused.map_err(|error| error.kind()),
        Err(ErrorKind::TooLarge)
    );

    stage.put(ns, &record(1)).await?;
    let mut change = passive(2);
    change.payload = Some(beyond);
    change.principal = tenure_store::Field::Set(principal("alice"));
    let refused = stage.update(ns, id(1), version(1), &change, at(1)).await;
    assert_eq!(
        refused.map_err(|error| error.kind()),
        Err(ErrorKind::TooLarge)
    );
    assert_eq!(stage.load(ns, id(1), at(1)).await?, Some(record(1)));
    Ok(())
}

/// A mebibyte, or as much as the store takes, comes through every way a record takes.
pub async fn a_large_payload_comes_through_everywhere(stage: &Stage) -> Verdict {
    let ns = stage.portal();
    let large = payload_of(payload_limit(stage).await?.min(1 << 20));
    for number in 1..=3 {
        let payload = large.clone();
        stage
            .put(
                ns,
                &Record {
                    payload,
                    ..record(number)
                },
            )
            .await?;
    }
    for entry in stage.everything(ns, at(1)).await? {
        assert!(entry.record.payload == large);
    }
    assert!(stage.entry(ns, id(1), at(1)).await?.record.payload == large);
    stage.reset(ns, at(2)).await?;
    let ended = stage.claim_all(ns, at(2)).await?;
    assert_eq!(
        ended.len(),
        3,
        "a claim bounded in bytes says that there is more"
    );
    assert!(ended.iter().all(|ended| ended.record.payload == large));
    Ok(())
}

/// One caller's value that the store refuses is that caller's error alone, though many
/// write at once.
pub async fn a_refused_value_fails_nobody_else(stage: &Stage) -> Verdict {
    let ns = stage.portal();
    let beyond = payload_of(payload_limit(stage).await? + 1);
    let mut tasks = JoinSet::new();
    for number in 0..64 {
        let (node, ns, bad) = (stage.nth(number), ns.clone(), number % 8 == 3);
        let beyond = beyond.clone();
        tasks.spawn(async move {
            let mut first = record(number);
            if bad {
                first.payload = beyond.clone();
            }
            let created = node.create(&ns, &first, at(0)).await;
            let mut change = passive(number + 100);
            change.payload = Some(if bad { beyond } else { payload(number + 100) });
            let updated = node
                .update(&ns, id(number), version(number), &change, at(1))
                .await;
            if bad {
                let kind = created.map_err(|error| error.kind());
                assert_eq!(kind, Err(ErrorKind::TooLarge));
                let kind = updated.map_err(|error| error.kind());
                assert_eq!(kind, Err(ErrorKind::TooLarge));
            } else {
                assert_eq!(created?, Created::Done);
                assert_eq!(updated?, Updated::Done);
            }
            Ok(())
        });
    }
    all(tasks).await?;
    assert_eq!(stage.count(ns, at(1)).await?.live, 56);
    for entry in stage.everything(ns, at(1)).await? {
        assert_ne!(entry.record.payload, beyond);
    }
    Ok(())
}

/// Zero is a mistake, not "nothing" and not "no limit".
pub async fn a_limit_of_zero_is_refused(stage: &Stage) -> Verdict {
    let ns = stage.visitors();
    stage.put(ns, &record(1)).await?;
    stage.reset(ns, at(1)).await?;
    let before = stage.everything(ns, at(2)).await?;
    let invalid = Err(ErrorKind::Invalid);
    let claimed = stage.claim(ns, LEASE, 0, at(2)).await;
    assert_eq!(claimed.map(|_| ()).map_err(|error| error.kind()), invalid);
    let purged = stage.purge(ns, 0, at(2)).await;
    assert_eq!(purged.map(|_| ()).map_err(|error| error.kind()), invalid);
    let page = stage.list(ns, &Filter::all(0), at(2)).await;
    assert_eq!(page.map(|_| ()).map_err(|error| error.kind()), invalid);
    assert_eq!(stage.everything(ns, at(2)).await?, before);
    Ok(())
}

/// The largest limit there is asks for no memory of that size.
pub async fn the_largest_limit_is_fine(stage: &Stage) -> Verdict {
    let ns = stage.visitors();
    stage.put(ns, &record(1)).await?;
    let page = stage.list(ns, &Filter::all(u32::MAX), at(1)).await?;
    assert_eq!(page.entries.len(), 1);
    stage.reset(ns, at(1)).await?;
    let claimed = stage.claim(ns, LEASE, u32::MAX, at(2)).await?;
    assert_eq!(claimed.ended.len(), 1);
    let later = at(2).plus(LEASE);
    assert_eq!(stage.purge(ns, u32::MAX, later).await?.removed, 1);
    Ok(())
}
