//! What somebody else's hand did to the keys: it harms only what it was done to.

use deadpool_redis::redis::cmd;
use tenure_conformance::props::{IDLE, LEASE, at, id, passive, record, record_of, version};
use tenure_conformance::story::Story as _;
use tenure_store::{
    After, EndReason, ErrorKind, Excess, Field, Filter, Principal, PrincipalLimit, Result,
    SessionId, Updated,
};

use crate::base::{Base, portal};

/// Two sessions of one shard, so that one script has to do with both.
fn neighbours() -> (u64, u64) {
    let shard = |number: u64| id(number).as_bytes()[0] % 16;
    let other = (2..1000).find(|number| shard(*number) == shard(1));
    (1, other.expect("there are few shards"))
}

fn ids<'a>(records: impl IntoIterator<Item = &'a tenure_store::Record>) -> Vec<SessionId> {
    records.into_iter().map(|record| record.id).collect()
}

#[tokio::test]
#[ignore = "needs Redis: run scripts/test"]
async fn a_damaged_record_harms_only_itself() -> Result<()> {
    let base = Base::new().await;
    let (ns, store) = (portal(), base.store().await);
    let (damaged, whole) = neighbours();
    store.put(&ns, &record(damaged)).await?;
    store.put(&ns, &record(whole)).await?;
    let key = base.record(id(damaged));
    base.ask::<()>(cmd("SETRANGE").arg(key).arg(0).arg(b"\xff"));

    let corrupt = Err(ErrorKind::Corrupt);
    let loaded = store.load(&ns, id(damaged), at(1)).await;
    assert_eq!(loaded.map(|_| ()).map_err(|error| error.kind()), corrupt);
    let touched = store.touch(&ns, id(damaged), at(1)).await;
    assert_eq!(touched.map(|_| ()).map_err(|error| error.kind()), corrupt);
    let inspected = store.inspect(&ns, id(damaged), at(1)).await;
    assert_eq!(inspected.map(|_| ()).map_err(|error| error.kind()), corrupt);

    assert!(store.touch(&ns, id(whole), at(1)).await?);
    let page = store.list(&ns, &Filter::all(10), at(1)).await?;
    assert_eq!(
        ids(page.entries.iter().map(|entry| &entry.record)),
        [id(whole)]
    );
    // It is put off, and comes again when the lease is over; the other one is reaped.
    for now in [at(1 + IDLE), at(1 + IDLE).plus(LEASE)] {
        let claimed = store.claim(&ns, LEASE, 10, now).await?;
        assert_eq!(
            ids(claimed.ended.iter().map(|ended| &ended.record)),
            [id(whole)]
        );
        assert!(!claimed.more);
        assert_eq!(claimed.next_due, Some(now.plus(LEASE)));
    }
    Ok(())
}

#[tokio::test]
#[ignore = "needs Redis: run scripts/test"]
async fn a_truncated_record_harms_only_itself() -> Result<()> {
    let base = Base::new().await;
    let (ns, store) = (portal(), base.store().await);
    let (damaged, whole) = neighbours();
    store.put(&ns, &record_of(damaged, "alice")).await?;
    store.put(&ns, &record_of(whole, "alice")).await?;
    base.ask::<()>(cmd("SET").arg(base.record(id(damaged))).arg("short"));

    let alice = Principal::new("alice")?;
    let ended = store
        .end_principal(&ns, &alice, None, After::Queue, at(1))
        .await?;
    assert_eq!(ended, 1);
    let claimed = store.claim(&ns, LEASE, 10, at(1)).await?;
    assert_eq!(
        ids(claimed.ended.iter().map(|ended| &ended.record)),
        [id(whole)]
    );
    Ok(())
}

/// By the first claim that meets it; until then it is in nobody's way.
#[tokio::test]
#[ignore = "needs Redis: run scripts/test"]
async fn an_index_without_its_record_is_healed() -> Result<()> {
    let base = Base::new().await;
    let (ns, store) = (portal(), base.store().await);
    let (gone, whole) = neighbours();
    store.put(&ns, &record_of(gone, "alice")).await?;
    store.put(&ns, &record_of(whole, "alice")).await?;
    base.ask::<()>(cmd("DEL").arg(base.record(id(gone))));

    assert_eq!(store.load(&ns, id(gone), at(1)).await?, None);
    assert_eq!(store.everything(&ns, at(1)).await?.len(), 1);
    let claimed = store.claim_all(&ns, at(IDLE)).await?;
    assert_eq!(ids(claimed.iter().map(|ended| &ended.record)), [id(whole)]);
    let left: Vec<Vec<u8>> = base.ask(cmd("ZRANGE").arg(base.key(id(gone), "d")).arg(0).arg(-1));
    assert_eq!(left, Vec::<Vec<u8>>::new());

    let alice = Principal::new("alice")?;
    let after = After::Queue;
    store.end_principal(&ns, &alice, None, after, at(1)).await?;
    let left: Vec<Vec<u8>> = base.ask(cmd("ZRANGE").arg(base.key(id(gone), "p")).arg(0).arg(-1));
    assert_eq!(left.len(), 1, "the other one's, which is a tombstone");
    // And the id is free.
    store.put(&ns, &record(gone)).await?;
    let ended = store.end(&ns, id(gone), None, EndReason::Logout, after, at(1));
    assert!(ended.await?.is_some());
    Ok(())
}

#[tokio::test]
#[ignore = "needs Redis: run scripts/test"]
async fn an_id_in_a_wrong_queue_is_put_right() -> Result<()> {
    let base = Base::new().await;
    let (ns, store) = (portal(), base.store().await);
    store.put(&ns, &record(1)).await?;
    for queue in ["w", "h"] {
        let key = base.key(id(1), queue);
        base.ask::<()>(cmd("ZADD").arg(key).arg(0).arg(id(1).as_bytes()));
    }
    assert_eq!(store.claim_all(&ns, at(1)).await?, []);
    assert!(store.touch(&ns, id(1), at(1)).await?);
    assert_eq!(store.count(&ns, at(1)).await?.waiting, 0);
    let claimed = store.claim_all(&ns, at(1 + IDLE)).await?;
    assert_eq!(claimed.len(), 1);
    Ok(())
}

#[tokio::test]
#[ignore = "needs Redis: run scripts/test"]
async fn a_session_of_an_unknown_epoch_is_over_and_reaped() -> Result<()> {
    let base = Base::new().await;
    let (ns, store) = (portal(), base.store().await);
    store.put(&ns, &record(1)).await?;
    base.ask::<()>(cmd("INCR").arg(base.key(id(1), "e")));
    assert_eq!(store.load(&ns, id(1), at(1)).await?, None);
    // Nobody knows when it ended: so now; and nobody looks before it would run out.
    let claimed = store.claim_all(&ns, at(IDLE)).await?;
    assert_eq!(ids(claimed.iter().map(|ended| &ended.record)), [id(1)]);
    let end = claimed[0].tombstone.end;
    assert_eq!((end.reason, end.at), (EndReason::IdleTimeout, at(IDLE)));
    Ok(())
}

/// As it looks to whoever read the index before the principal changed.
#[tokio::test]
#[ignore = "needs Redis: run scripts/test"]
async fn an_index_of_somebody_else_ends_and_counts_nobody() -> Result<()> {
    let base = Base::new().await;
    let (ns, store) = (portal(), base.store().await);
    store.put(&ns, &record_of(1, "bob")).await?;
    store.put(&ns, &record(2)).await?;
    let created = at(0).as_millis().cast_unsigned() ^ 1 << 63;
    let member = [b"alice\0", &created.to_be_bytes()[..], id(1).as_bytes()].concat();
    let key = base.key(id(1), "p");
    base.ask::<()>(cmd("ZADD").arg(key).arg(0).arg(member));

    let alice = Principal::new("alice")?;
    let ended = store
        .end_principal(&ns, &alice, None, After::Queue, at(1))
        .await?;
    assert_eq!(ended, 0);
    let mut change = passive(3);
    change.principal = Field::Set(alice);
    change.principal_limit = Some(PrincipalLimit {
        sessions: 1,
        excess: Excess::Refuse,
    });
    let updated = store.update(&ns, id(2), version(2), &change, at(1));
    assert_eq!(updated.await?, Updated::Done);
    assert!(store.touch(&ns, id(1), at(1)).await?);
    Ok(())
}

#[tokio::test]
#[ignore = "needs Redis: run scripts/test"]
async fn keys_of_somebody_else_are_told_from_sessions() -> Result<()> {
    let base = Base::new().await;
    let (ns, store) = (portal(), base.store().await);
    base.ask::<()>(cmd("LPUSH").arg(base.record(id(1))).arg("a list"));
    let loaded = store.load(&ns, id(1), at(1)).await;
    assert_eq!(loaded?, None, "MGET passes over what is no string");
    let touched = store.touch(&ns, id(1), at(1)).await;
    let kind = touched.map_err(|error| error.kind());
    assert_eq!(kind, Err(ErrorKind::Corrupt));
    Ok(())
}
