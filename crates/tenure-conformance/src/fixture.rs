//! What a backend brings to be tested: a way to an empty store, and away from it.

use std::sync::Arc;

use async_trait::async_trait;
use tenure_store::SessionStore;

/// One store, empty when handed out, and as many nodes on it as a case wants.
///
/// Each case gets a fixture of its own, and many cases run at once: two fixtures share
/// nothing that one of them could see of the other. The store's payload limit is at most
/// 64 MiB, so that one byte more can be tried.
#[async_trait]
pub trait Fixture: Send + Sync {
    /// Another node: a handle with connections of its own on the same data. A store
    /// that lives in one process may return the same handle.
    ///
    /// It panics if it cannot: a case that has no store has failed.
    async fn node(&self) -> Arc<dyn SessionStore>;

    /// Stops the nodes and removes the data. Called after every case, passed or failed;
    /// the case may have closed some of the nodes itself.
    async fn close(self: Box<Self>);
}
