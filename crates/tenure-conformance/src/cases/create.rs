//! A: creating and loading.

use tenure_store::{
    After, Created, EndReason, Outcome, Record, Rotation, State, Timeout, Timestamp, Updated,
    Version,
};

use crate::props::{
    HOUR, IDLE, LEASE, at, endless, id, passive, payload, payload_of, principal, record, record_at,
    record_of, timeout, version,
};
use crate::story::Story;
use crate::{Stage, Verdict};

/// Every field, at ordinary and at extreme values, on both nodes.
pub async fn what_was_created_is_loaded_as_it_went_in(stage: &Stage) -> Verdict {
    let ns = stage.portal();
    let full = Record {
        accesses: 7,
        last_access: at(3),
        leaves_at: Some(at(HOUR)),
        principal: Some(principal("alice@example.org")),
        rotation: Rotation::new(5, Some(at(HOUR)))?,
        payload: payload_of(5_000),
        ..record(2)
    };
    let extreme = Record {
        created: Timestamp::MIN,
        last_access: Timestamp::MAX,
        accesses: 1 << 53,
        idle_timeout: Some(Timeout::MAX),
        lifetime: None,
        leaves_at: Some(Timestamp::MAX),
        principal: Some(principal(&"é".repeat(128))),
        rotation: Rotation::new(Rotation::MAX, Some(Timestamp::MIN))?,
        ..record(3)
    };
    for record in [record(1), full, extreme, endless(4)] {
        let created = stage.create(ns, &record, at(4)).await?;
        assert_eq!(created, Created::Done);
        for node in [stage.node(), stage.other()] {
            let loaded = node.load(ns, record.id, at(5)).await?;
            assert_eq!(loaded.as_ref(), Some(&record));
            let entry = node.entry(ns, record.id, at(5)).await?;
            assert_eq!((&entry.record, &entry.state), (&record, &State::Live));
        }
    }
    Ok(())
}

/// A version is 64 bits, not a number with a sign, and neither zero nor one is special.
pub async fn every_version_is_a_version(stage: &Stage) -> Verdict {
    let ns = stage.portal();
    let mut current = Version::new(0);
    let version = current;
    stage
        .put(
            ns,
            &Record {
                version,
                ..record(1)
            },
        )
        .await?;
    for next in [
        1,
        u64::MAX,
        1 << 63,
        (1 << 53) + 1,
        i64::MAX.unsigned_abs(),
        0,
    ] {
        let mut change = passive(1);
        change.version = Version::new(next);
        let updated = stage.update(ns, id(1), current, &change, at(1)).await?;
        assert_eq!(updated, Updated::Done, "to version {next}");
        current = change.version;
        let loaded = stage.load(ns, id(1), at(1)).await?;
        assert_eq!(loaded.map(|record| record.version), Some(current));
    }
    Ok(())
}

pub async fn an_empty_payload_is_a_payload(stage: &Stage) -> Verdict {
    let ns = stage.portal();
    let empty = Record {
        payload: payload_of(0),
        ..record(1)
    };
    stage.put(ns, &empty).await?;
    assert_eq!(stage.load(ns, id(1), at(1)).await?, Some(empty));

    stage.put(ns, &record(2)).await?;
    let mut change = passive(3);
    change.payload = Some(payload_of(0));
    let updated = stage.update(ns, id(2), version(2), &change, at(1)).await?;
    assert_eq!(updated, Updated::Done);
    let loaded = stage.load(ns, id(2), at(1)).await?;
    assert_eq!(loaded.map(|record| record.payload), Some(payload_of(0)));
    Ok(())
}

/// Every single byte, and every pair of a byte and NUL, at the beginning and the end.
pub async fn a_payload_is_kept_bit_for_bit(stage: &Stage) -> Verdict {
    let ns = stage.portal();
    for (number, byte) in (0..=u8::MAX).enumerate() {
        let number = number as u64;
        let payload = tenure_store::Payload::new(vec![byte, 0, byte, 0xff, 0, byte]);
        let record = Record {
            payload,
            ..record(number)
        };
        stage.put(ns, &record).await?;
        assert_eq!(stage.load(ns, id(number), at(1)).await?, Some(record));
    }
    Ok(())
}

/// No operation on one session makes an unknown id known.
pub async fn an_unknown_id_is_absent_and_stays_unknown(stage: &Stage) -> Verdict {
    let ns = stage.portal();
    stage.put(ns, &record(2)).await?;
    let before = stage.everything(ns, at(1)).await?;

    assert_eq!(stage.load(ns, id(1), at(1)).await?, None);
    assert!(!stage.touch(ns, id(1), at(1)).await?);
    let updated = stage
        .update(ns, id(1), version(2), &passive(3), at(1))
        .await?;
    assert_eq!(updated, Updated::Gone);
    let reason = EndReason::Logout;
    for after in [After::Hold(LEASE), After::Queue, After::Discard] {
        assert_eq!(
            stage.end(ns, id(1), None, reason, after, at(1)).await?,
            None
        );
    }
    assert_eq!(stage.inspect(ns, id(1), at(1)).await?, None);

    assert_eq!(stage.everything(ns, at(1)).await?, before);
    stage.put(ns, &record(1)).await?;
    Ok(())
}

/// Whatever became of the session that has it: creating neither succeeds nor changes
/// anything, even for the very same record.
pub async fn an_id_in_use_is_not_given_again(stage: &Stage) -> Verdict {
    let ns = stage.portal();
    stage.put(ns, &record(5)).await?;
    stage
        .end(ns, id(5), None, EndReason::Logout, After::Queue, at(1))
        .await?;
    stage.bury(ns, at(1)).await?;
    stage.put(ns, &record(1)).await?;
    let short = timeout(1);
    let over = Record {
        idle_timeout: short,
        ..record(2)
    };
    stage.put(ns, &over).await?;
    for (number, after) in [(3, After::Queue), (4, After::Hold(LEASE))] {
        stage.put(ns, &record(number)).await?;
        let ended = stage
            .end(ns, id(number), None, EndReason::Logout, after, at(1))
            .await?;
        assert!(ended.is_some());
    }

    let before = stage.everything(ns, at(2)).await?;
    assert_eq!(before.len(), 5);
    for number in 1..=5 {
        let intruder = Record {
            version: version(99),
            payload: payload(99),
            ..record_of(number, "mallory")
        };
        for record in [&intruder, &record(number)] {
            let created = stage.other().create(ns, record, at(2)).await?;
            assert_eq!(created, Created::Exists, "session {number}");
        }
    }
    assert_eq!(stage.everything(ns, at(2)).await?, before);
    Ok(())
}

/// An id is free again once its tombstone is gone, and what gets it is a new session.
pub async fn an_id_is_free_once_its_tombstone_is_gone(stage: &Stage) -> Verdict {
    let ns = stage.portal();
    stage.put(ns, &record(1)).await?;
    let hold = After::Hold(LEASE);
    let ended = stage
        .end(ns, id(1), None, EndReason::Logout, hold, at(1))
        .await?;
    let ticket = ended.expect("it was live").ticket();
    assert!(stage.settle_one(ns, ticket, Outcome::Done, at(2)).await?);

    let again = record_at(1, at(IDLE));
    stage.put(ns, &again).await?;
    assert_eq!(stage.load(ns, id(1), at(IDLE)).await?, Some(again.clone()));

    let discard = After::Discard;
    let ended = stage
        .end(ns, id(1), None, EndReason::Logout, discard, at(IDLE))
        .await?;
    assert!(ended.is_some());
    stage.put(ns, &again).await?;
    assert!(stage.touch(ns, id(1), at(IDLE)).await?);
    Ok(())
}

/// It is stored, over at once, and comes to the reapers with the cause it had.
pub async fn a_record_that_ran_out_already_is_stored_and_over(stage: &Stage) -> Verdict {
    let ns = stage.portal();
    let created = stage.create(ns, &record(1), at(IDLE)).await?;
    assert_eq!(created, Created::Done);
    assert_eq!(stage.load(ns, id(1), at(IDLE)).await?, None);
    let ended = stage.claim_one(ns, at(IDLE)).await?;
    assert_eq!(ended.record, record(1));
    assert_eq!(ended.tombstone.end.reason, EndReason::IdleTimeout);
    assert_eq!(ended.tombstone.end.at, at(IDLE));
    Ok(())
}
