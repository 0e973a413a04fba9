//! What an operation looks at: what it needs, and not what there is.

use deadpool_redis::redis::{Value, cmd};
use tenure_conformance::props::{
    at, counted, endless, failure, id, principal, record, record_of, rows, version,
};
use tenure_conformance::story::Story as _;
use tenure_store::{
    After, EndReason, Excess, Field, Filter, Outcome, PrincipalLimit, Record, Result, Status,
    Updated,
};

use super::put_all;
use crate::base::{Base, portal};
use crate::support::servers::redis::Redis;

/// How many records, or headers of records, the server has read since it was last asked.
fn reads(redis: &Redis) -> u64 {
    let Value::BulkString(text) = redis.ask(cmd("INFO").arg("commandstats")) else {
        panic!("INFO is text");
    };
    let text = String::from_utf8(text).expect("it is UTF-8");
    let calls = |line: &str| {
        let (_, calls) = line.split_once("calls=")?;
        calls.split(',').next()?.parse::<u64>().ok()
    };
    let mut lines = text.lines();
    let line = lines.find(|line| line.starts_with("cmdstat_getrange:"));
    let read = line.and_then(calls).unwrap_or(0);
    redis.ask(cmd("CONFIG").arg("RESETSTAT"));
    read
}

fn limited(number: u64, excess: Excess) -> tenure_store::Change {
    let mut change = counted(number);
    change.principal = Field::Set(principal("alice"));
    change.principal_limit = Some(PrincipalLimit {
        sessions: 5,
        excess,
    });
    change
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs Redis: run scripts/test"]
async fn a_limit_looks_at_few_sessions_however_many_a_principal_has() -> Result<()> {
    let redis = Redis::start();
    let base = Base::on(redis.url());
    let (ns, store) = (portal(), base.store().await);
    let many = rows(100_000);
    let sessions = (0..many).map(|number| Record {
        created: at(i64::try_from(number).expect("few")),
        principal: Some(principal("alice")),
        ..endless(number)
    });
    put_all(&*store, sessions).await?;
    let new = many + 1;
    store.put(&ns, &endless(new)).await?;

    reads(&redis);
    let now = at(i64::try_from(many).expect("few"));
    let refused = limited(7_000_000, Excess::Refuse);
    let updated = store.update(&ns, id(new), version(new), &refused, now);
    assert_eq!(updated.await?, Updated::Full);
    let read = reads(&redis);
    assert!(read < 1_000, "{read} headers of {many} were read to refuse");

    // Room is made by steps, and however long that takes, each try gets further.
    let quick = base.within(2_000).await;
    let makes_room = limited(7_000_001, Excess::EndOldest(After::Queue));
    let mut tries = 0;
    let done = loop {
        tries += 1;
        match quick
            .update(&ns, id(new), version(new), &makes_room, now)
            .await
        {
            Ok(updated) => break updated,
            Err(error) => assert!(error.is_unavailable() && tries < 20, "{error:?}"),
        }
    };
    // After `Unavailable` it may have been done: then its version is another.
    assert!(done == Updated::Done || tries > 1 && done == Updated::Changed);
    let counts = store.count(&ns, now).await?;
    assert_eq!((counts.live, counts.waiting), (5, many - 4));
    for number in many - 4..many {
        assert!(
            store.load(&ns, id(number), now).await?.is_some(),
            "the newest stay"
        );
    }
    Ok(())
}

/// Whatever the principal has besides: tombstones, other times, other shards.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs Redis: run scripts/test"]
async fn the_oldest_of_those_that_are_live_make_room() -> Result<()> {
    let redis = Redis::start();
    let base = Base::on(redis.url());
    let (ns, store) = (portal(), base.store().await);
    // The newest have ended, so that pages of each shard hold none that counts.
    for number in 0..1_200 {
        let created = at(i64::try_from(number).expect("few"));
        let session = Record {
            created,
            ..record_of(number, "alice")
        };
        store.put(&ns, &session).await?;
        if number >= 40 {
            let ended = store.end(
                &ns,
                id(number),
                None,
                EndReason::Logout,
                After::Queue,
                created,
            );
            assert!(ended.await?.is_some());
        }
    }
    store.put(&ns, &record(5_000)).await?;
    let change = limited(7_000_001, Excess::EndOldest(After::Queue));
    let updated = store.update(&ns, id(5_000), version(5_000), &change, at(2_000));
    assert_eq!(updated.await?, Updated::Done);
    for number in 0..40 {
        let lives = store.load(&ns, id(number), at(2_000)).await?.is_some();
        assert_eq!(lives, number >= 36, "{number}");
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs Redis: run scripts/test"]
async fn looks_at_what_is_in_a_queue_read_nothing_else() -> Result<()> {
    let redis = Redis::start();
    let base = Base::on(redis.url());
    let (ns, store) = (portal(), base.store().await);
    let many = rows(20_000);
    put_all(&*store, (0..many).map(endless)).await?;
    let of = |status: Status| Filter {
        status: Some(status),
        ..Filter::all(100)
    };
    reads(&redis);
    for status in [Status::Dead, Status::Held, Status::Waiting] {
        assert_eq!(store.scan(&ns, &of(status), at(1)).await?, []);
    }
    assert_eq!(store.count(&ns, at(1)).await?.live, many);
    assert_eq!(reads(&redis), 0, "there is nothing to look at");

    for number in 0..4 {
        let ended = store.end(
            &ns,
            id(number),
            None,
            EndReason::Logout,
            After::Queue,
            at(1),
        );
        assert!(ended.await?.is_some());
    }
    let claimed = store
        .claim(&ns, tenure_conformance::props::LEASE, 3, at(2))
        .await?;
    let tickets: Vec<_> = claimed
        .ended
        .iter()
        .map(tenure_store::Ended::ticket)
        .collect();
    let dead = Outcome::Dead {
        why: failure("for good"),
    };
    let outcomes = [(tickets[0], dead.clone()), (tickets[1], dead)];
    assert_eq!(store.settle(&ns, &outcomes, at(2)).await?, 2);
    reads(&redis);
    for (status, expected) in [(Status::Dead, 2), (Status::Held, 1), (Status::Waiting, 1)] {
        let listed = store.scan(&ns, &of(status), at(3)).await?;
        assert_eq!(listed.len(), expected, "{status:?}");
        let mut one_by_one = of(status);
        one_by_one.limit = 1;
        assert_eq!(store.scan(&ns, &one_by_one, at(3)).await?, listed);
    }
    let read = reads(&redis);
    assert!(read < 40, "{read} were read");
    // What a reset ended is over, all of it.
    store.reset(&ns, at(4)).await?;
    reads(&redis);
    let counts = store.count(&ns, at(5)).await?;
    assert_eq!((counts.live, counts.over, counts.dead), (0, many - 4, 2));
    assert_eq!(counts.oldest_due, Some(at(1)), "the one that waits");
    assert_eq!(reads(&redis), 0);
    Ok(())
}
