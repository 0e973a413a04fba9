//! The store as a service uses it: opened again where it has lost its data.

use std::fmt;
use std::ops::Deref;
use std::sync::Arc;
use std::time::Duration;

use tenure_store::{
    After, Change, Claimed, Created, EndReason, Ended, ErrorKind, Hooks, Namespace, Outcome,
    Principal, Purged, Record, Result, SessionId, SessionStore, Ticket, Timestamp, Updated,
    Version,
};

/// A store, and what this service says about end hooks when it opens a namespace there.
///
/// What was registered at the start of a process is not there for ever: a store can lose its
/// data, or a part of it, while the process goes on. So each operation that a store may refuse
/// as [`NotOpened`](ErrorKind::NotOpened) is made here. If it is refused, the namespace is
/// opened with the service's own word, and the operation repeated, once.
///
/// What no store refuses, because it finds nothing then, is the store's own through `Deref`.
pub(crate) struct Reopening {
    given: Arc<dyn SessionStore>,
    word: Hooks,
}

impl Reopening {
    /// Of a store in which the namespace was just opened with this word.
    pub(crate) fn new(given: Arc<dyn SessionStore>, word: Hooks) -> Self {
        Self { given, word }
    }

    /// The store as it was given.
    pub(crate) fn given(&self) -> &Arc<dyn SessionStore> {
        &self.given
    }

    /// Says the service's word on end hooks again, after a claim that was told of another.
    pub(crate) async fn insist(&self, ns: &Namespace) {
        tracing::warn!(
            namespace = %ns,
            "the store does not expect end hooks here any more: it lost its data, or they were \
             withdrawn; it is told again that they are expected"
        );
        if let Err(error) = self.given.open(ns, self.word).await {
            tracing::warn!(namespace = %ns, %error, "the store could not be told");
        }
    }

    async fn opened<T, F>(&self, ns: &Namespace, call: impl Fn() -> F) -> Result<T>
    where
        F: Future<Output = Result<T>>,
    {
        match call().await {
            Err(error) if error.kind() == ErrorKind::NotOpened => {
                tracing::warn!(
                    namespace = %ns,
                    "the store has lost its data, or a part of it: the namespace is opened again"
                );
                self.given.open(ns, self.word).await?;
                call().await
            }
            answered => answered,
        }
    }

    pub(crate) async fn create(
        &self,
        ns: &Namespace,
        record: &Record,
        now: Timestamp,
    ) -> Result<Created> {
        self.opened(ns, || self.given.create(ns, record, now)).await
    }

    pub(crate) async fn touch(
        &self,
        ns: &Namespace,
        id: SessionId,
        now: Timestamp,
    ) -> Result<bool> {
        self.opened(ns, || self.given.touch(ns, id, now)).await
    }

    pub(crate) async fn update(
        &self,
        ns: &Namespace,
        id: SessionId,
        expected: Version,
        change: &Change,
        now: Timestamp,
    ) -> Result<Updated> {
        let update = || self.given.update(ns, id, expected, change, now);
        self.opened(ns, update).await
    }

    pub(crate) async fn end(
        &self,
        ns: &Namespace,
        id: SessionId,
        rotation: Option<u32>,
        reason: EndReason,
        after: After,
        now: Timestamp,
    ) -> Result<Option<Ended>> {
        let end = || self.given.end(ns, id, rotation, reason, after, now);
        self.opened(ns, end).await
    }

    pub(crate) async fn end_principal(
        &self,
        ns: &Namespace,
        principal: &Principal,
        except: Option<SessionId>,
        after: After,
        now: Timestamp,
    ) -> Result<u64> {
        let end = || self.given.end_principal(ns, principal, except, after, now);
        self.opened(ns, end).await
    }

    pub(crate) async fn reset(&self, ns: &Namespace, now: Timestamp) -> Result<()> {
        self.opened(ns, || self.given.reset(ns, now)).await
    }

    pub(crate) async fn claim(
        &self,
        ns: &Namespace,
        lease: Duration,
        limit: u32,
        now: Timestamp,
    ) -> Result<Claimed> {
        let claim = || self.given.claim(ns, lease, limit, now);
        self.opened(ns, claim).await
    }

    pub(crate) async fn settle(
        &self,
        ns: &Namespace,
        outcomes: &[(Ticket, Outcome)],
        now: Timestamp,
    ) -> Result<u64> {
        self.opened(ns, || self.given.settle(ns, outcomes, now))
            .await
    }

    pub(crate) async fn purge(&self, ns: &Namespace, limit: u32, now: Timestamp) -> Result<Purged> {
        self.opened(ns, || self.given.purge(ns, limit, now)).await
    }
}

impl Deref for Reopening {
    type Target = dyn SessionStore;

    fn deref(&self) -> &Self::Target {
        &*self.given
    }
}

impl fmt::Debug for Reopening {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.given.fmt(f)
    }
}
