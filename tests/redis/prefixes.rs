//! Stores that share a Redis, and what they note of themselves in it.

use deadpool_redis::redis::cmd;
use futures_util::FutureExt as _;
use tenure_conformance::props::{
    IDLE, at, endless, id, passive, principal, record, record_of, version,
};
use tenure_conformance::story::Story as _;
use tenure_store::{After, Created, ErrorKind, Field, Namespace, Result, Updated};

use crate::base::{Base, polled, portal, visitors};

#[tokio::test]
#[ignore = "needs Redis: run scripts/test"]
async fn stores_of_different_prefixes_share_nothing() -> Result<()> {
    let (one, other) = (Base::new().await, Base::new().await);
    let (here, there) = (one.store().await, other.connect().await?);
    let ns = portal();
    here.put(&ns, &record(1)).await?;
    assert_eq!(there.namespaces().await?, Vec::<Namespace>::new());
    assert_eq!(here.namespaces().await?, [portal(), visitors()]);
    assert_eq!(there.load(&ns, id(1), at(1)).await?, None);
    let refused = there.reset(&ns, at(1)).await;
    let kind = refused.map_err(|error| error.kind());
    assert_eq!(kind, Err(ErrorKind::NotOpened));

    let there = other.store().await;
    assert_eq!(there.create(&ns, &record(1), at(0)).await?, Created::Done);
    there.reset(&ns, at(1)).await?;
    assert_eq!(there.claim_all(&ns, at(1)).await?.len(), 1);
    assert!(here.touch(&ns, id(1), at(1)).await?);
    Ok(())
}

#[tokio::test]
#[ignore = "needs Redis: run scripts/test"]
async fn nothing_is_left_of_what_is_gone() -> Result<()> {
    let base = Base::new().await;
    let (ns, store) = (portal(), base.store().await);
    let before = base.keys();
    for number in 0..50 {
        store.put(&ns, &record_of(number, "alice")).await?;
    }
    store.reset(&ns, at(1)).await?;
    for number in 50..100 {
        store.put(&ns, &record_of(number, "alice")).await?;
        let mut change = passive(number);
        change.principal = Field::from_option((number < 75).then(|| principal("bob")));
        let updated = store.update(&ns, id(number), version(number), &change, at(1));
        assert_eq!(updated.await?, Updated::Done);
    }
    assert_eq!(store.reap(&ns, at(IDLE)).await?.len(), 100);
    let (mut before, mut after) = (before, base.keys());
    before.sort_unstable();
    after.sort_unstable();
    assert_eq!(after, before);
    let notes: Vec<String> = base.ask(cmd("HKEYS").arg(base.key(id(0), "n")));
    assert_eq!(notes.len(), 2, "the reset is forgotten: {notes:?}");
    Ok(())
}

#[tokio::test]
#[ignore = "needs Redis: run scripts/test"]
async fn nothing_has_a_time_to_live() -> Result<()> {
    let base = Base::new().await;
    let (ns, store) = (portal(), base.store().await);
    store.put(&ns, &record_of(1, "alice")).await?;
    store.put(&ns, &record(2)).await?;
    store.reset(&ns, at(1)).await?;
    store.put(&ns, &endless(3)).await?;
    for key in base.keys() {
        assert_eq!(base.ask::<i64>(cmd("PTTL").arg(&key)), -1);
    }
    Ok(())
}

#[tokio::test]
#[ignore = "needs Redis: run scripts/test"]
async fn another_layout_is_refused_and_left_alone() -> Result<()> {
    for (field, value) in [("version", "2"), ("version", "1.5"), ("shards", "32")] {
        let base = Base::new().await;
        let store = base.store().await;
        let description = store.describe(at(0)).await?;
        assert_eq!(description.schema_applied, description.schema_expected);
        base.ask::<()>(cmd("HSET").arg(base.layout()).arg(field).arg(value));
        let keys = base.keys().len();
        let error = base.connect().await.expect_err("another layout");
        assert_eq!(error.kind(), ErrorKind::SchemaMismatch, "{error}");
        let noted: String = base.ask(cmd("HGET").arg(base.layout()).arg(field));
        assert_eq!((noted.as_str(), base.keys().len()), (value, keys));
    }
    Ok(())
}

/// Its caller dropped it after any number of polls: what it began is finished all the same,
/// and closing waits for it.
#[tokio::test]
#[ignore = "needs Redis: run scripts/test"]
async fn an_operation_of_several_steps_needs_no_caller() -> Result<()> {
    let base = Base::new().await;
    let (ns, other) = (portal(), base.store().await);
    for polls in 1..6 {
        let store = base.store().await;
        for number in 0..40 {
            store
                .put(&ns, &record_of(polls * 100 + number, "alice"))
                .await?;
        }
        let alice = principal("alice");
        let ending = store.end_principal(&ns, &alice, None, After::Discard, at(1));
        polled(&mut ending.boxed(), polls).await;
        store.close().await?;
        assert_eq!(
            other.count(&ns, at(1)).await?.live,
            0,
            "after {polls} polls"
        );
    }
    Ok(())
}
