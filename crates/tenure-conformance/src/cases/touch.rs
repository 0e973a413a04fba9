//! D: what counts as use, and what changes nothing.

use tenure_store::{Access, After, Change, EndReason, Field, Filter, Record, Updated};

use crate::props::{
    HOUR, IDLE, LEASE, LIFETIME, MINUTE, at, counted, id, passive, payload, record, record_of,
    timeout, version,
};
use crate::story::Story;
use crate::{Stage, Verdict};

/// By a whole idle time-out from the touch on.
pub async fn a_touch_extends(stage: &Stage) -> Verdict {
    let ns = stage.portal();
    stage.put(ns, &record(1)).await?;
    assert!(stage.touch(ns, id(1), at(IDLE - 1)).await?);
    let mut touched = record(1);
    touched.access(at(IDLE - 1));
    for node in [stage.node(), stage.other()] {
        let loaded = node.load(ns, id(1), at(2 * IDLE - 2)).await?;
        assert_eq!(loaded.as_ref(), Some(&touched));
        assert_eq!(node.load(ns, id(1), at(2 * IDLE - 1)).await?, None);
    }
    Ok(())
}

/// A session used again and again lives on past every end it would have had.
pub async fn a_session_in_use_lives_on(stage: &Stage) -> Verdict {
    let ns = stage.portal();
    stage.put(ns, &record(1)).await?;
    let mut now = 0;
    while now + IDLE - 1 < LIFETIME {
        now += IDLE - 1;
        assert_eq!(stage.other().claim_all(ns, at(now)).await?, []);
        assert!(stage.touch(ns, id(1), at(now)).await?);
    }
    let loaded = stage.load(ns, id(1), at(now)).await?.expect("it is live");
    assert_eq!(loaded.last_access, at(now));
    Ok(())
}

/// Not a time, not a count, not a version, not what is due: for sessions of every
/// status, early and late.
pub async fn looking_changes_nothing(stage: &Stage) -> Verdict {
    let ns = stage.portal();
    stage.put(ns, &record(3)).await?;
    stage
        .end(ns, id(3), None, EndReason::Logout, After::Queue, at(1))
        .await?;
    stage.bury(ns, at(1)).await?;
    stage.put(ns, &record_of(1, "alice")).await?;
    stage.put(ns, &record(2)).await?;
    stage
        .end(ns, id(2), None, EndReason::Logout, After::Queue, at(1))
        .await?;
    let idle_timeout = timeout(1);
    stage
        .put(
            ns,
            &Record {
                idle_timeout,
                ..record(4)
            },
        )
        .await?;
    let before = stage.everything(ns, at(2)).await?;

    for now in [at(-HOUR), at(2), at(IDLE), at(100 * HOUR)] {
        for node in [stage.node(), stage.other()] {
            for number in 0..=4 {
                let _ = node.load(ns, id(number), now).await?;
                let _ = node.inspect(ns, id(number), now).await?;
            }
            let _ = node.list(ns, &Filter::all(2), now).await?;
            let _ = node.count(ns, now).await?;
            let _ = node.namespaces().await?;
            let _ = node.describe(now).await?;
        }
    }

    assert_eq!(stage.everything(ns, at(2)).await?, before);
    let ended = stage.claim_all(ns, at(IDLE)).await?;
    assert_eq!(ended.len(), 3, "nothing was taken from the reapers");
    Ok(())
}

/// Unknown, ended in each way, or out of time: `false`, and nothing is there after it
/// that was not before.
pub async fn a_touch_of_the_absent_does_nothing(stage: &Stage) -> Verdict {
    let ns = stage.portal();
    for (number, after) in [
        (1, After::Queue),
        (2, After::Hold(LEASE)),
        (3, After::Discard),
    ] {
        stage.put(ns, &record(number)).await?;
        stage
            .end(ns, id(number), None, EndReason::Logout, after, at(1))
            .await?;
    }
    let idle_timeout = timeout(1);
    stage
        .put(
            ns,
            &Record {
                idle_timeout,
                ..record(4)
            },
        )
        .await?;
    let before = stage.everything(ns, at(2)).await?;
    assert_eq!(before.len(), 3);
    for number in 0..=4 {
        assert!(!stage.touch(ns, id(number), at(2)).await?);
    }
    assert_eq!(stage.everything(ns, at(2)).await?, before);
    Ok(())
}

/// A request that took long: its touch counts, and moves nothing back.
pub async fn a_late_touch_moves_no_time_back(stage: &Stage) -> Verdict {
    let ns = stage.portal();
    stage.put(ns, &record(1)).await?;
    assert!(stage.touch(ns, id(1), at(MINUTE)).await?);
    assert!(stage.other().touch(ns, id(1), at(1)).await?);
    let loaded = stage
        .load(ns, id(1), at(MINUTE))
        .await?
        .expect("it is live");
    assert_eq!((loaded.last_access, loaded.accesses), (at(MINUTE), 3));
    Ok(())
}

/// A heart-beat that writes does not keep a session alive.
pub async fn a_passive_update_is_no_access(stage: &Stage) -> Verdict {
    let ns = stage.portal();
    stage.put(ns, &record(1)).await?;
    let mut change = passive(2);
    change.payload = Some(payload(2));
    let updated = stage
        .update(ns, id(1), version(1), &change, at(IDLE - 1))
        .await?;
    assert_eq!(updated, Updated::Done);
    let loaded = stage
        .load(ns, id(1), at(IDLE - 1))
        .await?
        .expect("it is live");
    assert_eq!((loaded.last_access, loaded.accesses), (at(0), 1));
    assert_eq!(stage.load(ns, id(1), at(IDLE)).await?, None);
    assert_eq!(stage.claim_one(ns, at(IDLE)).await?.record, loaded);
    Ok(())
}

/// A session that is only ever written to stays alive.
pub async fn a_counting_update_is_an_access(stage: &Stage) -> Verdict {
    let ns = stage.portal();
    stage.put(ns, &record(1)).await?;
    for step in 1..=5 {
        let now = at(i64::try_from(step).unwrap_or(0) * (IDLE - 1));
        let updated = stage
            .update(ns, id(1), version(step), &counted(step + 1), now)
            .await?;
        assert_eq!(updated, Updated::Done);
        let loaded = stage.load(ns, id(1), now).await?.expect("it is live");
        assert_eq!((loaded.last_access, loaded.accesses), (now, step + 1));
    }
    Ok(())
}

fn leaving(access: Access) -> Change {
    Change {
        access,
        leaves_at: Field::Set(at(MINUTE)),
        ..passive(2)
    }
}

/// Set by an access or passively: the session ends at that instant, for the reapers
/// too, though they knew of a later one.
pub async fn leaving_ends_the_session_then(stage: &Stage) -> Verdict {
    let ns = stage.portal();
    for (number, access) in [(1, Access::Passive), (2, Access::Counts)] {
        stage.put(ns, &record(number)).await?;
        let updated = stage
            .update(ns, id(number), version(number), &leaving(access), at(1))
            .await?;
        assert_eq!(updated, Updated::Done);
        let loaded = stage.load(ns, id(number), at(MINUTE - 1)).await?;
        assert_eq!(
            loaded.map(|record| record.leaves_at),
            Some(Some(at(MINUTE)))
        );
        assert_eq!(stage.load(ns, id(number), at(MINUTE)).await?, None);
        assert!(
            !stage.touch(ns, id(number), at(MINUTE)).await?,
            "it is too late"
        );
        let updated = stage
            .update(ns, id(number), version(2), &counted(3), at(MINUTE))
            .await?;
        assert_eq!(updated, Updated::Gone);

        let ended = stage.other().claim_one(ns, at(MINUTE)).await?;
        assert_eq!(ended.record.id, id(number));
        assert_eq!(ended.tombstone.end.reason, EndReason::Left);
        assert_eq!(ended.tombstone.end.at, at(MINUTE));
    }
    Ok(())
}

/// A touch, an update that counts, and one that says so; the reapers find it alive.
pub async fn an_access_takes_a_leave_back(stage: &Stage) -> Verdict {
    let ns = stage.portal();
    let mut stay = passive(3);
    stay.leaves_at = Field::Clear;
    for number in 1..=3 {
        stage.put(ns, &record(number)).await?;
        let leave = leaving(Access::Passive);
        let updated = stage
            .update(ns, id(number), version(number), &leave, at(1))
            .await?;
        assert_eq!(updated, Updated::Done);
    }
    let other = stage.other();
    assert!(other.touch(ns, id(1), at(MINUTE - 1)).await?);
    for (number, change) in [(2, counted(3)), (3, stay)] {
        let updated = other
            .update(ns, id(number), version(2), &change, at(MINUTE - 1))
            .await?;
        assert_eq!(updated, Updated::Done);
    }
    assert_eq!(stage.claim_all(ns, at(MINUTE)).await?, []);
    for number in 1..=3 {
        let loaded = stage.load(ns, id(number), at(MINUTE)).await?;
        assert_eq!(loaded.map(|record| record.leaves_at), Some(None));
    }
    Ok(())
}

pub async fn a_passive_update_takes_no_leave_back(stage: &Stage) -> Verdict {
    let ns = stage.portal();
    stage.put(ns, &record(1)).await?;
    let leave = leaving(Access::Counts);
    let updated = stage.update(ns, id(1), version(1), &leave, at(1)).await?;
    assert_eq!(updated, Updated::Done);
    let mut change = passive(3);
    change.payload = Some(payload(3));
    let updated = stage.update(ns, id(1), version(2), &change, at(2)).await?;
    assert_eq!(updated, Updated::Done);
    assert!(stage.load(ns, id(1), at(3)).await?.is_some());
    assert_eq!(stage.load(ns, id(1), at(MINUTE)).await?, None);
    Ok(())
}
