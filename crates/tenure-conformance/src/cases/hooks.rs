//! L: the store's half of end hooks: what they get, and that they get it once.

use std::collections::BTreeSet;

use tenure_store::{Access, After, Change, End, EndReason, Field, Outcome, Record, Rotation};
use tokio::task::{JoinSet, yield_now};

use crate::props::{
    HOUR, IDLE, LEASE, LEASE_MILLIS, at, failure, id, passive, payload, payload_of, principal,
    record, record_of, version,
};
use crate::story::{Story, all};
use crate::{Stage, Verdict};

/// Everything, as it was last, whatever ended it.
pub async fn a_hook_gets_the_whole_last_record(stage: &Stage) -> Verdict {
    let ns = stage.portal();
    let change = Change {
        access: Access::Counts,
        payload: Some(payload_of(3_000)),
        principal: Field::Set(principal("alice")),
        lifetime: Field::Clear,
        rotation: Some(Rotation::new(9, Some(at(HOUR)))?),
        ..passive(9)
    };
    let mut last = Vec::new();
    for number in 1..=4 {
        let mut record = record(number);
        stage.put(ns, &record).await?;
        assert!(stage.touch(ns, id(number), at(5)).await?);
        record.access(at(5));
        let updated = stage
            .update(ns, id(number), version(number), &change, at(6))
            .await?;
        assert_eq!(updated, tenure_store::Updated::Done);
        change.apply_to(&mut record, at(6));
        last.push(record);
    }
    let (reason, queue) = (EndReason::Logout, After::Queue);
    stage.end(ns, id(1), None, reason, queue, at(7)).await?;
    let clear = Change {
        principal: Field::Clear,
        ..passive(10)
    };
    let updated = stage.update(ns, id(3), version(9), &clear, at(7)).await?;
    assert_eq!(updated, tenure_store::Updated::Done);
    clear.apply_to(&mut last[2], at(7));
    let (alice, spared) = (principal("alice"), Some(id(4)));
    assert_eq!(
        stage
            .end_principal(ns, &alice, spared, queue, at(8))
            .await?,
        1
    );
    let leave = Change {
        leaves_at: Field::Set(at(9)),
        ..passive(11)
    };
    let updated = stage.update(ns, id(4), version(9), &leave, at(8)).await?;
    assert_eq!(updated, tenure_store::Updated::Done);
    leave.apply_to(&mut last[3], at(8));
    stage.reset(ns, at(10)).await?;

    let mut ended = stage.other().reap(ns, at(HOUR)).await?;
    ended.sort_by_key(|ended| last.iter().position(|last| last.id == ended.record.id));
    let records: Vec<_> = ended.iter().map(|ended| ended.record.clone()).collect();
    assert_eq!(records, last);
    let ends: Vec<_> = ended.iter().map(|ended| ended.tombstone.end).collect();
    let expected = [
        (EndReason::Logout, 7),
        (EndReason::PrincipalRevoked, 8),
        (EndReason::ApplicationReset, 10),
        (EndReason::Left, 9),
    ];
    let expected = expected.map(|(reason, millis)| End {
        reason,
        at: at(millis),
    });
    assert_eq!(ends, expected);
    Ok(())
}

/// The ender runs it at once, though reapers look on from both nodes all the while.
pub async fn an_ender_runs_its_hook_with_reapers_looking_on(stage: &Stage) -> Verdict {
    let ns = stage.portal();
    let many = 100;
    stage.put_many(ns, (0..many).map(record).collect()).await?;
    let mut tasks = JoinSet::new();
    for reaper in 0..2 {
        let (node, ns) = (stage.nth(reaper), ns.clone());
        tasks.spawn(async move {
            for _ in 0..50 {
                assert_eq!(node.claim_all(&ns, at(2)).await?, []);
                yield_now().await;
            }
            Ok(())
        });
    }
    for ender in 0..4 {
        let (node, ns) = (stage.nth(ender), ns.clone());
        tasks.spawn(async move {
            for number in (ender..many).step_by(4) {
                let (reason, hold) = (EndReason::Logout, After::Hold(LEASE));
                let ended = node.end(&ns, id(number), None, reason, hold, at(1)).await?;
                let ticket = ended.expect("it was live").ticket();
                assert!(node.settle_one(&ns, ticket, Outcome::Done, at(2)).await?);
            }
            Ok(())
        });
    }
    all(tasks).await?;
    assert_eq!(stage.everything(ns, at(HOUR)).await?, []);
    Ok(())
}

/// Of several nodes that end one session at once, one gets to run its hook.
pub async fn of_two_enders_one_has_the_hook(stage: &Stage) -> Verdict {
    let ns = stage.portal();
    for number in 0..20 {
        stage.put(ns, &record(number)).await?;
        let mut ending = JoinSet::new();
        for ender in 0..6 {
            let (node, ns) = (stage.nth(ender), ns.clone());
            ending.spawn(async move {
                let (reason, hold) = (EndReason::Logout, After::Hold(LEASE));
                node.end(&ns, id(number), None, reason, hold, at(1)).await
            });
        }
        let ended: Vec<_> = all(ending).await?.into_iter().flatten().collect();
        assert_eq!(ended.len(), 1);
        let ticket = ended[0].ticket();
        assert!(stage.settle_one(ns, ticket, Outcome::Done, at(1)).await?);
    }
    Ok(())
}

/// One that is never settled, or fails for ever, keeps no other one waiting, even if
/// each claim looks at few.
pub async fn a_failing_hook_holds_up_no_other(stage: &Stage) -> Verdict {
    let ns = stage.portal();
    stage.put_many(ns, (0..30).map(record).collect()).await?;
    stage.reset(ns, at(0)).await?;
    let mut done = BTreeSet::new();
    for round in 0..200 {
        let now = at(round * LEASE_MILLIS);
        let claimed = stage.claim(ns, LEASE, 3, now).await?;
        for ended in claimed.ended {
            let number = (0..30).find(|number| id(*number) == ended.record.id);
            let outcome = match number {
                // This one's hook takes its process with it.
                Some(0) => continue,
                Some(1) => Outcome::Retry {
                    at: now,
                    why: failure("always"),
                },
                _ => Outcome::Done,
            };
            if outcome == Outcome::Done {
                done.insert(ended.record.id);
            }
            assert!(stage.settle_one(ns, ended.ticket(), outcome, now).await?);
        }
        if done.len() == 28 {
            return Ok(());
        }
    }
    panic!("{} of 28 hooks were never run", 28 - done.len());
}

/// Id and attempt number: what makes a hook's work recognisable never comes twice.
pub async fn no_ticket_comes_twice(stage: &Stage) -> Verdict {
    let ns = stage.portal();
    stage.put(ns, &record_of(1, "alice")).await?;
    let (reason, hold) = (EndReason::Logout, After::Hold(LEASE));
    let ended = stage.end(ns, id(1), None, reason, hold, at(0)).await?;
    let mut tickets = vec![ended.expect("it was live").ticket()];
    let mut now = 0;
    for attempt in 1..=12 {
        let why = failure("x");
        let ticket = tickets[tickets.len() - 1];
        let outcome = match attempt % 4 {
            0 => None,
            1 => Some(Outcome::Release),
            2 => Some(Outcome::Retry {
                at: at(now + 5),
                why,
            }),
            _ => Some(Outcome::Dead { why }),
        };
        let dead = matches!(outcome, Some(Outcome::Dead { .. }));
        if let Some(outcome) = outcome {
            assert!(stage.settle_one(ns, ticket, outcome, at(now)).await?);
        }
        now += LEASE_MILLIS;
        if dead {
            let requeue = tenure_store::Resolve::Requeue;
            assert!(stage.resolve(ns, id(1), requeue, at(now)).await?);
        }
        let again = stage.nth(attempt).claim_one(ns, at(now)).await?;
        assert_eq!(again.record, record_of(1, "alice"));
        tickets.push(again.ticket());
    }
    let distinct: BTreeSet<_> = tickets.iter().map(|ticket| ticket.claim).collect();
    assert_eq!(distinct.len(), tickets.len());
    assert!(tickets.is_sorted_by_key(|ticket| ticket.claim));
    Ok(())
}

/// Whatever its payload is, it can be ended, reset, listed and reaped, and so can its
/// neighbours in the same batch.
pub async fn no_payload_harms_its_neighbours(stage: &Stage) -> Verdict {
    let ns = stage.portal();
    let odd: [&[u8]; 6] = [b"", b"\0", b"\xff\xfe", b"{", b"null", b"'; --"];
    for (number, bytes) in (0..).zip(odd) {
        let payload = tenure_store::Payload::new(bytes.to_vec());
        stage
            .put(
                ns,
                &Record {
                    payload,
                    ..record(number)
                },
            )
            .await?;
        stage.put(ns, &record(number + 100)).await?;
    }
    assert_eq!(stage.everything(ns, at(1)).await?.len(), 12);
    stage
        .end(ns, id(0), None, EndReason::Logout, After::Queue, at(1))
        .await?;
    stage.reset(ns, at(2)).await?;
    let ended = stage.reap(ns, at(IDLE)).await?;
    assert_eq!(ended.len(), 12);
    for (number, bytes) in (0..).zip(odd) {
        let find = |number| ended.iter().find(|ended| ended.record.id == id(number));
        let one = find(number).expect("it ended");
        assert_eq!(one.record.payload.as_bytes(), bytes);
        let neighbour = find(number + 100).expect("it ended");
        assert_eq!(neighbour.record.payload, payload(number + 100));
    }
    Ok(())
}
