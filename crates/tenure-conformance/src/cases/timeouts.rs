//! C: time-outs that change, that never come, and that nothing outlives.

use tenure_store::{
    After, Change, EndReason, Field, Record, Rotation, Timeout, Timestamp, Updated,
};

use crate::props::{
    IDLE, LIFETIME, MINUTE, SECOND, at, counted, endless, id, passive, record, record_at, timeout,
    version,
};
use crate::story::Story;
use crate::{Stage, Verdict};

/// For loads, and for a claim: the reaper does not wait for the instant that it knew.
pub async fn shortening_takes_effect_at_once(stage: &Stage) -> Verdict {
    let ns = stage.portal();
    let minute = timeout(MINUTE).map_or(Field::Keep, Field::Set);
    let changes = [
        (
            EndReason::IdleTimeout,
            Change {
                idle_timeout: minute.clone(),
                ..passive(10)
            },
        ),
        (
            EndReason::Lifetime,
            Change {
                lifetime: minute,
                ..passive(10)
            },
        ),
        (
            EndReason::Left,
            Change {
                leaves_at: Field::Set(at(MINUTE)),
                ..passive(10)
            },
        ),
    ];
    let mut number = 0;
    for start in [record, endless] {
        for (reason, change) in &changes {
            number += 1;
            stage.put(ns, &start(number)).await?;
            // Reapers came by, so that they know of the later end only.
            assert_eq!(stage.claim_all(ns, at(1)).await?, []);
            let updated = stage
                .update(ns, id(number), version(number), change, at(2))
                .await?;
            assert_eq!(updated, Updated::Done);
            assert!(stage.load(ns, id(number), at(MINUTE - 1)).await?.is_some());
            assert_eq!(stage.load(ns, id(number), at(MINUTE)).await?, None);
            let mut ended = stage.other().reap(ns, at(MINUTE)).await?;
            let ended = ended.pop().expect("it is due at once").tombstone.end;
            assert_eq!((ended.reason, ended.at), (*reason, at(MINUTE)));
        }
    }
    Ok(())
}

/// A time-out shorter than the time since the last access ends the session there and
/// then, in the past.
pub async fn shortening_into_the_past_ends_the_session(stage: &Stage) -> Verdict {
    let ns = stage.portal();
    stage.put(ns, &record(1)).await?;
    let mut change = passive(2);
    change.idle_timeout = timeout(SECOND).map_or(Field::Keep, Field::Set);
    let updated = stage
        .update(ns, id(1), version(1), &change, at(MINUTE))
        .await?;
    assert_eq!(updated, Updated::Done);
    assert_eq!(stage.load(ns, id(1), at(MINUTE)).await?, None);
    let ended = stage.claim_one(ns, at(MINUTE)).await?;
    assert_eq!(ended.tombstone.end.reason, EndReason::IdleTimeout);
    assert_eq!(ended.tombstone.end.at, at(SECOND));
    Ok(())
}

pub async fn lengthening_does_not_revive(stage: &Stage) -> Verdict {
    let ns = stage.portal();
    stage.put(ns, &record(1)).await?;
    let change = Change {
        idle_timeout: Field::Clear,
        lifetime: Field::Clear,
        ..counted(2)
    };
    let updated = stage
        .update(ns, id(1), version(1), &change, at(IDLE))
        .await?;
    assert_eq!(updated, Updated::Gone);
    assert_eq!(stage.load(ns, id(1), at(IDLE)).await?, None);
    assert_eq!(stage.claim_one(ns, at(IDLE)).await?.record, record(1));
    Ok(())
}

pub async fn lengthening_in_time_lets_it_live(stage: &Stage) -> Verdict {
    let ns = stage.portal();
    stage.put(ns, &record(1)).await?;
    let mut change = passive(2);
    change.idle_timeout = timeout(3 * IDLE).map_or(Field::Keep, Field::Set);
    let updated = stage
        .update(ns, id(1), version(1), &change, at(IDLE - 1))
        .await?;
    assert_eq!(updated, Updated::Done);
    assert_eq!(stage.claim_all(ns, at(IDLE)).await?, []);
    assert!(stage.load(ns, id(1), at(3 * IDLE - 1)).await?.is_some());
    let ended = stage.claim_one(ns, at(3 * IDLE)).await?;
    assert_eq!(ended.tombstone.end.at, at(3 * IDLE));
    Ok(())
}

/// Without a time-out it is live at the end of time, and can be used, ended, reset and
/// listed like any other; no reaper ever waits for it.
pub async fn a_session_can_last_for_ever(stage: &Stage) -> Verdict {
    let ns = stage.portal();
    for number in 1..=3 {
        stage.put(ns, &endless(number)).await?;
    }
    let end = Timestamp::MAX;
    let claimed = stage.claim(ns, crate::props::LEASE, 100, end).await?;
    assert_eq!(
        (claimed.ended, claimed.more, claimed.next_due),
        (vec![], false, None)
    );
    assert!(stage.touch(ns, id(1), end).await?);
    let loaded = stage.load(ns, id(1), end).await?.expect("it is live");
    assert_eq!((loaded.last_access, loaded.accesses), (end, 2));
    assert_eq!(stage.everything(ns, end).await?.len(), 3);
    let ended = stage
        .end(ns, id(2), None, EndReason::Logout, After::Queue, end)
        .await?;
    assert!(ended.is_some());
    stage.reset(ns, end).await?;
    assert_eq!(stage.load(ns, id(1), end).await?, None);
    assert_eq!(stage.reap(ns, end).await?.len(), 3);
    Ok(())
}

/// The longest time-outs, at both ends of time.
pub async fn the_longest_time_outs_do_not_overflow(stage: &Stage) -> Verdict {
    let ns = stage.portal();
    for (number, created) in [(1, at(0)), (2, Timestamp::MAX), (3, Timestamp::MIN)] {
        let record = Record {
            idle_timeout: Some(Timeout::MAX),
            lifetime: Some(Timeout::MAX),
            ..record_at(number, created)
        };
        stage.put(ns, &record).await?;
    }
    let last = Timestamp::from_millis(Timestamp::MAX.as_millis() - 1)?;
    for number in [1, 2] {
        assert!(stage.load(ns, id(number), last).await?.is_some());
        assert!(stage.touch(ns, id(number), last).await?);
        assert_eq!(stage.load(ns, id(number), Timestamp::MAX).await?, None);
    }
    let epoch = Timestamp::from_millis(-1)?;
    assert!(stage.load(ns, id(3), epoch).await?.is_some());
    assert_eq!(
        stage.load(ns, id(3), Timestamp::from_millis(0)?).await?,
        None
    );
    let ended = stage.claim_one(ns, last).await?;
    assert_eq!(ended.record.id, id(3));
    Ok(())
}

/// However often it is used, and though its token is changed.
pub async fn no_use_outlives_the_lifetime(stage: &Stage) -> Verdict {
    let ns = stage.portal();
    stage.put(ns, &record(1)).await?;
    for (current, step) in (1..).zip(0..LIFETIME / (10 * MINUTE)) {
        let now = at(step * 10 * MINUTE);
        assert!(stage.touch(ns, id(1), now).await?);
        let mut change = counted(current + 1);
        change.rotation = Some(Rotation::new(u32::try_from(step).unwrap_or(0), None)?);
        let updated = stage
            .update(ns, id(1), version(current), &change, now)
            .await?;
        assert_eq!(updated, Updated::Done);
    }
    assert!(stage.load(ns, id(1), at(LIFETIME - 1)).await?.is_some());
    assert_eq!(stage.load(ns, id(1), at(LIFETIME)).await?, None);
    let ended = stage.claim_one(ns, at(LIFETIME)).await?;
    assert_eq!(ended.tombstone.end.reason, EndReason::Lifetime);
    assert_eq!(ended.tombstone.end.at, at(LIFETIME));
    Ok(())
}
