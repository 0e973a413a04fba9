//! Opening namespaces, describing a store, closing it.

use std::sync::Arc;

use tenure_store::{
    After, Created, Durability, EndReason, Entry, Epoch, Error, Filter, Hooks, Kind, Namespace,
    Outcome, Resolve, State, Ticket,
};
use tokio::task::JoinSet;

use crate::props::{LEASE, at, id, passive, principal, record, version};
use crate::story::{Story, all, both};
use crate::{Stage, Verdict};

/// All that were ever opened, by anybody, once each, in order, and no other.
pub async fn every_opened_namespace_is_known(stage: &Stage) -> Verdict {
    let mut expected = vec![
        stage.portal().clone(),
        stage.wiki().clone(),
        stage.visitors().clone(),
    ];
    expected.sort();
    assert_eq!(stage.namespaces().await?, expected);
    for name in ["b", "a", "B", "a.b", "a-b", "zz", "Z"] {
        for kind in [Kind::Visitors, Kind::Sessions] {
            let ns = Namespace::new(kind, name)?;
            stage.other().open(&ns, Hooks::Unstated).await?;
            stage.open(&ns, Hooks::Unstated).await?;
            expected.push(ns);
        }
    }
    expected.sort();
    for node in [stage.node(), stage.other(), stage.another().await] {
        assert_eq!(node.namespaces().await?, expected);
    }
    Ok(())
}

/// A service that starts again finds everything as it was.
pub async fn opening_again_changes_nothing(stage: &Stage) -> Verdict {
    let ns = stage.portal();
    stage.put(ns, &record(1)).await?;
    stage.reset(ns, at(1)).await?;
    stage.put(ns, &record(2)).await?;
    let before = stage.everything(ns, at(2)).await?;
    for hooks in [
        Hooks::Expected,
        Hooks::Unstated,
        Hooks::Withdrawn,
        Hooks::Expected,
    ] {
        stage.nth(1).open(ns, hooks).await?;
        assert_eq!(stage.everything(ns, at(2)).await?, before);
    }
    assert_eq!(
        stage.load(ns, id(1), at(2)).await?,
        None,
        "the reset is not forgotten"
    );
    assert!(stage.touch(ns, id(2), at(2)).await?);
    Ok(())
}

/// All nodes of a service start at once, while one of them is at work.
pub async fn many_can_open_at_once(stage: &Stage) -> Verdict {
    let mut opening = JoinSet::new();
    for opener in 0..16 {
        let node = stage.nth(opener);
        opening.spawn(async move {
            for name in ["one", "two", "three"] {
                let ns = Namespace::sessions(name)?;
                node.open(&ns, Hooks::Expected).await?;
                node.put(&ns, &record(opener)).await?;
            }
            Ok(())
        });
    }
    all(opening).await?;
    for name in ["one", "two", "three"] {
        let ns = Namespace::sessions(name)?;
        assert_eq!(stage.count(&ns, at(1)).await?.live, 16);
    }
    assert_eq!(stage.namespaces().await?.len(), 6);
    Ok(())
}

/// With a name, a limit on payloads, and a schema that is the one it works with.
pub async fn a_store_describes_itself(stage: &Stage) -> Verdict {
    let described = both(stage, |node| async move { node.describe(at(0)).await }).await?;
    for description in described {
        assert!(!description.backend.is_empty());
        assert!(!description.version.is_empty());
        assert!(description.payload_limit > 0);
        assert_eq!(description.schema_applied, description.schema_expected);
        assert!(description.durability >= Durability::Volatile);
    }
    Ok(())
}

/// Whatever is asked of it; closing it again is fine.
pub async fn a_closed_store_is_unavailable(stage: &Stage) -> Verdict {
    let ns = stage.portal();
    stage.put(ns, &record(1)).await?;
    let node = stage.another().await;
    node.close().await?;
    node.close().await?;

    let alice = principal("alice");
    let entry = Entry {
        record: record(2),
        state: State::Live,
    };
    let ticket = Ticket {
        id: id(1),
        claim: 1,
    };
    let (reason, queue) = (EndReason::Logout, After::Queue);
    let filter = Filter::all(1);
    refused("open", node.open(ns, Hooks::Unstated)).await;
    refused("create", node.create(ns, &record(2), at(1))).await;
    refused("load", node.load(ns, id(1), at(1))).await;
    refused("touch", node.touch(ns, id(1), at(1))).await;
    refused(
        "update",
        node.update(ns, id(1), version(1), &passive(2), at(1)),
    )
    .await;
    refused("end", node.end(ns, id(1), None, reason, queue, at(1))).await;
    refused(
        "end_principal",
        node.end_principal(ns, &alice, None, queue, at(1)),
    )
    .await;
    refused("reset", node.reset(ns, at(1))).await;
    refused("claim", node.claim(ns, LEASE, 1, at(1))).await;
    refused("renew", node.renew(ns, &[ticket], LEASE, at(1))).await;
    refused("settle", node.settle(ns, &[(ticket, Outcome::Done)], at(1))).await;
    refused("purge", node.purge(stage.visitors(), 1, at(1))).await;
    refused("inspect", node.inspect(ns, id(1), at(1))).await;
    refused("list", node.list(ns, &filter, at(1))).await;
    refused("count", node.count(ns, at(1))).await;
    refused("namespaces", node.namespaces()).await;
    refused("resolve", node.resolve(ns, id(1), Resolve::Discard, at(1))).await;
    refused("epoch", node.epoch(ns, id(2))).await;
    refused("import", node.import(ns, &entry, Epoch::new(0), at(1))).await;
    refused("describe", node.describe(at(1))).await;
    Ok(())
}

async fn refused<T>(what: &str, call: impl Future<Output = tenure_store::Result<T>>) {
    match call.await {
        Ok(_) => panic!("{what} worked on a closed store"),
        Err(error) => assert!(error.is_unavailable(), "{what} failed with {error}"),
    }
}

/// What it had accepted it finishes: each write under way is acknowledged and there, or
/// refused as unavailable; none is left half done, and none hangs.
pub async fn closing_finishes_what_was_accepted(stage: &Stage) -> Verdict {
    let ns = stage.portal();
    let node = stage.another().await;
    let mut creating = JoinSet::new();
    for number in 0..64 {
        let (node, ns) = (Arc::clone(&node), ns.clone());
        creating.spawn(async move { Ok((number, node.create(&ns, &record(number), at(0)).await)) });
    }
    tokio::task::yield_now().await;
    node.close().await?;
    for (number, created) in all(creating).await? {
        let seen = stage.load(ns, id(number), at(1)).await;
        match (created, seen) {
            (Ok(created), Ok(seen)) => {
                assert_eq!(created, Created::Done);
                assert_eq!(seen, Some(record(number)));
            }
            // A refused write may or may not have happened, as a whole.
            (Err(error), Ok(seen)) => {
                assert!(error.is_unavailable(), "{error}");
                assert!(seen.is_none_or(|seen| seen == record(number)));
            }
            // The store lives in one process, and all of its nodes are one.
            (created, Err(error)) => {
                assert!(error.is_unavailable(), "{error}");
                assert!(
                    created
                        .as_ref()
                        .map_or_else(Error::is_unavailable, |_| true)
                );
            }
        }
    }
    Ok(())
}
