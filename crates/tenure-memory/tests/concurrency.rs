//! Many callers at once, on several threads.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use tenure_memory::MemoryStore;
use tenure_store::{
    Created, EndReason, Ended, Filter, Hooks, Namespace, Outcome, Payload, Record, Rotation,
    SessionId, SessionStore, Timeout, Timestamp, Version,
};
use tokio::task::{JoinSet, yield_now};

const SESSIONS: u32 = 10_000;
const LEASE: Duration = Duration::from_mins(1);

fn at(millis: i64) -> Timestamp {
    Timestamp::from_millis_clamped(millis)
}

fn id(number: u32) -> SessionId {
    let bits = u128::from(number + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15_f39c_c060_5ced_c835);
    SessionId::from_digest(bits.rotate_left(64).to_le_bytes())
}

fn record(id: SessionId) -> Record {
    Record {
        id,
        created: at(0),
        last_access: at(0),
        accesses: 1,
        idle_timeout: Some(Timeout::from_millis(1_000).expect("in range")),
        lifetime: None,
        leaves_at: None,
        principal: None,
        rotation: Rotation::default(),
        version: Version::new(1),
        payload: Payload::default(),
    }
}

async fn filled() -> (Arc<MemoryStore>, Namespace) {
    let ns = Namespace::sessions("portal").expect("a name");
    let store = Arc::new(MemoryStore::new());
    store.open(&ns, Hooks::Expected).await.expect("opens");
    for number in 0..SESSIONS {
        let created = store.create(&ns, &record(id(number)), at(0)).await;
        assert_eq!(created.expect("creates"), Created::Done);
    }
    (store, ns)
}

/// Reaps until nothing more is due, and says what it got.
async fn reap(store: Arc<MemoryStore>, ns: Namespace, now: Timestamp) -> Vec<Ended> {
    let mut reaped = Vec::new();
    loop {
        let claimed = store.claim(&ns, LEASE, 20, now).await.expect("claims");
        let done: Vec<_> = claimed
            .ended
            .iter()
            .map(|e| (e.ticket(), Outcome::Done))
            .collect();
        let settled = store.settle(&ns, &done, now).await.expect("settles");
        assert_eq!(settled, done.len() as u64);
        reaped.extend(claimed.ended);
        if !claimed.more {
            return reaped;
        }
        yield_now().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn eight_reapers_get_each_session_once() {
    let (store, ns) = filled().await;
    let mut reapers = JoinSet::new();
    for _ in 0..8 {
        reapers.spawn(reap(Arc::clone(&store), ns.clone(), at(1_000)));
    }
    let reaped = reapers.join_all().await.concat();
    let ids: HashSet<_> = reaped.iter().map(|ended| ended.record.id).collect();
    assert_eq!(reaped.len(), ids.len());
    assert_eq!(ids.len(), SESSIONS as usize);
    assert!(reaped.iter().all(|ended| ended.tombstone.claims == 1));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn nothing_created_before_a_reset_is_live_after_it() {
    let (store, ns) = filled().await;
    let mut tasks = JoinSet::new();
    for worker in 0..8 {
        let (store, ns) = (Arc::clone(&store), ns.clone());
        tasks.spawn(async move {
            let first = SESSIONS + worker * 1_000;
            for number in first..first + 1_000 {
                let created = store.create(&ns, &record(id(number)), at(0)).await;
                assert_eq!(created.expect("creates"), Created::Done);
                let old = id(number % SESSIONS);
                let _either_way = store.touch(&ns, old, at(1)).await.expect("touches");
                yield_now().await;
            }
        });
    }
    store.reset(&ns, at(2)).await.expect("resets");
    let first_generation = async {
        for number in 0..SESSIONS {
            let loaded = store.load(&ns, id(number), at(0)).await.expect("loads");
            assert_eq!(loaded, None);
            assert!(!store.touch(&ns, id(number), at(0)).await.expect("touches"));
        }
    };
    first_generation.await;
    while let Some(worker) = tasks.join_next().await {
        worker.expect("no worker failed");
    }

    // Each session fell on one side for good: reaped as reset, or live.
    let reaped = reap(Arc::clone(&store), ns.clone(), at(3)).await;
    let reset = |ended: &Ended| ended.tombstone.end.reason == EndReason::ApplicationReset;
    assert!(reaped.len() >= SESSIONS as usize);
    assert!(reaped.iter().all(reset));
    let counts = store.count(&ns, at(3)).await.expect("counts");
    assert_eq!(
        counts.live + reaped.len() as u64,
        u64::from(SESSIONS) + 8_000
    );
    assert_eq!(counts.over, 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_scan_sees_what_lives_through_it_while_others_come_and_go() {
    let (store, ns) = filled().await;
    let mut traffic = JoinSet::new();
    for worker in 0..4 {
        let (store, ns) = (Arc::clone(&store), ns.clone());
        traffic.spawn(async move {
            for number in (worker..SESSIONS).step_by(8) {
                let gone = id(number);
                let after = tenure_store::After::Discard;
                let ended = store
                    .end(&ns, gone, None, EndReason::Logout, after, at(0))
                    .await;
                assert!(ended.expect("ends").is_some());
                let fresh = record(id(SESSIONS + number));
                let created = store.create(&ns, &fresh, at(0)).await;
                assert_eq!(created.expect("creates"), Created::Done);
                yield_now().await;
            }
        });
    }
    let mut seen = Vec::new();
    let mut filter = Filter::all(100);
    loop {
        let page = store.list(&ns, &filter, at(0)).await.expect("lists");
        seen.extend(page.entries.into_iter().map(|entry| entry.record.id));
        filter.after = page.next;
        if filter.after.is_none() {
            break;
        }
        yield_now().await;
    }
    while let Some(worker) = traffic.join_next().await {
        worker.expect("no worker failed");
    }
    let ids: HashSet<_> = seen.iter().copied().collect();
    assert_eq!(ids.len(), seen.len());
    let stayed = (0..SESSIONS).filter(|number| number % 8 >= 4);
    assert!(stayed.map(id).all(|id| ids.contains(&id)));
}
