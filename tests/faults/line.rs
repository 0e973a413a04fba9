//! An empty store behind a wire that fails, and the checker of what it was asked.

use std::sync::Arc;
use std::time::Duration;

use tenure_store::{Hooks, Namespace, SessionId, SessionStore};
use tokio::time::timeout;

use crate::support::checker::Checker;
use crate::support::place::Place;
use crate::support::proxy::Proxy;

/// Longer than anything takes that happens at all.
pub(crate) const PATIENCE: Duration = Duration::from_mins(1);

pub(crate) struct Line {
    pub(crate) store: Arc<dyn SessionStore>,
    pub(crate) proxy: Proxy,
    pub(crate) checker: Arc<Checker>,
    place: Place,
}

impl Line {
    /// Each call has so many milliseconds.
    pub(crate) async fn to(backend: &str, deadline: u64) -> Self {
        let place = Place::on(backend).await;
        let (proxy, url) = Proxy::before(place.url()).await;
        let own = format!("deadline_ms={deadline}");
        let store = connect(&url.replace("deadline_ms=120000", &own)).await;
        Self {
            checker: opened(&store).await,
            store,
            proxy,
            place,
        }
    }

    /// A node that knows nothing of the wire.
    pub(crate) async fn direct(&self) -> Arc<dyn SessionStore> {
        connect(self.place.url()).await
    }

    /// So many sessions, each acknowledged.
    pub(crate) async fn sessions(&self, how_many: usize) -> Vec<SessionId> {
        let mut ids = Vec::new();
        for _ in 0..how_many {
            let before = self.checker.unavailable();
            ids.push(self.checker.create(&*self.store).await);
            assert_eq!(self.checker.unavailable(), before, "the line is good");
        }
        ids
    }

    /// The line is good again: everything holds, and everything works.
    pub(crate) async fn check(&self) {
        recovered(&*self.store, &self.checker).await;
        let new = self.direct().await;
        self.checker.check(&*self.store, &*new).await;
        self.store.close().await.expect("closes");
        new.close().await.expect("closes");
    }
}

pub(crate) async fn connect(url: &str) -> Arc<dyn SessionStore> {
    let store = tenure_connect::connect(url).await;
    store.expect("the server takes one more")
}

/// As soon as the server lets anybody in.
pub(crate) async fn connect_at_last(url: &str) -> Arc<dyn SessionStore> {
    let connected = async {
        loop {
            match tenure_connect::connect(url).await {
                Ok(store) => return store,
                Err(error) => assert!(error.is_unavailable(), "{error:?}"),
            }
        }
    };
    timeout(PATIENCE, connected).await.expect("it recovers")
}

pub(crate) async fn opened(store: &Arc<dyn SessionStore>) -> Arc<Checker> {
    let ns = Namespace::sessions("portal").expect("a good name");
    store.open(&ns, Hooks::Expected).await.expect("opens");
    Arc::new(Checker::of(&ns))
}

/// Asks until each kind of call is answered.
///
/// # Panics
/// If that never happens.
pub(crate) async fn recovered(store: &dyn SessionStore, checker: &Checker) {
    let recovery = async {
        loop {
            let before = checker.unavailable();
            for _ in 0..8 {
                checker.live(store).await;
                checker.reap(store).await;
            }
            if checker.unavailable() == before {
                return;
            }
        }
    };
    timeout(PATIENCE, recovery).await.expect("it recovers");
}
