//! How often visitors are purged. The runtime's time is a tokio clock that is paused and
//! moves on by itself, and here it is the library's clock too.

use std::sync::Arc;
use std::time::Duration;

use tenure::{Clock, KeyRing, MasterSecret, Timestamp, Visitors};
use tenure_memory::MemoryStore;
use tenure_store::SessionStore;
use tokio::time::Instant;

const MINUTE: Duration = Duration::from_mins(1);

#[derive(Debug)]
struct RuntimeClock(Instant);

impl Clock for RuntimeClock {
    fn now(&self) -> Timestamp {
        Timestamp::from_millis_clamped(0).plus(self.running())
    }

    fn running(&self) -> Duration {
        self.0.elapsed()
    }
}

#[tokio::test(start_paused = true)]
async fn visitors_are_purged_at_the_interval_and_no_sooner() {
    let store: Arc<dyn SessionStore> = Arc::new(MemoryStore::new());
    let secret = MasterSecret::generate().expect("random bytes");
    let keys = KeyRing::new("key", secret).expect("a ring");
    let clock = Arc::new(RuntimeClock(Instant::now()));
    let visitors = Visitors::builder(Arc::clone(&store), keys, "portal")
        .remembered_for(MINUTE * 10)
        .clock(Arc::clone(&clock) as _)
        .build()
        .await
        .expect("good settings");
    let stored = async || {
        let counts = store.count(visitors.namespace(), clock.now());
        let counts = counts.await.expect("answers");
        counts.live + counts.over
    };
    let purger = visitors.purger(MINUTE * 60).expect("a good interval");
    let purger = purger.spawn();

    // By now there was a first round, and the next one is an hour after it, less a
    // quarter at most.
    tokio::time::advance(MINUTE * 5).await;
    let visitor = visitors.start().expect("starts");
    visitor.set("cart", &7).expect("fits");
    visitor.commit().await.expect("commits");
    for _ in 0..35 {
        tokio::time::advance(MINUTE).await;
        tokio::task::yield_now().await;
        assert_eq!(stored().await, 1, "it may have run out, but nobody looks");
    }
    for _ in 0..30 {
        tokio::time::advance(MINUTE).await;
        tokio::task::yield_now().await;
    }
    assert_eq!(stored().await, 0);
    purger.shutdown().await;
}
