//! A prefix of a test's own, the store under it, and its keys as they are seen from outside.

use std::future::poll_fn;
use std::sync::Arc;
use std::task::Poll;

use deadpool_redis::redis::{Cmd, Connection, FromRedisValue, cmd};
use futures_util::future::BoxFuture;
use tenure_store::{Error, Hooks, Namespace, Result, SessionId, SessionStore};

use crate::support::place::{Place, redis};

pub(crate) struct Base {
    pub(crate) place: Place,
}

impl Base {
    /// Nothing under it yet.
    pub(crate) async fn new() -> Self {
        Self {
            place: Place::on("redis").await,
        }
    }

    /// In a Redis that nobody else uses.
    pub(crate) fn on(server: String) -> Self {
        Self {
            place: Place::under_a_prefix(server),
        }
    }

    /// By a name of the backends.
    pub(crate) async fn of(backend: &str) -> Self {
        Self {
            place: Place::on(backend).await,
        }
    }

    /// A node of its own, with so many milliseconds for each call.
    pub(crate) async fn within(&self, millis: u64) -> Arc<dyn SessionStore> {
        let own = format!("deadline_ms={millis}");
        let url = self.place.url().replace("deadline_ms=120000", &own);
        let store = tenure_connect::connect(&url).await.expect("connects");
        store.open(&portal(), Hooks::Expected).await.expect("opens");
        store
    }

    /// A node of its own, with the namespaces opened.
    pub(crate) async fn store(&self) -> Arc<dyn SessionStore> {
        let store = self.connect().await.expect("connects");
        for (ns, hooks) in [(portal(), Hooks::Expected), (visitors(), Hooks::Unstated)] {
            store.open(&ns, hooks).await.expect("opens");
        }
        store
    }

    pub(crate) async fn connect(&self) -> Result<Arc<dyn SessionStore>, Error> {
        tenure_connect::connect(self.place.url()).await
    }

    /// A command past the store.
    pub(crate) fn ask<T: FromRedisValue>(&self, command: &Cmd) -> T {
        let answer = command.query(&mut self.outsider());
        answer.expect("the command is good")
    }

    pub(crate) fn outsider(&self) -> Connection {
        redis::primaries(self.place.url()).remove(0)
    }

    fn prefix(&self) -> &str {
        let (_, settings) = self.place.url().split_once('?').expect("settings");
        let mut settings = settings.split('&');
        let prefix = settings.find_map(|setting| setting.strip_prefix("prefix="));
        prefix.expect("a prefix")
    }

    pub(crate) fn layout(&self) -> String {
        format!("{}:layout", self.prefix())
    }

    /// A key of the shard of the portal's in which a session lies.
    pub(crate) fn key(&self, id: SessionId, name: &str) -> Vec<u8> {
        let shard = id.as_bytes()[0] % 16;
        format!("{}:{{1:portal:{shard}}}:{name}", self.prefix()).into_bytes()
    }

    /// The key of a record.
    pub(crate) fn record(&self, id: SessionId) -> Vec<u8> {
        [&self.key(id, "s:"), &id.as_bytes()[..]].concat()
    }

    /// Every key under the prefix.
    pub(crate) fn keys(&self) -> Vec<Vec<u8>> {
        self.ask(cmd("KEYS").arg(format!("{}:*", self.prefix())))
    }
}

/// Polls a call so often, or until it is through, and leaves it there.
pub(crate) async fn polled<T>(call: &mut BoxFuture<'_, T>, polls: u64) {
    for _ in 0..polls {
        let is_through = poll_fn(|context| Poll::Ready(call.as_mut().poll(context).is_ready()));
        if is_through.await {
            return;
        }
        tokio::task::yield_now().await;
    }
}

pub(crate) fn portal() -> Namespace {
    Namespace::sessions("portal").expect("a good name")
}

pub(crate) fn visitors() -> Namespace {
    Namespace::visitors("portal").expect("a good name")
}
