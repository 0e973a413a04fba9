//! What takes a Redis that nobody else uses: its scripts forgotten, its writes counted, its
//! memory weighed and filled.

mod cluster;
mod full;
mod replicas;
mod servers;
mod sizes;

use deadpool_redis::redis::{Value, cmd};
use futures_util::{StreamExt as _, stream};
use tenure_conformance::props::{
    IDLE, LEASE, at, counted, id, payload_of, principal, record, record_of, rows, version,
};
use tenure_conformance::story::Story as _;
use tenure_store::{
    After, Created, EndReason, ErrorKind, Eviction, Excess, Field, Filter, Outcome, PrincipalLimit,
    Record, Resolve, Result, SessionStore, Updated,
};

use crate::base::{Base, portal, visitors};
use crate::support::servers::redis::Redis;

/// A number that the server says of itself.
fn info(redis: &Redis, name: &str) -> u64 {
    let Value::BulkString(text) = redis.ask(&cmd("INFO")) else {
        panic!("INFO is text");
    };
    let text = String::from_utf8(text).expect("it is UTF-8");
    let mut lines = text.lines().filter_map(|line| line.split_once(':'));
    let found = lines.find(|(field, _)| *field == name);
    found.expect("it says").1.parse().expect("a number")
}

/// How many changes the server has made to its data.
fn changes(redis: &Redis) -> u64 {
    info(redis, "rdb_changes_since_last_save")
}

fn set(redis: &Redis, name: &str, value: &str) {
    redis.ask(cmd("CONFIG").arg("SET").arg(name).arg(value));
}

/// Stores them, many at once.
async fn put_all(store: &dyn SessionStore, sessions: impl Iterator<Item = Record>) -> Result<()> {
    let ns = portal();
    let mut putting = stream::iter(sessions)
        .map(|session| {
            let ns = &ns;
            async move { store.create(ns, &session, at(0)).await }
        })
        .buffer_unordered(64);
    while let Some(created) = putting.next().await {
        assert_eq!(created?, Created::Done);
    }
    Ok(())
}

#[tokio::test]
#[ignore = "needs Redis: run scripts/test"]
async fn scripts_that_the_server_forgot_are_sent_again() -> Result<()> {
    let redis = Redis::start();
    let base = Base::on(redis.url());
    let (ns, visitors, store) = (portal(), visitors(), base.store().await);
    let forget = || redis.ask(cmd("SCRIPT").arg("FLUSH"));
    forget();
    store.open(&ns, tenure_store::Hooks::Expected).await?;
    for number in 1..=6 {
        forget();
        store.put(&ns, &record(number)).await?;
    }
    forget();
    assert!(store.touch(&ns, id(1), at(1)).await?);
    let mut change = counted(7);
    change.principal = Field::Set(principal("alice"));
    change.principal_limit = Some(PrincipalLimit {
        sessions: 1,
        excess: Excess::EndOldest(After::Queue),
    });
    for number in [1, 2] {
        forget();
        let updated = store.update(&ns, id(number), version(number), &change, at(1));
        assert_eq!(updated.await?, Updated::Done);
    }
    forget();
    let held = store.end(
        &ns,
        id(3),
        None,
        EndReason::Logout,
        After::Hold(LEASE),
        at(1),
    );
    let held = held.await?.expect("it was live").ticket();
    forget();
    assert_eq!(store.renew(&ns, &[held], LEASE, at(1)).await?, 1);
    forget();
    let alice = principal("alice");
    let ended = store.end_principal(&ns, &alice, None, After::Queue, at(1));
    assert_eq!(ended.await?, 1);
    forget();
    assert!(store.resolve(&ns, id(2), Resolve::Discard, at(1)).await?);
    forget();
    assert!(store.inspect(&ns, id(4), at(1)).await?.is_some());
    forget();
    assert_eq!(
        store
            .list(&ns, &Filter::all(10), at(1))
            .await?
            .entries
            .len(),
        5
    );
    forget();
    assert_eq!(store.count(&ns, at(1)).await?.live, 3);
    forget();
    store.reset(&ns, at(1)).await?;
    forget();
    assert_eq!(store.claim(&ns, LEASE, 10, at(1)).await?.ended.len(), 4);
    forget();
    assert!(store.settle_one(&ns, held, Outcome::Done, at(1)).await?);
    store.put(&visitors, &record(1)).await?;
    forget();
    assert_eq!(store.purge(&visitors, 10, at(IDLE)).await?.removed, 1);
    Ok(())
}

#[tokio::test]
#[ignore = "needs Redis: run scripts/test"]
async fn a_reset_of_many_writes_as_much_as_a_reset_of_few() -> Result<()> {
    let redis = Redis::start();
    let base = Base::on(redis.url());
    let (ns, store) = (portal(), base.store().await);
    let mut counts = Vec::new();
    let mut first = 0;
    // As few as there are in each shard for certain, then many more.
    for many in [300, rows(100_000)] {
        put_all(&*store, (first..first + many).map(record)).await?;
        first += many;
        let before = changes(&redis);
        store.reset(&ns, at(1)).await?;
        counts.push(changes(&redis) - before);
    }
    assert_eq!(counts, [48, 48], "three for each of 16 shards");
    Ok(())
}

#[tokio::test]
#[ignore = "needs Redis: run scripts/test"]
async fn what_moves_no_queue_is_one_write() -> Result<()> {
    let redis = Redis::start();
    let base = Base::on(redis.url());
    let (ns, store) = (portal(), base.store().await);
    store.put(&ns, &record_of(1, "alice")).await?;
    let before = changes(&redis);
    assert!(store.touch(&ns, id(1), at(1)).await?);
    assert_eq!(changes(&redis) - before, 1);
    let mut change = counted(2);
    change.payload = Some(payload_of(600));
    let updated = store.update(&ns, id(1), version(1), &change, at(2)).await?;
    assert_eq!((updated, changes(&redis) - before), (Updated::Done, 2));
    store.load(&ns, id(1), at(3)).await?;
    store.claim(&ns, LEASE, 10, at(3)).await?;
    store.list(&ns, &Filter::all(10), at(3)).await?;
    store.count(&ns, at(3)).await?;
    assert_eq!(changes(&redis) - before, 2, "looking writes nothing");
    Ok(())
}

#[tokio::test]
#[ignore = "needs Redis: run scripts/test"]
async fn a_server_that_evicts_is_refused() -> Result<()> {
    let redis = Redis::start();
    let base = Base::on(redis.url());
    let store = base.store().await;
    for policy in ["allkeys-lru", "allkeys-lfu", "allkeys-random"] {
        set(&redis, "maxmemory-policy", policy);
        let error = base.connect().await.expect_err("it may drop sessions");
        assert_eq!(error.kind(), ErrorKind::Misconfigured, "{error}");
        assert!(error.to_string().contains(policy), "{error}");
        let description = store.describe(at(0)).await?;
        assert_eq!(description.eviction, Eviction::Possible);
    }
    // Nothing here has a time-to-live.
    for policy in ["volatile-lru", "noeviction"] {
        set(&redis, "maxmemory-policy", policy);
        let description = base.connect().await?.describe(at(0)).await?;
        assert_eq!(description.eviction, Eviction::Never);
    }
    Ok(())
}

/// What fills it is refused as a whole, and can be done when there is room again.
#[tokio::test]
#[ignore = "needs Redis: run scripts/test"]
async fn a_full_server_does_nothing_by_halves() -> Result<()> {
    let redis = Redis::start();
    let base = Base::on(redis.url());
    let (ns, store) = (portal(), base.store().await);
    store.put(&ns, &record_of(1, "alice")).await?;
    store.put(&ns, &record(2)).await?;
    let before = store.everything(&ns, at(1)).await?;
    let mut change = counted(3);
    change.principal = Field::Set(principal("bob"));
    change.payload = Some(payload_of(600));

    set(&redis, "maxmemory", "1");
    let refused = Err(ErrorKind::Other);
    let created = store.create(&ns, &record(3), at(1)).await;
    assert_eq!(created.map(|_| ()).map_err(|error| error.kind()), refused);
    let updated = store.update(&ns, id(1), version(1), &change, at(1)).await;
    assert_eq!(updated.map(|_| ()).map_err(|error| error.kind()), refused);
    change.principal_limit = Some(PrincipalLimit {
        sessions: 1,
        excess: Excess::EndOldest(After::Queue),
    });
    let updated = store.update(&ns, id(1), version(1), &change, at(1)).await;
    assert_eq!(updated.map(|_| ()).map_err(|error| error.kind()), refused);
    assert_eq!(store.everything(&ns, at(1)).await?, before);

    set(&redis, "maxmemory", "0");
    assert_eq!(store.create(&ns, &record(3), at(1)).await?, Created::Done);
    let updated = store.update(&ns, id(1), version(1), &change, at(1));
    assert_eq!(updated.await?, Updated::Done);
    assert_eq!(store.reap(&ns, at(1 + IDLE)).await?.len(), 3);
    Ok(())
}

/// However many sessions may be on it: nobody's memory is filled by a page.
#[tokio::test]
#[ignore = "needs Redis: run scripts/test"]
async fn a_page_and_a_claim_are_bounded_in_bytes() -> Result<()> {
    const MANY: u64 = 60;
    let redis = Redis::start();
    let base = Base::on(redis.url());
    let (ns, store) = (portal(), base.store().await);
    let sessions = (0..MANY).map(|number| Record {
        payload: payload_of(1 << 20),
        ..record(number)
    });
    put_all(&*store, sessions).await?;
    let page = store.list(&ns, &Filter::all(1000), at(1)).await?;
    assert!(
        (1..=24).contains(&page.entries.len()),
        "{}",
        page.entries.len()
    );
    assert_eq!(store.everything(&ns, at(1)).await?.len() as u64, MANY);
    let claimed = store.claim(&ns, LEASE, 1000, at(IDLE)).await?;
    assert!((1..=24).contains(&claimed.ended.len()) && claimed.more);
    let rest = store.claim_by(&ns, 1000, at(IDLE)).await?;
    assert_eq!((claimed.ended.len() + rest.len()) as u64, MANY);
    Ok(())
}

/// With a payload of 512 bytes, all that a session takes is at most 1.6 times that and 500
/// bytes: record, keys, queues and lists.
#[tokio::test]
#[ignore = "needs Redis: run scripts/test"]
async fn a_session_weighs_little_more_than_its_payload() -> Result<()> {
    let redis = Redis::start();
    let base = Base::on(redis.url());
    let store = base.store().await;
    let many = rows(100_000);
    let before = info(&redis, "used_memory");
    let sessions = (0..many).map(|number| Record {
        payload: payload_of(512),
        principal: Some(principal(&format!("user {number}"))),
        ..record(number)
    });
    put_all(&*store, sessions).await?;
    let each = (info(&redis, "used_memory") - before) / many;
    assert!(each <= 512 * 16 / 10 + 500, "{each} bytes for each session");
    Ok(())
}
