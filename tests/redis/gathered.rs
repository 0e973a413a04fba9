//! Loads that go out together.

use std::sync::Arc;

use tenure_conformance::props::{at, id, record};
use tenure_conformance::story::Story as _;
use tokio::task::JoinSet;

use crate::base::{Base, portal};

#[tokio::test]
#[ignore = "needs Redis: run scripts/test"]
async fn loads_that_wait_together_each_get_their_own_session() {
    const SESSIONS: u64 = 300;
    let base = Base::new().await;
    let store = base.store().await;
    for n in 0..SESSIONS {
        store.put(&portal(), &record(n)).await.expect("stored");
    }
    let mut loads = JoinSet::new();
    // Half of them are of nobody.
    for n in 0..SESSIONS * 2 {
        let store = Arc::clone(&store);
        loads.spawn(async move { (n, store.load(&portal(), id(n), at(0)).await) });
    }
    for (n, found) in loads.join_all().await {
        let expected = (n < SESSIONS).then(|| record(n));
        assert_eq!(found.expect("answers"), expected, "session {n}");
    }
    store.close().await.expect("closes");
}
