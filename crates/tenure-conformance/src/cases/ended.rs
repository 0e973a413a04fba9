//! E: ended stays ended. One request loads, another one ends, and the first comes late.

use tenure_store::{
    After, Created, EndReason, Entry, Imported, Outcome, Record, Rotation, State, Updated,
};

use crate::props::{
    IDLE, LEASE, at, counted, id, passive, payload, principal, record, record_of, version,
};
use crate::story::Story;
use crate::{Stage, Verdict};

/// Everything that a late request may try, on both nodes: each attempt says that the
/// session is gone, whatever version it expects, and nothing is live afterwards.
async fn nothing_brings_it_back(stage: &Stage, now: i64) -> Verdict {
    let ns = stage.portal();
    let now = at(now);
    let before = stage.inspect(ns, id(1), now).await?;
    for node in [stage.node(), stage.other()] {
        for expected in [version(1), version(2)] {
            let mut change = passive(3);
            change.payload = Some(payload(3));
            change.rotation = Some(Rotation::new(1, None)?);
            for change in [passive(3), counted(3), change] {
                let updated = node.update(ns, id(1), expected, &change, now).await?;
                assert_eq!(updated, Updated::Gone, "never Changed");
            }
        }
        assert!(!node.touch(ns, id(1), now).await?);
        for after in [After::Hold(LEASE), After::Queue, After::Discard] {
            let again = node
                .end(ns, id(1), None, EndReason::Administrator, after, now)
                .await?;
            assert_eq!(again, None);
        }
        let alice = principal("alice");
        assert_eq!(
            node.end_principal(ns, &alice, None, After::Queue, now)
                .await?,
            0
        );
        assert_eq!(node.load(ns, id(1), now).await?, None);
        if before.is_some() {
            let created = node.create(ns, &record_of(1, "alice"), now).await?;
            assert_eq!(created, Created::Exists);
            let live = Entry {
                record: record_of(1, "alice"),
                state: State::Live,
            };
            assert_eq!(node.bring(ns, &live, now).await?, Imported::Exists);
        }
    }
    assert_eq!(
        stage.inspect(ns, id(1), now).await?,
        before,
        "nor was it changed"
    );
    Ok(())
}

async fn put_one(stage: &Stage) -> Result<Record, crate::Broken> {
    let ns = stage.portal();
    stage.put(ns, &record_of(1, "alice")).await?;
    let loaded = stage.other().load(ns, id(1), at(1)).await?;
    Ok(loaded.expect("it is live"))
}

/// Ended by its user, whoever is to run the hook; and when the hook has run.
pub async fn what_its_user_ended_stays_ended(stage: &Stage) -> Verdict {
    let ns = stage.portal();
    put_one(stage).await?;
    stage
        .end(ns, id(1), None, EndReason::Logout, After::Queue, at(2))
        .await?;
    nothing_brings_it_back(stage, 3).await?;
    assert_eq!(stage.reap(ns, at(4)).await?.len(), 1);
    nothing_brings_it_back(stage, 5).await
}

pub async fn what_its_user_ended_and_holds_stays_ended(stage: &Stage) -> Verdict {
    let ns = stage.portal();
    put_one(stage).await?;
    let hold = After::Hold(LEASE);
    let ended = stage
        .end(ns, id(1), None, EndReason::Logout, hold, at(2))
        .await?;
    nothing_brings_it_back(stage, 3).await?;
    let ticket = ended.expect("it was live").ticket();
    assert!(stage.settle_one(ns, ticket, Outcome::Done, at(4)).await?);
    nothing_brings_it_back(stage, 5).await
}

pub async fn what_was_ended_and_discarded_stays_ended(stage: &Stage) -> Verdict {
    put_one(stage).await?;
    let discard = After::Discard;
    stage
        .end(
            stage.portal(),
            id(1),
            None,
            EndReason::Moved,
            discard,
            at(2),
        )
        .await?;
    nothing_brings_it_back(stage, 3).await
}

/// Also when the late request's clock is behind the reaper's.
pub async fn what_a_reaper_ended_stays_ended(stage: &Stage) -> Verdict {
    let ns = stage.portal();
    put_one(stage).await?;
    let ended = stage.claim_one(ns, at(IDLE)).await?;
    nothing_brings_it_back(stage, IDLE).await?;
    nothing_brings_it_back(stage, IDLE - 1).await?;
    assert!(
        stage
            .settle_one(ns, ended.ticket(), Outcome::Done, at(IDLE))
            .await?
    );
    nothing_brings_it_back(stage, IDLE - 1).await
}

/// Also after several resets, after new sessions came, and on a clock behind the
/// reset's.
pub async fn what_a_reset_ended_stays_ended(stage: &Stage) -> Verdict {
    let ns = stage.portal();
    put_one(stage).await?;
    stage.reset(ns, at(2)).await?;
    nothing_brings_it_back(stage, 2).await?;
    nothing_brings_it_back(stage, 1).await?;
    stage.put(ns, &record(7)).await?;
    stage.other().reset(ns, at(3)).await?;
    nothing_brings_it_back(stage, 3).await?;
    assert_eq!(stage.reap(ns, at(4)).await?.len(), 2);
    nothing_brings_it_back(stage, 4).await
}

pub async fn what_was_ended_with_its_principal_stays_ended(stage: &Stage) -> Verdict {
    let ns = stage.portal();
    put_one(stage).await?;
    let alice = principal("alice");
    let ended = stage
        .end_principal(ns, &alice, None, After::Queue, at(2))
        .await?;
    assert_eq!(ended, 1);
    nothing_brings_it_back(stage, 3).await?;
    assert_eq!(stage.reap(ns, at(4)).await?.len(), 1);
    nothing_brings_it_back(stage, 5).await
}

pub async fn what_ran_out_stays_ended(stage: &Stage) -> Verdict {
    put_one(stage).await?;
    nothing_brings_it_back(stage, IDLE).await
}

/// Nor does a dead letter, nor one that an operator put back to the reapers.
pub async fn a_dead_letter_stays_ended(stage: &Stage) -> Verdict {
    let ns = stage.portal();
    put_one(stage).await?;
    stage
        .end(ns, id(1), None, EndReason::Logout, After::Queue, at(2))
        .await?;
    stage.bury(ns, at(3)).await?;
    nothing_brings_it_back(stage, 4).await?;
    assert!(
        stage
            .resolve(ns, id(1), tenure_store::Resolve::Requeue, at(5))
            .await?
    );
    nothing_brings_it_back(stage, 6).await
}
