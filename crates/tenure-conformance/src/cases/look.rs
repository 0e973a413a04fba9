//! I: lists, counts and inspection.

use tenure_store::{
    After, Counts, EndReason, Field, Filter, Record, Resolve, State, Status, Updated,
};

use crate::props::{
    IDLE, LEASE, LEASE_MILLIS, at, id, passive, principal, record, record_at, record_of, timeout,
    version,
};
use crate::story::Story;
use crate::{Stage, Verdict};

/// Five sessions, one of every status at `at(10)`, of alice if their number is odd.
async fn one_of_every_status(stage: &Stage) -> Verdict {
    let ns = stage.portal();
    let of = |number| match number % 2 {
        0 => record_at(number, at(i64::try_from(number).unwrap_or(0))),
        _ => Record {
            principal: Some(principal("alice")),
            ..record_at(number, at(i64::try_from(number).unwrap_or(0)))
        },
    };
    stage.put(ns, &of(5)).await?;
    stage
        .end(ns, id(5), None, EndReason::Logout, After::Queue, at(6))
        .await?;
    stage.bury(ns, at(6)).await?;
    stage.put(ns, &of(1)).await?;
    let idle_timeout = timeout(7);
    stage
        .put(
            ns,
            &Record {
                idle_timeout,
                ..of(2)
            },
        )
        .await?;
    for (number, after) in [(3, After::Queue), (4, After::Hold(LEASE))] {
        stage.put(ns, &of(number)).await?;
        let ended = stage
            .end(ns, id(number), None, EndReason::Logout, after, at(8))
            .await?;
        assert!(ended.is_some());
    }
    Ok(())
}

/// For every status, with and without a principal: the list has as many as the count
/// says, and they are those whose entries say so.
pub async fn filters_agree_with_counts(stage: &Stage) -> Verdict {
    let ns = stage.portal();
    one_of_every_status(stage).await?;
    for now in [at(10), at(8 + LEASE_MILLIS), at(2 * IDLE)] {
        let everything = stage.everything(ns, now).await?;
        let mut expected = Counts::default();
        for entry in &everything {
            expected.add(entry, now);
        }
        let counts = stage.other().count(ns, now).await?;
        assert_eq!(counts, expected);
        for status in Status::ALL {
            let mut filter = Filter::all(3);
            filter.status = Some(status);
            let found = stage.scan(ns, &filter, now).await?;
            assert_eq!(found.len() as u64, counts.of(status), "{status:?}");
            for owner in [None, Some(principal("alice")), Some(principal("bob"))] {
                filter.principal = owner;
                let expected = everything.iter().filter(|entry| filter.matches(entry, now));
                let expected: Vec<_> = expected.cloned().collect();
                assert_eq!(stage.scan(ns, &filter, now).await?, expected, "{filter:?}");
            }
        }
    }
    let counts = stage.count(ns, at(10)).await?;
    let each = Status::ALL.map(|status| counts.of(status));
    assert_eq!(each, [1; 5]);
    Ok(())
}

/// Set, changed, cleared, by an update; kept by touches and by other updates.
pub async fn the_list_of_a_principal_follows_its_sessions(stage: &Stage) -> Verdict {
    let ns = stage.portal();
    let (alice, bob) = (principal("alice"), principal("bob"));
    stage.put(ns, &record(1)).await?;
    let steps = [
        (Field::Set(alice.clone()), 1, 0),
        (Field::Keep, 1, 0),
        (Field::Set(bob.clone()), 0, 1),
        (Field::Clear, 0, 0),
        (Field::Set(alice.clone()), 1, 0),
    ];
    for (step, (owner, of_alice, of_bob)) in (1..).zip(steps) {
        let mut change = passive(step + 1);
        change.principal = owner;
        let updated = stage
            .update(ns, id(1), version(step), &change, at(1))
            .await?;
        assert_eq!(updated, Updated::Done);
        assert!(stage.touch(ns, id(1), at(1)).await?);
        for (name, expected) in [(&alice, of_alice), (&bob, of_bob)] {
            let mut filter = Filter::all(10);
            filter.principal = Some(name.clone());
            let found = stage.other().scan(ns, &filter, at(2)).await?;
            assert_eq!(found.len(), expected, "after step {step}");
        }
    }
    stage
        .end(ns, id(1), None, EndReason::Logout, After::Queue, at(3))
        .await?;
    let mut filter = Filter::all(10);
    filter.principal = Some(alice);
    assert_eq!(
        stage.scan(ns, &filter, at(3)).await?.len(),
        1,
        "tombstones are theirs too"
    );
    assert!(stage.resolve(ns, id(1), Resolve::Discard, at(3)).await?);
    assert_eq!(stage.scan(ns, &filter, at(3)).await?, []);
    Ok(())
}

/// The oldest instant from which something could have been reaped: of what ran out, of
/// what was reset, of what waits, and of what is tried again.
pub async fn counts_tell_how_far_behind_the_reapers_are(stage: &Stage) -> Verdict {
    let ns = stage.portal();
    stage.put(ns, &record(1)).await?;
    assert_eq!(
        stage.count(ns, at(1)).await?.oldest_due,
        None,
        "live ones do not wait"
    );
    stage.put(ns, &record(2)).await?;
    stage
        .end(ns, id(2), None, EndReason::Logout, After::Queue, at(5))
        .await?;
    assert_eq!(stage.count(ns, at(6)).await?.oldest_due, Some(at(5)));
    let ended = stage.claim_one(ns, at(7)).await?;
    assert_eq!(stage.count(ns, at(8)).await?.oldest_due, None, "it is held");
    let retry = tenure_store::Outcome::Retry {
        at: at(100),
        why: crate::props::failure("again"),
    };
    assert!(stage.settle_one(ns, ended.ticket(), retry, at(9)).await?);
    assert_eq!(
        stage.count(ns, at(99)).await?.oldest_due,
        None,
        "it is backing off"
    );
    assert_eq!(stage.count(ns, at(100)).await?.oldest_due, Some(at(100)));
    stage.reset(ns, at(50)).await?;
    assert_eq!(stage.count(ns, at(100)).await?.oldest_due, Some(at(50)));
    stage.reap(ns, at(100)).await?;
    assert_eq!(stage.count(ns, at(2 * IDLE)).await?, Counts::default());
    Ok(())
}

/// Of every status, with the whole record, the payload included.
pub async fn inspecting_shows_what_became_of_a_session(stage: &Stage) -> Verdict {
    let ns = stage.portal();
    one_of_every_status(stage).await?;
    let statuses = [
        Status::Live,
        Status::Over,
        Status::Waiting,
        Status::Held,
        Status::Dead,
    ];
    for (number, status) in (1..).zip(statuses) {
        let entry = stage.other().entry(ns, id(number), at(10)).await?;
        assert_eq!(entry.status(at(10)), status);
        assert_eq!(entry.record.payload, crate::props::payload(number));
        match entry.state {
            State::Live => assert_eq!(status, Status::Live),
            State::Over(end) => {
                assert_eq!((end.reason, end.at), (EndReason::IdleTimeout, at(9)));
            }
            State::Ended(tombstone) => assert_eq!(tombstone.end.reason, EndReason::Logout),
        }
    }
    let mut of_alice = record_of(1, "alice");
    (of_alice.created, of_alice.last_access) = (at(1), at(1));
    assert_eq!(stage.entry(ns, id(1), at(10)).await?.record, of_alice);
    Ok(())
}
