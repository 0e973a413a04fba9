//! An empty store behind a wire that fails, and the checker of what it was asked.

use std::any::Any;
use std::sync::Arc;
use std::time::Duration;

use tenure_store::{Hooks, Namespace, SessionId, SessionStore};
use tokio::time::timeout;

use crate::support::checker::Checker;
use crate::support::place::Place;
use crate::support::proxy::{Cut, Line as Wire, Proxy};
use crate::support::servers::cluster::Cluster;
use crate::support::servers::ports;
use crate::support::servers::settings::CLUSTER_NODES;

/// Longer than anything takes that happens at all.
pub(crate) const PATIENCE: Duration = Duration::from_mins(1);

pub(crate) struct Line {
    pub(crate) store: Arc<dyn SessionStore>,
    pub(crate) checker: Arc<Checker>,
    url: String,
    /// One to each server. Behind them, in the order in which they go, are the servers.
    wires: Vec<Proxy>,
    _servers: Box<dyn Any + Send + Sync>,
}

impl Line {
    /// Each call has so many milliseconds.
    pub(crate) async fn to(backend: &str, deadline: u64) -> Self {
        if backend == "redis_cluster" {
            return Self::to_a_cluster(deadline).await;
        }
        let place = Place::on(backend).await;
        let (proxy, url) = Proxy::before(place.url()).await;
        let own = format!("deadline_ms={deadline}");
        let store = connect(&url.replace("deadline_ms=120000", &own)).await;
        Self {
            checker: opened(&store).await,
            store,
            url: place.url().to_owned(),
            wires: vec![proxy],
            _servers: Box::new(place),
        }
    }

    /// One that sends its clients by the wires, whichever node they ask first.
    async fn to_a_cluster(deadline: u64) -> Self {
        let ports = [(); CLUSTER_NODES].map(|()| ports::free());
        let mut wires = Vec::new();
        for port in ports {
            wires.push(Proxy::to(([127, 0, 0, 1], port).into()).await);
        }
        let announced = [0, 1, 2].map(|node: usize| wires[node].address().port());
        let cluster = Cluster::start_behind(ports, announced);
        let url = cluster.url();
        let store = connect(&format!("{url}?deadline_ms={deadline}")).await;
        Self {
            checker: opened(&store).await,
            store,
            url,
            wires,
            _servers: Box::new(cluster),
        }
    }

    pub(crate) fn set(&self, wire: Wire) {
        for one in &self.wires {
            one.set(wire);
        }
    }

    /// Cuts the connection of the next request, whichever that is, there.
    pub(crate) fn cut_next(&self, cut: Cut) {
        for wire in &self.wires {
            wire.cut_next(cut);
        }
    }

    /// Whether that was done; with several servers, to the first that got a request.
    pub(crate) fn has_cut(&self) -> bool {
        let has_cut = self.wires.iter().any(Proxy::has_cut);
        if has_cut {
            self.wires.iter().for_each(Proxy::cut_none);
        }
        has_cut
    }

    /// Cuts all connections that there are.
    pub(crate) fn cut_all(&self) {
        self.wires.iter().for_each(Proxy::cut_all);
    }

    /// A node that has been through nothing yet.
    pub(crate) async fn another(&self) -> Arc<dyn SessionStore> {
        connect(&self.url).await
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
        let new = self.another().await;
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
