//! J: ending all sessions of a principal.

use std::collections::BTreeSet;

use tenure_store::{After, EndReason, ErrorKind, Field, Outcome, Record, State, Updated};

use crate::props::{
    IDLE, LEASE, at, id, passive, principal, record, record_of, rows, timeout, version,
};
use crate::story::{Story, both};
use crate::{Stage, Verdict};

/// The live ones, and nobody else's; each waits for its hook with reason and instant.
pub async fn a_principals_sessions_end_together(stage: &Stage) -> Verdict {
    let ns = stage.portal();
    for number in 1..=3 {
        stage.put(ns, &record_of(number, "alice")).await?;
    }
    stage.put(ns, &record_of(4, "bob")).await?;
    stage.put(ns, &record(5)).await?;
    let alice = principal("alice");
    let ended = stage
        .other()
        .end_principal(ns, &alice, None, After::Queue, at(7))
        .await?;
    assert_eq!(ended, 3);
    for number in 1..=5 {
        let live = stage.load(ns, id(number), at(7)).await?.is_some();
        assert_eq!(live, number > 3, "session {number}");
    }
    let ended = stage.reap(ns, at(7)).await?;
    let ids: BTreeSet<_> = ended.iter().map(|ended| ended.record.id).collect();
    assert_eq!(ids, (1..=3).map(id).collect());
    for ended in ended {
        assert_eq!(ended.tombstone.end.reason, EndReason::PrincipalRevoked);
        assert_eq!(ended.tombstone.end.at, at(7));
        assert_eq!(ended.record.principal, Some(principal("alice")));
    }
    let again = stage
        .end_principal(ns, &alice, None, After::Queue, at(8))
        .await?;
    assert_eq!(again, 0);
    Ok(())
}

/// The one that asks stays; an exception that is not theirs, or nowhere, spares nobody.
pub async fn one_of_a_principals_sessions_can_be_spared(stage: &Stage) -> Verdict {
    let ns = stage.portal();
    for number in 1..=3 {
        stage.put(ns, &record_of(number, "alice")).await?;
    }
    stage.put(ns, &record_of(4, "bob")).await?;
    let alice = principal("alice");
    let queue = After::Queue;
    let ended = stage
        .end_principal(ns, &alice, Some(id(2)), queue, at(1))
        .await?;
    assert_eq!(ended, 2);
    assert!(stage.touch(ns, id(2), at(2)).await?);
    stage.put(ns, &record_of(5, "alice")).await?;
    let ended = stage
        .end_principal(ns, &alice, Some(id(4)), queue, at(3))
        .await?;
    assert_eq!(ended, 2);
    stage.put(ns, &record_of(6, "alice")).await?;
    let ended = stage
        .end_principal(ns, &alice, Some(id(99)), queue, at(3))
        .await?;
    assert_eq!(ended, 1);
    assert!(stage.touch(ns, id(4), at(4)).await?);
    Ok(())
}

/// Above all not those of nobody.
pub async fn an_unknown_principal_ends_nobody(stage: &Stage) -> Verdict {
    let ns = stage.portal();
    stage.put(ns, &record(1)).await?;
    stage.put(ns, &record_of(2, "alice")).await?;
    for name in ["bob", "Alice", "alic", "alice ", "%", "*", " "] {
        for except in [None, Some(id(1))] {
            let nobody = principal(name);
            let ended = stage
                .end_principal(ns, &nobody, except, After::Queue, at(1))
                .await?;
            assert_eq!(ended, 0, "of {name:?}");
        }
    }
    assert_eq!(stage.count(ns, at(1)).await?.live, 2);
    Ok(())
}

/// Who logged in, changed or logged out meanwhile counts as what they are now.
pub async fn it_is_the_present_principal_that_counts(stage: &Stage) -> Verdict {
    let ns = stage.portal();
    for number in 1..=3 {
        stage.put(ns, &record_of(number, "alice")).await?;
    }
    stage.put(ns, &record(4)).await?;
    let (alice, bob) = (principal("alice"), principal("bob"));
    let changes = [
        (2, Field::Set(bob)),
        (3, Field::Clear),
        (4, Field::Set(alice.clone())),
    ];
    for (number, owner) in changes {
        let mut change = passive(10);
        change.principal = owner;
        let updated = stage
            .update(ns, id(number), version(number), &change, at(1))
            .await?;
        assert_eq!(updated, Updated::Done);
    }
    let ended = stage
        .other()
        .end_principal(ns, &alice, None, After::Queue, at(2))
        .await?;
    assert_eq!(ended, 2);
    for number in 1..=4 {
        let live = stage.load(ns, id(number), at(2)).await?.is_some();
        assert_eq!(live, number == 2 || number == 3, "session {number}");
    }
    Ok(())
}

/// Without tombstones: the ids are free at once, and no reaper hears of them.
pub async fn a_principals_sessions_can_be_discarded(stage: &Stage) -> Verdict {
    let ns = stage.portal();
    stage.put(ns, &record_of(1, "alice")).await?;
    stage.put(ns, &record_of(2, "alice")).await?;
    let (alice, discard) = (principal("alice"), After::Discard);
    let ended = stage
        .end_principal(ns, &alice, Some(id(2)), discard, at(1))
        .await?;
    assert_eq!(ended, 1);
    assert_eq!(stage.inspect(ns, id(1), at(1)).await?, None);
    assert_eq!(stage.claim_all(ns, at(1)).await?, []);
    stage.put(ns, &record_of(1, "alice")).await?;
    Ok(())
}

/// Nobody could hold so many at once: it is a mistake, and ends nobody.
pub async fn the_ends_of_many_cannot_be_held(stage: &Stage) -> Verdict {
    let ns = stage.portal();
    stage.put(ns, &record_of(1, "alice")).await?;
    let (alice, hold) = (principal("alice"), After::Hold(LEASE));
    let refused = stage.end_principal(ns, &alice, None, hold, at(1)).await;
    assert_eq!(
        refused.map_err(|error| error.kind()),
        Err(ErrorKind::Invalid)
    );
    assert!(stage.load(ns, id(1), at(1)).await?.is_some());
    Ok(())
}

/// What ran out, ended or was reset before keeps the reason it had, and is not counted.
pub async fn only_live_sessions_end_with_their_principal(stage: &Stage) -> Verdict {
    let ns = stage.portal();
    let idle_timeout = timeout(5);
    stage.put(ns, &record_of(3, "alice")).await?;
    stage.reset(ns, at(1)).await?;
    stage
        .put(
            ns,
            &Record {
                idle_timeout,
                ..record_of(1, "alice")
            },
        )
        .await?;
    stage.put(ns, &record_of(2, "alice")).await?;
    stage
        .end(ns, id(2), None, EndReason::Logout, After::Queue, at(2))
        .await?;
    let (alice, discard) = (principal("alice"), After::Discard);
    let ended = stage
        .end_principal(ns, &alice, None, discard, at(10))
        .await?;
    assert_eq!(ended, 0);
    let mut ended = stage.reap(ns, at(IDLE)).await?;
    ended.sort_by_key(|ended| ended.tombstone.end.at);
    let ends = ended
        .iter()
        .map(|ended| (ended.record.id, ended.tombstone.end.reason));
    let expected = [
        (id(3), EndReason::ApplicationReset),
        (id(2), EndReason::Logout),
        (id(1), EndReason::IdleTimeout),
    ];
    assert_eq!(ends.collect::<Vec<_>>(), expected);
    Ok(())
}

/// However many, on both nodes at once: each is ended once, and counted once.
pub async fn a_principal_of_many_sessions_ends_whole(stage: &Stage) -> Verdict {
    let ns = stage.portal();
    let many = rows(10_000);
    let records = (0..many).map(|number| record_of(number, "robot"));
    stage.put_many(ns, records.collect()).await?;
    let counts = both(stage, |node| {
        let ns = ns.clone();
        async move {
            let robot = principal("robot");
            node.end_principal(&ns, &robot, Some(id(0)), After::Queue, at(1))
                .await
        }
    });
    assert_eq!(counts.await?.iter().sum::<u64>(), many - 1);
    let counts = stage.count(ns, at(1)).await?;
    assert_eq!((counts.live, counts.waiting), (1, many - 1));
    let ended = stage.claim_all(ns, at(1)).await?;
    let ids: BTreeSet<_> = ended.iter().map(|ended| ended.record.id).collect();
    assert_eq!((ids.len() as u64, ended.len() as u64), (many - 1, many - 1));
    let ticket = ended[0].ticket();
    assert!(stage.settle_one(ns, ticket, Outcome::Done, at(1)).await?);
    let entry = stage.entry(ns, ended[1].record.id, at(1)).await?;
    assert_eq!(entry.state, State::Ended(ended[1].tombstone.clone()));
    Ok(())
}
