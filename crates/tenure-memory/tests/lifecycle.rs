//! What is particular to sessions in memory, as a caller sees it.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use tenure_memory::MemoryStore;
use tenure_store::{
    Access, Change, Created, Durability, Entry, Epoch, ErrorKind, Filter, Hooks, Namespace,
    Payload, Principal, Record, Rotation, SessionId, SessionStore, State, Timeout, Timestamp,
    Updated, Version,
};

fn at(millis: u32) -> Timestamp {
    Timestamp::from_millis_clamped(i64::from(millis))
}

/// Ids that fall into all shards and lie in no order.
fn id(number: u32) -> SessionId {
    let bits = u128::from(number + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15_f39c_c060_5ced_c835);
    SessionId::from_digest(bits.rotate_left(64).to_le_bytes())
}

fn record(number: u32, created: Timestamp) -> Record {
    Record {
        id: id(number),
        created,
        last_access: created,
        accesses: 1,
        idle_timeout: Some(Timeout::from_millis(1_000).expect("in range")),
        lifetime: None,
        leaves_at: None,
        principal: None,
        rotation: Rotation::default(),
        version: Version::new(1),
        payload: Payload::new(vec![1, 2, 3]),
    }
}

async fn opened() -> (MemoryStore, Namespace) {
    let ns = Namespace::sessions("portal").expect("a name");
    let store = MemoryStore::new();
    store.open(&ns, Hooks::Expected).await.expect("opens");
    (store, ns)
}

async fn create(store: &MemoryStore, ns: &Namespace, record: &Record) {
    let created = store.create(ns, record, record.created).await;
    assert_eq!(created.expect("creates"), Created::Done);
}

#[tokio::test]
async fn sessions_of_all_shards_are_claimed_in_the_order_in_which_they_ran_out() {
    let (store, ns) = opened().await;
    // 7 and 500 have no common divisor: each instant once, in a jumble.
    for number in 0..500 {
        create(&store, &ns, &record(number, at(number * 7 % 500))).await;
    }
    let mut ends = Vec::new();
    loop {
        let lease = Duration::from_mins(1);
        let claimed = store
            .claim(&ns, lease, 30, at(5_000))
            .await
            .expect("claims");
        ends.extend(claimed.ended.iter().map(|ended| ended.tombstone.end.at));
        if !claimed.more {
            break;
        }
    }
    let expected: Vec<_> = (0..500).map(|number| at(number + 1_000)).collect();
    assert_eq!(ends, expected);
}

#[tokio::test]
async fn what_was_used_meanwhile_uses_up_the_limit_and_hides_nothing() {
    let (store, ns) = opened().await;
    for number in 0..100 {
        create(&store, &ns, &record(number, at(number))).await;
    }
    for number in 0..95 {
        assert!(
            store
                .touch(&ns, id(number), at(900))
                .await
                .expect("touches")
        );
    }
    let mut calls = 0;
    let mut ended = 0;
    loop {
        let lease = Duration::from_mins(1);
        let claimed = store
            .claim(&ns, lease, 10, at(1_500))
            .await
            .expect("claims");
        calls += 1;
        ended += claimed.ended.len();
        if !claimed.more {
            assert_eq!(claimed.next_due, Some(at(1_900)));
            break;
        }
    }
    assert_eq!((ended, calls), (5, 10));
}

#[tokio::test]
async fn a_lease_of_no_length_brings_each_tombstone_once_a_call() {
    let (store, ns) = opened().await;
    for number in 0..200 {
        create(&store, &ns, &record(number, at(0))).await;
    }
    for attempt in 1..4 {
        let claimed = store.claim(&ns, Duration::ZERO, 1_000, at(2_000)).await;
        let claimed = claimed.expect("claims");
        assert_eq!(claimed.ended.len(), 200);
        assert!(claimed.ended.iter().all(|e| e.tombstone.claims == attempt));
        assert!(!claimed.more);
    }
}

#[tokio::test]
async fn what_a_clock_ahead_has_reset_is_reaped_by_one_behind() {
    let (store, ns) = opened().await;
    create(&store, &ns, &record(0, at(0))).await;
    store.reset(&ns, at(500)).await.expect("resets");
    let claimed = store
        .claim(&ns, Duration::from_mins(1), 10, at(100))
        .await
        .expect("claims");
    assert_eq!(claimed.ended.len(), 1);
    assert_eq!(claimed.ended[0].tombstone.end.at, at(500));
}

#[tokio::test]
async fn a_scan_of_100_000_sessions_sees_each_once_and_in_order() {
    let (store, ns) = opened().await;
    for number in 0..100_000 {
        create(&store, &ns, &record(number, at(number / 3))).await;
    }
    let mut filter = Filter::all(1_000);
    let mut seen = Vec::new();
    loop {
        let page = store.list(&ns, &filter, at(0)).await.expect("lists");
        seen.extend(page.entries.iter().map(|e| (e.record.created, e.record.id)));
        filter.after = page.next;
        if page.next.is_none() {
            break;
        }
    }
    assert_eq!(seen.len(), 100_000);
    assert!(seen.is_sorted_by(|one, next| one < next));
}

#[tokio::test]
async fn a_principal_is_listed_without_going_through_the_others() {
    let (store, ns) = opened().await;
    let alice = Principal::new("alice").expect("a name");
    for number in 0..1_000 {
        let mut record = record(number, at(number));
        record.principal = (number % 100 == 7).then(|| alice.clone());
        create(&store, &ns, &record).await;
    }
    let mut filter = Filter::all(6);
    filter.principal = Some(alice);
    let page = store.list(&ns, &filter, at(0)).await.expect("lists");
    assert_eq!(page.entries.len(), 6);
    filter.after = page.next;
    let page = store.list(&ns, &filter, at(0)).await.expect("lists");
    assert_eq!(page.entries.len(), 4);
    assert_eq!(page.next, None);
}

#[tokio::test]
async fn a_small_payload_keeps_no_large_buffer_alive() {
    struct Buffer(Arc<[u8; 100]>);
    impl AsRef<[u8]> for Buffer {
        fn as_ref(&self) -> &[u8] {
            &self.0[..]
        }
    }

    let (store, ns) = opened().await;
    let alive = Arc::new([7; 100]);
    let piece = || Payload::new(Bytes::from_owner(Buffer(Arc::clone(&alive))).slice(..3));
    let mut first = record(0, at(0));
    first.payload = piece();
    create(&store, &ns, &first).await;
    drop(first);
    assert_eq!(Arc::strong_count(&alive), 1);

    let mut change = Change::new(Version::new(2), Access::Passive);
    change.payload = Some(piece());
    let updated = store
        .update(&ns, id(0), Version::new(1), &change, at(1))
        .await;
    assert_eq!(updated.expect("updates"), Updated::Done);
    drop(change);
    assert_eq!(Arc::strong_count(&alive), 1);

    let loaded = store
        .load(&ns, id(0), at(2))
        .await
        .expect("loads")
        .expect("is live");
    assert_eq!(loaded.payload.as_bytes(), [7; 3]);
}

#[tokio::test]
async fn a_payload_is_refused_from_one_byte_above_the_limit() {
    let ns = Namespace::sessions("portal").expect("a name");
    let store = MemoryStore::new().with_payload_limit(4);
    store.open(&ns, Hooks::Expected).await.expect("opens");
    let mut small = record(0, at(0));
    small.payload = Payload::new(vec![0; 4]);
    create(&store, &ns, &small).await;
    let mut large = record(1, at(0));
    large.payload = Payload::new(vec![0; 5]);
    let refused = store
        .create(&ns, &large, at(0))
        .await
        .expect_err("too large");
    assert_eq!(refused.kind(), ErrorKind::TooLarge);
    let entry = Entry {
        record: large,
        state: State::Live,
    };
    let refused = store
        .import(&ns, &entry, Epoch::new(0), at(0))
        .await
        .expect_err("too large");
    assert_eq!(refused.kind(), ErrorKind::TooLarge);
    let described = store.describe(at(0)).await.expect("describes");
    assert_eq!(described.payload_limit, 4);
    assert_eq!(described.durability, Durability::Volatile);
}

#[tokio::test]
async fn a_count_beyond_what_can_be_counted_on_from_is_refused() {
    let (store, ns) = opened().await;
    let mut worn = record(0, at(0));
    worn.accesses = u64::MAX;
    let refused = store
        .create(&ns, &worn, at(0))
        .await
        .expect_err("out of range");
    assert_eq!(refused.kind(), ErrorKind::Invalid);
    worn.accesses = 1 << 53;
    create(&store, &ns, &worn).await;
    assert!(store.touch(&ns, id(0), at(1)).await.expect("touches"));
}

#[tokio::test]
async fn debug_shows_nothing_of_what_is_stored() {
    let (store, ns) = opened().await;
    let mut secret = record(0, at(0));
    secret.principal = Some(Principal::new("canary").expect("a name"));
    secret.payload = Payload::new("canary".as_bytes());
    create(&store, &ns, &secret).await;
    let shown = format!("{store:?}");
    assert!(shown.starts_with("MemoryStore {"), "{shown}");
    assert!(
        !shown.contains("canary") && !shown.contains("portal"),
        "{shown}"
    );
}
