//! Each method of the contract.

use std::time::Duration;

use tenure_conformance::props::{at, counted, id, principal, record, record_of, version};
use tenure_store::{
    After, EndReason, Entry, Epoch, Excess, Field, Filter, Hooks, Outcome, PrincipalLimit, Resolve,
    State, Ticket,
};

use crate::line::Line;

const LEASE: Duration = Duration::from_mins(1);

/// First use of the connection and of the statement, and again after idleness.
pub(crate) async fn an_operation_on_one_session_is_one_round_trip(line: Line) {
    let (store, ns) = (&line.store, &line.ns);
    for round in 0..2 {
        let n = |number: u64| 10 * round + number;
        for number in 1..=3 {
            let record = record(n(number));
            let (done, trips) = line.count(store.create(ns, &record, at(0))).await;
            let _ = done.expect("answers");
            assert_eq!(trips, 1, "create, round {round}");
        }
        let (found, trips) = line.count(store.load(ns, id(n(1)), at(1))).await;
        assert_eq!(
            (found.expect("answers").is_some(), trips),
            (true, 1),
            "load"
        );
        let (found, trips) = line.count(store.load(ns, id(99), at(1))).await;
        assert_eq!((found.expect("answers"), trips), (None, 1), "load nothing");
        let (touched, trips) = line.count(store.touch(ns, id(n(1)), at(1))).await;
        assert_eq!((touched.expect("answers"), trips), (true, 1), "touch");
        let change = counted(100 + n(1));
        let update = store.update(ns, id(n(1)), version(n(1)), &change, at(2));
        let (updated, trips) = line.count(update).await;
        assert_eq!(
            (updated.expect("answers"), trips),
            (tenure_store::Updated::Done, 1),
            "update"
        );
        for (number, after) in [
            (1, After::Queue),
            (2, After::Hold(LEASE)),
            (3, After::Discard),
        ] {
            let end = store.end(ns, id(n(number)), None, EndReason::Logout, after, at(3));
            let (ended, trips) = line.count(end).await;
            assert_eq!(
                (ended.expect("answers").is_some(), trips),
                (true, 1),
                "{after:?}"
            );
        }
        line.idle().await;
    }
}

/// What operators and reapers do: no more than a fixed number, whatever there is. On first
/// use a statement may be made known to the server, which is one more.
pub(crate) async fn an_operation_on_many_sessions_is_a_fixed_number_of_round_trips(line: Line) {
    let (store, ns) = (&line.store, &line.ns);
    // The 16 shards of Redis are asked all at once, but their answers need not come together.
    let shards = if line.is_redis() { 16 } else { 1 };
    for round in 0..2 {
        let n = |number: u64| 1_000 * round + number;
        for number in 0..200 {
            let record = record_of(n(number), "alice");
            let _ = store.create(ns, &record, at(0)).await.expect("answers");
        }
        line.look_after_connections().await;
        let most = |name: &str, trips: u64, most: u64| {
            let first = u64::from(round == 0);
            assert!(trips <= most + first, "{name}: {trips} in round {round}");
        };
        let (done, trips) = line.count(store.open(ns, Hooks::Expected)).await;
        done.expect("answers");
        most("open", trips, shards + 1);
        let (_, trips) = line.count(store.inspect(ns, id(n(1)), at(1))).await;
        most("inspect", trips, 1);
        let (epoch, trips) = line.count(store.epoch(ns, id(n(1)))).await;
        most("epoch", trips, 1);
        let entry = Entry {
            record: record(n(999)),
            state: State::Live,
        };
        let epoch: Epoch = epoch.expect("answers");
        let (_, trips) = line.count(store.import(ns, &entry, epoch, at(1))).await;
        most("import", trips, 1);
        let (_, trips) = line.count(store.list(ns, &Filter::all(50), at(1))).await;
        most("list", trips, 2 * shards);
        let (_, trips) = line.count(store.count(ns, at(1))).await;
        most("count", trips, 2 * shards);
        let (_, trips) = line.count(store.namespaces()).await;
        most("namespaces", trips, 1);
        let (_, trips) = line.count(store.describe(at(1))).await;
        most("describe", trips, 4);

        let mut log_in = counted(5_000 + n(1));
        log_in.principal = Field::Set(principal("bob"));
        log_in.principal_limit = Some(PrincipalLimit {
            sessions: 3,
            excess: Excess::Refuse,
        });
        let update = store.update(ns, id(n(1)), version(n(1)), &log_in, at(1));
        let (_, trips) = line.count(update).await;
        // The lock, who is there, the update, and a transaction around them.
        most(
            "log-in with a limit",
            trips,
            if line.is_redis() { 4 * shards } else { 5 + 3 },
        );

        let alice = principal("alice");
        let end = store.end_principal(ns, &alice, None, After::Queue, at(2));
        let (ended, trips) = line.count(end).await;
        assert_eq!(ended.expect("answers"), 199);
        most("end_principal", trips, 3 * shards);
        let (claimed, trips) = line.count(store.claim(ns, LEASE, 100, at(3))).await;
        let claimed = claimed.expect("answers");
        assert_eq!(claimed.ended.len(), 100);
        most("claim", trips, 2 * shards);
        let tickets: Vec<Ticket> = claimed
            .ended
            .iter()
            .map(tenure_store::Ended::ticket)
            .collect();
        let (renewed, trips) = line.count(store.renew(ns, &tickets, LEASE, at(4))).await;
        assert_eq!(renewed.expect("answers"), 100);
        most("renew", trips, shards);
        let done: Vec<_> = tickets.iter().map(|t| (*t, Outcome::Done)).collect();
        let (settled, trips) = line.count(store.settle(ns, &done, at(4))).await;
        assert_eq!(settled.expect("answers"), 100);
        most("settle", trips, shards);
        let (_, trips) = line.count(store.reset(ns, at(5))).await;
        most("reset", trips, 2 * shards);
        let (_, trips) = line
            .count(store.resolve(ns, id(n(2)), Resolve::Discard, at(9)))
            .await;
        most("resolve", trips, 1);
        line.idle().await;
    }
}
