//! An empty store behind a wire that counts.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tenure_conformance::props::{at, id};
use tenure_store::{Hooks, Namespace, SessionStore};

use crate::support::place::Place;
use crate::support::proxy::Proxy;

pub(crate) struct Line {
    /// One that is set up, and has done nothing yet.
    pub(crate) store: Arc<dyn SessionStore>,
    pub(crate) ns: Namespace,
    proxy: Proxy,
    backend: &'static str,
    _place: Place,
}

impl Line {
    pub(crate) async fn to(backend: &'static str) -> Self {
        let place = Place::on(backend).await;
        let ns = Namespace::sessions("portal").expect("a good name");
        // Past the wire, so that the store that is counted comes to what is there.
        let before = tenure_connect::connect(place.url())
            .await
            .expect("connects");
        before.open(&ns, Hooks::Expected).await.expect("opens");
        before.close().await.expect("closes");

        let server = address(place.url());
        let proxy = Proxy::to(server).await;
        let url = place
            .url()
            .replace(&server.to_string(), &proxy.address().to_string());
        let store = tenure_connect::connect(&url).await.expect("connects");
        proxy.round_trips();
        Self {
            store,
            ns,
            proxy,
            backend,
            _place: place,
        }
    }

    pub(crate) fn is_redis(&self) -> bool {
        self.backend == "redis"
    }

    /// How many round trips this takes.
    pub(crate) async fn count<T>(&self, operation: impl Future<Output = T>) -> (T, u64) {
        self.proxy.round_trips();
        let answer = operation.await;
        (answer, self.proxy.round_trips())
    }

    /// An hour in which nobody wants anything. Whatever has a timer gets to know.
    pub(crate) async fn idle(&self) {
        tokio::time::pause();
        tokio::time::advance(Duration::from_hours(1)).await;
        tokio::time::resume();
        self.look_after_connections().await;
    }

    /// The first call of each connection makes it, or looks first whether it is there still:
    /// those that load, those that write, and those that look at many.
    pub(crate) async fn look_after_connections(&self) {
        let looked = self.store.load(&self.ns, id(u64::MAX), at(0)).await;
        assert_eq!(looked.expect("it is there"), None);
        let touched = self.store.touch(&self.ns, id(u64::MAX), at(0)).await;
        assert!(!touched.expect("it is there"));
        let inspected = self.store.inspect(&self.ns, id(u64::MAX), at(0)).await;
        assert_eq!(inspected.expect("it is there"), None);
        let opened = self.store.namespaces().await;
        assert!(opened.expect("it is there").contains(&self.ns));
    }
}

/// The server of a URL such as `postgres://user@127.0.0.1:5432/postgres`.
fn address(url: &str) -> SocketAddr {
    let (_, rest) = url.split_once("//").expect("a URL");
    let host = rest.split(['/', '?']).next().unwrap_or_default();
    let host = host.rsplit('@').next().unwrap_or_default();
    host.replace("localhost", "127.0.0.1")
        .parse()
        .expect("the server of the tests has an address and a port")
}
