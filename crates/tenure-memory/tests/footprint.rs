//! How much memory a session takes: everything the store asks the allocator for, maps,
//! queues and index included.

use std::alloc::System;

use stats_alloc::{INSTRUMENTED_SYSTEM, Region, StatsAlloc};
use tenure_memory::MemoryStore;
use tenure_store::{
    Created, Hooks, Namespace, Payload, Principal, Record, Rotation, SessionId, SessionStore,
    Timeout, Timestamp, Version,
};

#[global_allocator]
static ALLOCATOR: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

const SESSIONS: u32 = 100_000;
const PAYLOAD: usize = 512;
const MOST: usize = 900;

/// One test for both figures: the allocator counts for the whole process.
#[tokio::test]
#[expect(
    clippy::print_stderr,
    reason = "the figure is what the test is run for"
)]
async fn a_session_of_512_bytes_takes_at_most_900() {
    let anonymous = bytes_per_session(|_| None).await;
    eprintln!("bytes per session, payload of {PAYLOAD} included: {anonymous}");
    let logged_in = bytes_per_session(|number| {
        let name = format!("user-{number:07}@example");
        Some(Principal::new(&name).expect("a name"))
    })
    .await;
    eprintln!("the same with a principal of 20 bytes: {logged_in}");
    assert!(
        anonymous > PAYLOAD,
        "{anonymous} bytes are not counted right"
    );
    assert!(anonymous <= MOST, "{anonymous} bytes");
    assert!(logged_in <= MOST, "{logged_in} bytes with a principal");
}

/// After each session was created, loaded and touched.
async fn bytes_per_session(principal: impl Fn(u32) -> Option<Principal>) -> usize {
    let ns = Namespace::sessions("portal").expect("a name");
    let before = Region::new(ALLOCATOR);
    let store = MemoryStore::new();
    store.open(&ns, Hooks::Expected).await.expect("opens");
    for number in 0..SESSIONS {
        let record = record(number, principal(number));
        let created = store.create(&ns, &record, record.created).await;
        assert_eq!(created.expect("creates"), Created::Done);
        let loaded = store.load(&ns, record.id, record.created).await;
        assert_eq!(loaded.expect("loads").as_ref(), Some(&record));
        let touched = store.touch(&ns, record.id, record.created).await;
        assert!(touched.expect("touches"));
    }
    let change = before.change();
    let kept = change.bytes_allocated - change.bytes_deallocated;
    kept.div_ceil(SESSIONS as usize)
}

/// Sessions as they come, one each millisecond, with ids as random as a hash.
fn record(number: u32, principal: Option<Principal>) -> Record {
    let created = Timestamp::from_millis_clamped(1_767_268_800_000 + i64::from(number));
    let bits = u128::from(number + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15_f39c_c060_5ced_c835);
    Record {
        id: SessionId::from_digest(bits.rotate_left(64).to_le_bytes()),
        created,
        last_access: created,
        accesses: 1,
        idle_timeout: Some(Timeout::from_millis(20 * 60 * 1000).expect("in range")),
        lifetime: Some(Timeout::from_millis(12 * 3600 * 1000).expect("in range")),
        leaves_at: None,
        principal,
        rotation: Rotation::default(),
        version: Version::new(u64::from(number)),
        payload: Payload::new(vec![7; PAYLOAD]),
    }
}
