//! J: how many sessions a principal may have.

use tenure_store::{
    After, Change, End, EndReason, ErrorKind, Excess, Field, Namespace, PrincipalLimit, Result,
    SessionStore, State, Tombstone, Updated,
};

use crate::props::{
    LEASE, at, counted, id, passive, principal, record, record_at, record_of, timeout, version,
};
use crate::story::Story;
use crate::{Stage, Verdict};

pub(super) const END_OLDEST: Excess = Excess::EndOldest(After::Queue);

/// A log-in of somebody who may have so many sessions.
pub(super) fn log_in(name: &str, sessions: u32, excess: Excess) -> Change {
    let mut change = counted(1_000);
    change.principal = Field::Set(principal(name));
    change.principal_limit = Some(PrincipalLimit { sessions, excess });
    change
}

/// Logs in a session that has its first version.
pub(super) async fn logged_in(
    node: &dyn SessionStore,
    ns: &Namespace,
    number: u64,
    change: &Change,
) -> Result<Updated> {
    node.update(ns, id(number), version(number), change, at(5))
        .await
}

/// The numbers of the sessions that are live.
async fn live(stage: &Stage, ns: &Namespace, numbers: u64) -> Result<Vec<u64>> {
    let mut live = Vec::new();
    for number in 1..=numbers {
        if stage.load(ns, id(number), at(5)).await?.is_some() {
            live.push(number);
        }
    }
    Ok(live)
}

/// By (created, id), whenever it logged in or was used; it waits for its hook with the
/// reason and the instant, on every node at once.
pub async fn the_oldest_session_makes_room(stage: &Stage) -> Verdict {
    let ns = stage.portal();
    for (number, created) in [(1, 2), (2, 0), (3, 0), (4, 1)] {
        stage.put(ns, &record_at(number, at(created))).await?;
    }
    let change = log_in("alice", 2, END_OLDEST);
    for number in 1..=2 {
        let updated = logged_in(&**stage, ns, number, &change).await?;
        assert_eq!(updated, Updated::Done);
    }
    assert_eq!(live(stage, ns, 4).await?, [1, 2, 3, 4]);
    assert!(stage.touch(ns, id(2), at(5)).await?);
    for (newcomer, left) in [(3, vec![1, 3, 4]), (4, vec![1, 4])] {
        let updated = logged_in(&*stage.other(), ns, newcomer, &change).await?;
        assert_eq!(updated, Updated::Done);
        assert_eq!(live(stage, ns, 4).await?, left);
    }
    let end = End {
        reason: EndReason::Displaced,
        at: at(5),
    };
    for number in [2, 3] {
        let entry = stage.entry(ns, id(number), at(5)).await?;
        assert_eq!(entry.record.principal, Some(principal("alice")));
        assert_eq!(entry.state, State::Ended(Tombstone::new(end)));
    }
    assert_eq!(stage.reap(ns, at(5)).await?.len(), 2);
    Ok(())
}

/// Nothing is written, and there is room again as soon as one has ended.
pub async fn a_full_principal_is_refused(stage: &Stage) -> Verdict {
    let ns = stage.portal();
    for number in 1..=2 {
        stage.put(ns, &record_of(number, "alice")).await?;
    }
    stage.put(ns, &record(3)).await?;
    let before = stage.everything(ns, at(5)).await?;
    let mut change = log_in("alice", 2, Excess::Refuse);
    change.payload = Some(crate::props::payload(77));
    for node in [stage.node(), stage.other()] {
        assert_eq!(logged_in(&*node, ns, 3, &change).await?, Updated::Full);
    }
    assert_eq!(stage.everything(ns, at(5)).await?, before);
    stage
        .end(ns, id(1), None, EndReason::Logout, After::Queue, at(5))
        .await?;
    assert_eq!(logged_in(&**stage, ns, 3, &change).await?, Updated::Done);
    let loaded = stage.load(ns, id(3), at(5)).await?.expect("it is live");
    let mut expected = record(3);
    change.apply_to(&mut expected, at(5));
    assert_eq!(loaded, expected);
    Ok(())
}

/// A session is not in its own way, whether it is theirs already or not.
pub async fn logging_in_again_is_no_excess(stage: &Stage) -> Verdict {
    let ns = stage.portal();
    for excess in [Excess::Refuse, END_OLDEST] {
        stage.put(ns, &record_of(1, "alice")).await?;
        stage.put(ns, &record_of(2, "alice")).await?;
        let change = log_in("alice", 2, excess);
        assert_eq!(logged_in(&**stage, ns, 1, &change).await?, Updated::Done);
        assert_eq!(live(stage, ns, 2).await?, [1, 2], "{excess:?}");
        let alone = log_in("bob", 1, excess);
        assert_eq!(logged_in(&**stage, ns, 2, &alone).await?, Updated::Done);
        assert_eq!(live(stage, ns, 2).await?, [1, 2], "{excess:?}");
        for number in 1..=2 {
            stage
                .end(
                    ns,
                    id(number),
                    None,
                    EndReason::Logout,
                    After::Discard,
                    at(5),
                )
                .await?;
        }
    }
    Ok(())
}

/// What ran out, was ended or was reset takes no room, and keeps the reason it has.
pub async fn only_live_sessions_count(stage: &Stage) -> Verdict {
    let ns = stage.portal();
    stage.put(ns, &record_of(1, "alice")).await?;
    stage.reset(ns, at(1)).await?;
    let mut short = record_of(2, "alice");
    short.idle_timeout = timeout(5);
    stage.put(ns, &short).await?;
    stage.put(ns, &record_of(3, "alice")).await?;
    stage
        .end(ns, id(3), None, EndReason::Logout, After::Queue, at(2))
        .await?;
    for (number, excess) in [(4, Excess::Refuse), (5, END_OLDEST)] {
        stage.put(ns, &record(number)).await?;
        let change = log_in("alice", 1, excess);
        let updated = logged_in(&**stage, ns, number, &change).await?;
        assert_eq!(updated, Updated::Done);
    }
    let mut ended = stage.reap(ns, at(5)).await?;
    ended.sort_by_key(|ended| ended.tombstone.end.reason);
    let reasons: Vec<_> = ended
        .iter()
        .map(|ended| (ended.record.id, ended.tombstone.end.reason))
        .collect();
    let expected = [
        (id(3), EndReason::Logout),
        (id(2), EndReason::IdleTimeout),
        (id(1), EndReason::ApplicationReset),
        (id(4), EndReason::Displaced),
    ];
    assert_eq!(reasons, expected);
    Ok(())
}

/// Of a principal with another name, of nobody, or in another namespace.
pub async fn nobody_elses_sessions_count(stage: &Stage) -> Verdict {
    let ns = stage.portal();
    for (number, name) in [(1, "Alice"), (2, "alic"), (3, "alice "), (4, "bob")] {
        stage.put(ns, &record_of(number, name)).await?;
    }
    stage.put(ns, &record(5)).await?;
    stage.put(stage.wiki(), &record_of(1, "alice")).await?;
    stage.put(stage.visitors(), &record_of(1, "alice")).await?;
    stage.put(ns, &record(6)).await?;
    stage.put(ns, &record(7)).await?;
    let change = log_in("alice", 1, Excess::Refuse);
    assert_eq!(logged_in(&**stage, ns, 6, &change).await?, Updated::Done);
    let change = log_in("alice", 1, END_OLDEST);
    assert_eq!(logged_in(&**stage, ns, 7, &change).await?, Updated::Done);
    assert_eq!(live(stage, ns, 7).await?, [1, 2, 3, 4, 5, 7]);
    for other in [stage.wiki(), stage.visitors()] {
        assert!(stage.load(other, id(1), at(5)).await?.is_some());
    }
    Ok(())
}

/// That somebody else changed or ended the session is said first, and ends no other.
pub async fn a_refused_log_in_ends_nobody(stage: &Stage) -> Verdict {
    let ns = stage.portal();
    stage.put(ns, &record_of(1, "alice")).await?;
    stage.put(ns, &record(2)).await?;
    for excess in [Excess::Refuse, END_OLDEST] {
        let change = log_in("alice", 1, excess);
        let late = stage.update(ns, id(2), version(99), &change, at(5)).await?;
        assert_eq!(late, Updated::Changed);
        assert_eq!(logged_in(&**stage, ns, 9, &change).await?, Updated::Gone);
    }
    assert_eq!(live(stage, ns, 2).await?, [1, 2]);
    assert_eq!(stage.load(ns, id(2), at(5)).await?, Some(record(2)));
    Ok(())
}

/// As many as it takes, oldest first; with a refusal, none.
pub async fn a_lowered_limit_ends_several(stage: &Stage) -> Verdict {
    let ns = stage.portal();
    for number in 1..=5 {
        let created = at(i64::try_from(number).unwrap_or(0) - 5);
        let mut theirs = record_at(number, created);
        theirs.principal = Some(principal("alice"));
        stage.put(ns, &theirs).await?;
    }
    stage.put(ns, &record(6)).await?;
    let change = log_in("alice", 3, Excess::Refuse);
    assert_eq!(logged_in(&**stage, ns, 6, &change).await?, Updated::Full);
    let change = log_in("alice", 3, END_OLDEST);
    // It is theirs already, and itself the second oldest.
    assert_eq!(logged_in(&**stage, ns, 2, &change).await?, Updated::Done);
    assert_eq!(live(stage, ns, 6).await?, [2, 4, 5, 6]);
    assert_eq!(logged_in(&**stage, ns, 6, &change).await?, Updated::Done);
    assert_eq!(live(stage, ns, 6).await?, [4, 5, 6]);
    Ok(())
}

/// Without a tombstone: no reaper hears of it.
pub async fn displaced_sessions_can_be_discarded(stage: &Stage) -> Verdict {
    let ns = stage.portal();
    stage.put(ns, &record_of(1, "alice")).await?;
    stage.put(ns, &record(2)).await?;
    let change = log_in("alice", 1, Excess::EndOldest(After::Discard));
    assert_eq!(logged_in(&**stage, ns, 2, &change).await?, Updated::Done);
    assert_eq!(stage.inspect(ns, id(1), at(5)).await?, None);
    assert_eq!(stage.claim_all(ns, at(5)).await?, []);
    stage.put(ns, &record_of(1, "alice")).await?;
    Ok(())
}

/// An update that sets none, and one that logs out, are as they were without it.
pub async fn a_limit_is_looked_at_with_a_principal_only(stage: &Stage) -> Verdict {
    let ns = stage.portal();
    stage.put(ns, &record_of(1, "alice")).await?;
    stage.put(ns, &record_of(2, "alice")).await?;
    for (step, field) in [(2, Field::Keep), (3, Field::Clear)] {
        for sessions in [0, 1] {
            let mut change = log_in("alice", sessions, END_OLDEST);
            change.principal = field.clone();
            let next = step * 10 + u64::from(sessions);
            change.version = version(next);
            let expected = stage.load(ns, id(2), at(5)).await?.expect("it is live");
            let updated = stage
                .update(ns, id(2), expected.version, &change, at(5))
                .await?;
            assert_eq!(updated, Updated::Done);
        }
    }
    assert_eq!(live(stage, ns, 2).await?, [1, 2]);
    let mut unlimited = passive(99);
    unlimited.principal = Field::Set(principal("alice"));
    let loaded = stage.load(ns, id(2), at(5)).await?.expect("it is live");
    let updated = stage
        .update(ns, id(2), loaded.version, &unlimited, at(5))
        .await?;
    assert_eq!(updated, Updated::Done);
    assert_eq!(live(stage, ns, 2).await?, [1, 2]);
    Ok(())
}

/// No sessions at all, or ends that somebody is to hold: nothing is written.
pub async fn an_impossible_limit_is_refused(stage: &Stage) -> Verdict {
    let ns = stage.portal();
    stage.put(ns, &record_of(1, "alice")).await?;
    stage.put(ns, &record(2)).await?;
    let held = Excess::EndOldest(After::Hold(LEASE));
    for (sessions, excess) in [(0, Excess::Refuse), (0, END_OLDEST), (1, held)] {
        let change = log_in("alice", sessions, excess);
        let refused = logged_in(&**stage, ns, 2, &change).await;
        let kind = refused.map_err(|error| error.kind());
        assert_eq!(kind, Err(ErrorKind::Invalid), "{sessions} {excess:?}");
    }
    assert_eq!(live(stage, ns, 2).await?, [1, 2]);
    assert_eq!(stage.load(ns, id(2), at(5)).await?, Some(record(2)));
    Ok(())
}
