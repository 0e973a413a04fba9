//! The store: which namespace a call means, and whether it may be carried out.

use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use tenure_store::{
    After, Change, Claimed, Counts, Created, Description, EndReason, Ended, Entry, Epoch, Error,
    ErrorKind, Filter, Hooks, Imported, Namespace, Outcome, Page, Principal, Purged, Record,
    Resolve, Result, SessionId, SessionStore, Ticket, Timestamp, Updated, Version,
};

use crate::limits;
use crate::space::{Space, Spaces};

/// Sessions in this process's memory. They go when it is dropped.
///
/// To be shared as an `Arc`; a second `MemoryStore` is another, empty store.
pub struct MemoryStore {
    spaces: Spaces,
    payload_limit: usize,
    closed: AtomicBool,
}

impl MemoryStore {
    /// The largest payload it takes unless told otherwise: 1 MiB, 1,048,576 bytes.
    pub const DEFAULT_PAYLOAD_LIMIT: usize = 1 << 20;

    /// An empty store.
    pub fn new() -> Self {
        Self {
            spaces: Spaces::new(),
            payload_limit: Self::DEFAULT_PAYLOAD_LIMIT,
            closed: AtomicBool::new(false),
        }
    }

    /// The same store with another limit for payloads, in bytes. A larger payload is
    /// refused as [`TooLarge`](ErrorKind::TooLarge).
    #[must_use]
    pub fn with_payload_limit(mut self, bytes: usize) -> Self {
        self.payload_limit = bytes;
        self
    }

    fn check_open(&self) -> Result<()> {
        if self.closed.load(Ordering::Acquire) {
            return Err(Error::unavailable("the store is closed"));
        }
        Ok(())
    }

    /// A namespace's space, if it was ever opened.
    fn known(&self, ns: &Namespace) -> Result<Option<&Space>> {
        self.check_open()?;
        Ok(self.spaces.get(ns))
    }

    /// The space of a namespace that must have been opened.
    fn opened(&self, ns: &Namespace) -> Result<&Space> {
        self.known(ns)?.ok_or_else(|| Error::not_opened(ns))
    }
}

impl Default for MemoryStore {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for MemoryStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MemoryStore")
            .field("payload_limit", &self.payload_limit)
            .field("closed", &self.closed)
            .finish_non_exhaustive()
    }
}

#[async_trait]
impl SessionStore for MemoryStore {
    async fn open(&self, ns: &Namespace, hooks: Hooks) -> Result<()> {
        self.check_open()?;
        self.spaces.open(ns).expect(hooks);
        Ok(())
    }

    async fn create(&self, ns: &Namespace, record: &Record, _now: Timestamp) -> Result<Created> {
        let space = self.opened(ns)?;
        limits::check_record(record, self.payload_limit)?;
        Ok(space.create(record))
    }

    async fn load(&self, ns: &Namespace, id: SessionId, now: Timestamp) -> Result<Option<Record>> {
        Ok(self.known(ns)?.and_then(|space| space.load(id, now)))
    }

    async fn touch(&self, ns: &Namespace, id: SessionId, now: Timestamp) -> Result<bool> {
        Ok(self.known(ns)?.is_some_and(|space| space.touch(id, now)))
    }

    async fn update(
        &self,
        ns: &Namespace,
        id: SessionId,
        expected: Version,
        change: &Change,
        now: Timestamp,
    ) -> Result<Updated> {
        let space = self.known(ns)?;
        if let Some(payload) = &change.payload {
            limits::check_payload(payload, self.payload_limit)?;
        }
        space.map_or(Ok(Updated::Gone), |space| {
            space.update(id, expected, change, now)
        })
    }

    async fn end(
        &self,
        ns: &Namespace,
        id: SessionId,
        rotation: Option<u32>,
        reason: EndReason,
        after: After,
        now: Timestamp,
    ) -> Result<Option<Ended>> {
        let space = self.known(ns)?;
        Ok(space.and_then(|space| space.end(id, rotation, reason, after, now)))
    }

    async fn end_principal(
        &self,
        ns: &Namespace,
        principal: &Principal,
        except: Option<SessionId>,
        after: After,
        now: Timestamp,
    ) -> Result<u64> {
        let space = self.known(ns)?;
        if let After::Hold(_) = after {
            return Err(Error::invalid(
                "nobody can hold the tombstones of many sessions: queue or discard them",
            ));
        }
        Ok(space.map_or(0, |space| {
            space.end_principal(principal, except, after, now)
        }))
    }

    async fn reset(&self, ns: &Namespace, now: Timestamp) -> Result<()> {
        let space = self.opened(ns)?;
        space.epochs.reset(now);
        space.forget_epochs();
        Ok(())
    }

    async fn claim(
        &self,
        ns: &Namespace,
        lease: Duration,
        limit: u32,
        now: Timestamp,
    ) -> Result<Claimed> {
        let space = self.known(ns)?;
        limits::check_limit(limit)?;
        let space = space.ok_or_else(|| Error::not_opened(ns))?;
        Ok(space.claim(lease, limit, now))
    }

    async fn renew(
        &self,
        ns: &Namespace,
        tickets: &[Ticket],
        lease: Duration,
        now: Timestamp,
    ) -> Result<u64> {
        let space = self.known(ns)?;
        Ok(space.map_or(0, |space| space.renew(tickets, lease, now)))
    }

    async fn settle(
        &self,
        ns: &Namespace,
        outcomes: &[(Ticket, Outcome)],
        now: Timestamp,
    ) -> Result<u64> {
        let space = self.known(ns)?;
        Ok(space.map_or(0, |space| space.settle(outcomes, now)))
    }

    async fn purge(&self, ns: &Namespace, limit: u32, now: Timestamp) -> Result<Purged> {
        let space = self.known(ns)?;
        limits::check_limit(limit)?;
        let space = space.ok_or_else(|| Error::not_opened(ns))?;
        let purged = space.without_hooks(|| space.purge(limit, now));
        purged.ok_or_else(|| {
            Error::new(
                ErrorKind::Misconfigured,
                format!("end hooks are expected for {ns}: claim, or withdraw the expectation"),
            )
        })
    }

    async fn inspect(
        &self,
        ns: &Namespace,
        id: SessionId,
        now: Timestamp,
    ) -> Result<Option<Entry>> {
        Ok(self.known(ns)?.and_then(|space| space.inspect(id, now)))
    }

    async fn list(&self, ns: &Namespace, filter: &Filter, now: Timestamp) -> Result<Page> {
        let space = self.known(ns)?;
        limits::check_limit(filter.limit)?;
        let nothing = Page {
            entries: Vec::new(),
            next: None,
        };
        Ok(space.map_or(nothing, |space| space.list(filter, now)))
    }

    async fn count(&self, ns: &Namespace, now: Timestamp) -> Result<Counts> {
        let space = self.known(ns)?;
        Ok(space.map_or(Counts::default(), |space| space.count(now)))
    }

    async fn namespaces(&self) -> Result<Vec<Namespace>> {
        self.check_open()?;
        Ok(self.spaces.namespaces())
    }

    async fn resolve(
        &self,
        ns: &Namespace,
        id: SessionId,
        what: Resolve,
        now: Timestamp,
    ) -> Result<bool> {
        let space = self.known(ns)?;
        Ok(space.is_some_and(|space| space.resolve(id, what, now)))
    }

    async fn epoch(&self, ns: &Namespace, _id: SessionId) -> Result<Epoch> {
        let space = self.opened(ns)?;
        Ok(Epoch::new(space.epochs.present().into()))
    }

    async fn import(
        &self,
        ns: &Namespace,
        entry: &Entry,
        epoch: Epoch,
        _now: Timestamp,
    ) -> Result<Imported> {
        let space = self.opened(ns)?;
        limits::check_entry(entry, self.payload_limit)?;
        Ok(space.import(entry, epoch))
    }

    async fn describe(&self, _now: Timestamp) -> Result<Description> {
        self.check_open()?;
        let version = env!("CARGO_PKG_VERSION");
        Ok(Description::new("memory", version, self.payload_limit))
    }

    async fn close(&self) -> Result<()> {
        self.closed.store(true, Ordering::Release);
        Ok(())
    }
}
