//! I: lists, page by page.

use std::collections::BTreeSet;
use std::ops::Range;

use tenure_store::{After, Cursor, EndReason, Filter, Record, Status, Timestamp};
use tokio::task::JoinSet;

use crate::props::{HOUR, at, endless, id, principal, rows};
use crate::story::{Story, all};
use crate::{Stage, Verdict};

fn endless_at(number: u64, created: i64) -> Record {
    Record {
        created: at(created),
        last_access: at(created),
        ..endless(number)
    }
}

/// By creation, and by id among those created at the same instant; on pages of any
/// size, without a gap or a repetition.
pub async fn pages_are_in_the_order_of_creation_and_id(stage: &Stage) -> Verdict {
    let ns = stage.portal();
    let records: Vec<_> = (0..60)
        .map(|number| endless_at(number, i64::try_from(number % 7).unwrap_or(0) - 3))
        .collect();
    stage.put_many(ns, records.clone()).await?;
    let mut expected: Vec<_> = records.iter().map(Cursor::of).collect();
    expected.sort_unstable();
    for limit in [1, 2, 7, 59, 60, 61, 1_000] {
        let entries = stage
            .other()
            .scan(ns, &Filter::all(limit), at(HOUR))
            .await?;
        let seen: Vec<_> = entries
            .iter()
            .map(|entry| Cursor::of(&entry.record))
            .collect();
        assert_eq!(seen, expected, "{limit} on a page");
    }
    Ok(())
}

/// While other sessions come and go on both nodes: those that are there throughout are
/// seen, once each.
pub async fn a_scan_sees_every_lasting_session_once(stage: &Stage) -> Verdict {
    let ns = stage.portal();
    let lasting = rows(100_000);
    let created = |number: u64| i64::try_from(number % 1_000).unwrap_or(0);
    let records = (0..lasting).map(|number| endless_at(number, created(number)));
    stage.put_many(ns, records.collect()).await?;

    let mut passing = JoinSet::new();
    for task in 0..4 {
        let (node, ns) = (stage.nth(task), ns.clone());
        passing.spawn(async move {
            for step in 0..50 {
                let number = lasting + task * 1_000 + step;
                node.put(&ns, &endless_at(number, created(number * 37)))
                    .await?;
                let (reason, discard) = (EndReason::Logout, After::Discard);
                let ended = node
                    .end(&ns, id(number), None, reason, discard, at(HOUR))
                    .await?;
                assert!(ended.is_some());
            }
            Ok(())
        });
    }
    let mut scanning = JoinSet::new();
    for task in 0..2 {
        let (node, ns) = (stage.nth(task), ns.clone());
        scanning.spawn(async move { node.scan(&ns, &Filter::all(97), at(HOUR)).await });
    }
    let scans = all(scanning).await?;
    all(passing).await?;

    let lasting: BTreeSet<_> = (0..lasting).map(id).collect();
    for entries in scans {
        let seen: Vec<_> = entries.iter().map(|entry| entry.record.id).collect();
        let once: BTreeSet<_> = seen.iter().copied().collect();
        assert_eq!(once.len(), seen.len(), "nothing was seen twice");
        assert!(once.is_superset(&lasting), "everything lasting was seen");
    }
    Ok(())
}

/// However few of many sessions a filter lets through, its scan ends, and finds them.
pub async fn a_scan_for_few_among_many_ends(stage: &Stage) -> Verdict {
    let ns = stage.portal();
    let many = rows(10_000);
    let records = (0..many).map(|number| match number {
        number if number == many / 2 => Record {
            principal: Some(principal("alice")),
            ..endless(number)
        },
        number => endless(number),
    });
    stage.put_many(ns, records.collect()).await?;
    let mut of_alice = Filter::all(10);
    of_alice.principal = Some(principal("alice"));
    let found = stage.scan(ns, &of_alice, at(1)).await?;
    assert_eq!(found.len(), 1);
    assert_eq!(found[0].record.id, id(many / 2));
    let mut dead = Filter::all(10);
    dead.status = Some(Status::Dead);
    assert_eq!(stage.scan(ns, &dead, at(1)).await?, []);
    Ok(())
}

/// From its start, before its end.
pub async fn a_filter_by_creation_is_half_open(stage: &Stage) -> Verdict {
    let ns = stage.portal();
    for number in 0..10 {
        let created = i64::try_from(number).unwrap_or(0);
        stage.put(ns, &endless_at(number, created)).await?;
    }
    stage
        .put(
            ns,
            &Record {
                created: Timestamp::MIN,
                ..endless(10)
            },
        )
        .await?;
    let ranges = [
        (3, 7, 4),
        (0, 1, 1),
        (9, 100, 1),
        (10, 100, 0),
        (5, 5, 0),
        (-5, 0, 0),
        (-5, 10, 10),
    ];
    for (start, end, count) in ranges {
        let mut filter = Filter::all(3);
        filter.created = at(start)..at(end);
        let found = stage.scan(ns, &filter, at(50)).await?;
        assert_eq!(found.len(), count, "{start} to {end}");
        assert!(
            found
                .iter()
                .all(|entry| filter.created.contains(&entry.record.created))
        );
    }
    let mut backwards = Filter::all(3);
    backwards.created = Range {
        start: at(7),
        end: at(3),
    };
    assert_eq!(stage.scan(ns, &backwards, at(50)).await?, []);
    assert_eq!(stage.everything(ns, at(50)).await?.len(), 11);
    Ok(())
}
