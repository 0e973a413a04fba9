//! A server whose memory is full: what fills it is refused, what frees it or ends is not.

use deadpool_redis::redis::cmd;
use tenure_conformance::props::{
    IDLE, LEASE, at, counted, failure, id, passive, payload_of, principal, record, record_of,
    version,
};
use tenure_conformance::story::Story as _;
use tenure_store::{
    After, EndReason, ErrorKind, Excess, Field, Hooks, Outcome, PrincipalLimit, Resolve, Result,
    Updated,
};

use super::set;
use crate::base::{Base, portal};
use crate::support::servers::redis::Redis;

#[tokio::test]
#[ignore = "needs Redis: run scripts/test"]
async fn a_full_server_lets_everybody_out_and_is_emptied_by_reaping() -> Result<()> {
    let redis = Redis::start();
    let base = Base::on(redis.url());
    let (ns, store) = (portal(), base.store().await);
    for number in 1..=40 {
        let mut session = record_of(number, if number < 10 { "alice" } else { "bob" });
        session.payload = payload_of(600);
        store.put(&ns, &session).await?;
    }
    set(&redis, "maxmemory", "1");
    let refused = store.create(&ns, &record(99), at(1)).await;
    assert_eq!(refused.map_err(|error| error.kind()), Err(ErrorKind::Other));

    // It goes on being used, and everybody gets out.
    assert!(store.touch(&ns, id(1), at(1)).await?);
    let used = counted(101);
    let updated = store.update(&ns, id(1), version(1), &used, at(2));
    assert_eq!(updated.await?, Updated::Done);
    let mut shorter = counted(102);
    shorter.payload = Some(payload_of(10));
    let updated = store.update(&ns, id(1), version(101), &shorter, at(3));
    assert_eq!(updated.await?, Updated::Done);
    let mut out = passive(103);
    out.principal = Field::Clear;
    let updated = store.update(&ns, id(1), version(102), &out, at(3));
    assert_eq!(updated.await?, Updated::Done);
    let mut larger = counted(104);
    larger.payload = Some(payload_of(11));
    let updated = store.update(&ns, id(1), version(103), &larger, at(3));
    assert_eq!(
        updated.await.map_err(|error| error.kind()),
        Err(ErrorKind::Other)
    );
    let loaded = store.load(&ns, id(1), at(3)).await?.expect("it is live");
    assert_eq!(
        (loaded.payload, loaded.version),
        (payload_of(10), version(103))
    );

    for (number, after) in [
        (2, After::Queue),
        (3, After::Hold(LEASE)),
        (4, After::Discard),
    ] {
        let ended = store.end(&ns, id(number), None, EndReason::Logout, after, at(4));
        assert!(ended.await?.is_some());
    }
    let alice = principal("alice");
    let ended = store.end_principal(&ns, &alice, None, After::Queue, at(4));
    assert_eq!(ended.await?, 5);
    store.reset(&ns, at(5)).await?;
    assert_eq!(store.load(&ns, id(20), at(5)).await?, None);

    // A process that starts meanwhile can reap, too.
    let other = base.connect().await?;
    other.open(&ns, Hooks::Expected).await?;
    let claimed = other.claim(&ns, LEASE, 2, at(6)).await?;
    assert_eq!(claimed.ended.len(), 2);
    let [first, second] = [0, 1].map(|place| claimed.ended[place].ticket());
    assert_eq!(store.renew(&ns, &[first, second], LEASE, at(6)).await?, 2);
    let again = Outcome::Retry {
        at: at(7),
        why: failure("the mail server is away"),
    };
    let dead = Outcome::Dead {
        why: failure("for good"),
    };
    let outcomes = [(first, again), (second, dead)];
    assert_eq!(store.settle(&ns, &outcomes, at(6)).await?, 2);
    assert!(
        store
            .resolve(&ns, second.id, Resolve::Requeue, at(7))
            .await?
    );
    let lapsed = at(8).plus(LEASE);
    assert_eq!(store.reap(&ns, lapsed).await?.len(), 39);
    let counts = store.count(&ns, lapsed).await?;
    assert_eq!(
        counts.live + counts.over + counts.waiting + counts.held + counts.dead,
        0
    );

    set(&redis, "maxmemory", "0");
    store.put(&ns, &record(99)).await?;
    Ok(())
}

#[tokio::test]
#[ignore = "needs Redis: run scripts/test"]
async fn a_full_server_is_emptied_by_purging() -> Result<()> {
    let redis = Redis::start();
    let base = Base::on(redis.url());
    let store = base.connect().await?;
    let ns = portal();
    store.open(&ns, Hooks::Withdrawn).await?;
    for number in 1..=40 {
        store.put(&ns, &record(number)).await?;
    }
    set(&redis, "maxmemory", "1");
    assert_eq!(store.purge(&ns, 100, at(IDLE)).await?.removed, 40);
    Ok(())
}

/// The others that made room are gone: so it must not be said that nothing happened.
#[tokio::test]
#[ignore = "needs Redis: run scripts/test"]
async fn a_log_in_that_ended_others_and_failed_is_unavailable() -> Result<()> {
    let redis = Redis::start();
    let base = Base::on(redis.url());
    let (ns, store) = (portal(), base.store().await);
    let shard = |number: u64| id(number).as_bytes()[0] % 16;
    let other = (2..99).find(|number| shard(*number) != shard(1));
    let other = other.expect("there are several shards");
    store.put(&ns, &record(1)).await?;
    store.put(&ns, &record_of(other, "alice")).await?;
    // What the change itself needs, and nothing before it.
    let due = base.key(id(1), "d");
    base.ask::<()>(cmd("SET").arg(due).arg("nothing of Tenure's"));
    let mut change = counted(7);
    change.principal = Field::Set(principal("alice"));
    change.idle_timeout = Field::Set(record(1).idle_timeout.expect("it has one"));
    change.principal_limit = Some(PrincipalLimit {
        sessions: 1,
        excess: Excess::EndOldest(After::Queue),
    });
    let updated = store.update(&ns, id(1), version(1), &change, at(1)).await;
    assert!(updated.is_err_and(|error| error.is_unavailable()));
    assert_eq!(store.load(&ns, id(other), at(1)).await?, None);
    Ok(())
}

/// In every shard the first step is done, and the second refused.
#[tokio::test]
#[ignore = "needs Redis: run scripts/test"]
async fn an_end_by_principal_that_failed_behind_its_first_step_is_unavailable() -> Result<()> {
    let redis = Redis::start();
    let base = Base::on(redis.url());
    let (ns, store) = (portal(), base.store().await);
    let shard = |number: u64| usize::from(id(number).as_bytes()[0] % 16);
    let mut members = vec![Vec::new(); 16];
    for number in 0..16 * 700 {
        members[shard(number)].push(number);
    }
    let numbers = members.iter_mut().flat_map(|members| {
        // In the order of lists: all are created at once.
        members.truncate(501);
        members.iter().copied()
    });
    let numbers: Vec<u64> = numbers.collect();
    super::put_all(
        &*store,
        numbers.iter().map(|number| record_of(*number, "alice")),
    )
    .await?;
    for members in &members {
        assert_eq!(members.len(), 501);
        let last = members.iter().map(|number| id(*number)).max();
        let key = base.record(last.expect("there are some"));
        base.ask::<()>(cmd("DEL").arg(&key));
        base.ask::<()>(cmd("LPUSH").arg(&key).arg("nothing of Tenure's"));
    }
    let alice = principal("alice");
    let ended = store.end_principal(&ns, &alice, None, After::Queue, at(1));
    assert!(ended.await.is_err_and(|error| error.is_unavailable()));
    assert_eq!(store.count(&ns, at(1)).await?.waiting, 16 * 500);
    Ok(())
}
