//! A store that is watched: its calls are counted, and its answers can get lost.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use futures_util::future::BoxFuture;
use tenure_store::{
    After, Change, Claimed, Counts, Created, Description, EndReason, Ended, Entry, Epoch, Error,
    Filter, Hooks, Imported, Namespace, Outcome, Page, Principal, Purged, Record, Resolve, Result,
    SessionId, SessionStore, Ticket, Timestamp, Updated, Version,
};

/// Forwards everything to a real store.
pub(crate) struct Watched {
    inner: Arc<dyn SessionStore>,
    calls: Mutex<Vec<&'static str>>,
    /// Every so many-th write is done and its answer dropped; 0 loses none.
    lose_every: AtomicU64,
    /// Whether the next so many calls fail without reaching the store.
    down_for: AtomicU64,
    /// How many of the next calls of a method fail, and whether what they ask is done.
    failing: Mutex<BTreeMap<&'static str, (u64, Failing)>>,
    writes: AtomicU64,
    trip: Mutex<Option<Trip>>,
    meanwhile: Mutex<Option<BoxFuture<'static, ()>>>,
}

impl fmt::Debug for Watched {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Watched").field(&self.inner).finish()
    }
}

/// How a call fails.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Failing {
    /// It does nothing.
    Refused,
    /// It is done, and its answer gets lost.
    Unheard,
}

/// Where the process kills itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Trip {
    /// When this method is called.
    Before(&'static str),
    /// When this method has done its work, and nobody knows.
    After(&'static str),
}

impl Watched {
    pub(crate) fn new(inner: Arc<dyn SessionStore>) -> Self {
        Self {
            inner,
            calls: Mutex::default(),
            lose_every: AtomicU64::new(0),
            down_for: AtomicU64::new(0),
            failing: Mutex::default(),
            writes: AtomicU64::new(0),
            trip: Mutex::default(),
            meanwhile: Mutex::default(),
        }
    }

    /// Happens after the next write whose answer gets lost, before its caller hears so.
    pub(crate) fn meanwhile(&self, what: BoxFuture<'static, ()>) {
        *self.meanwhile.lock().expect("nobody panics with it") = Some(what);
    }

    /// The process dies there.
    pub(crate) fn trip(&self, trip: Trip) {
        *self.trip.lock().expect("nobody panics with it") = Some(trip);
    }

    fn pass(&self, place: Trip) {
        if *self.trip.lock().expect("nobody panics with it") == Some(place) {
            std::process::abort();
        }
    }

    /// The names of the methods called since the last time it was asked.
    pub(crate) fn calls(&self) -> Vec<&'static str> {
        std::mem::take(&mut *self.calls.lock().expect("no test panics while it counts"))
    }

    /// From now on, each `n`-th write of a session happens, and says that it is unknown
    /// whether it did.
    pub(crate) fn lose_every_nth_answer(&self, n: u64) {
        self.lose_every.store(n, Ordering::SeqCst);
    }

    /// The next `n` calls fail, and do nothing.
    pub(crate) fn fail_next(&self, n: u64) {
        self.down_for.store(n, Ordering::SeqCst);
    }

    /// The next `n` calls of this method fail in this way, of those that reapers make.
    pub(crate) fn fail(&self, method: &'static str, n: u64, how: Failing) {
        let mut failing = self.failing.lock().expect("nobody panics with it");
        failing.insert(method, (n, how));
    }

    fn fails(&self, method: &'static str, how: Failing) -> Result<()> {
        let mut failing = self.failing.lock().expect("nobody panics with it");
        match failing.get_mut(method) {
            Some((left, its)) if *left > 0 && *its == how => {
                *left -= 1;
                Err(Error::unavailable("the test has this method fail"))
            }
            _ => Ok(()),
        }
    }

    fn note(&self, method: &'static str) -> Result<()> {
        self.pass(Trip::Before(method));
        self.calls
            .lock()
            .expect("no test panics while it counts")
            .push(method);
        let down = self
            .down_for
            .fetch_update(Ordering::SeqCst, Ordering::SeqCst, |n| n.checked_sub(1));
        match down {
            Ok(_) => Err(Error::unavailable("the test took the store away")),
            Err(_) => Ok(()),
        }
    }

    fn answer<T>(&self, answer: Result<T>) -> Result<T> {
        let every = self.lose_every.load(Ordering::SeqCst);
        let count = self.writes.fetch_add(1, Ordering::SeqCst) + 1;
        if every > 0 && count.is_multiple_of(every) {
            answer?;
            return Err(Error::unavailable("the test dropped the answer"));
        }
        answer
    }
}

#[async_trait]
impl SessionStore for Watched {
    async fn open(&self, ns: &Namespace, hooks: Hooks) -> Result<()> {
        self.note("open")?;
        self.inner.open(ns, hooks).await
    }

    async fn create(&self, ns: &Namespace, record: &Record, now: Timestamp) -> Result<Created> {
        self.note("create")?;
        self.answer(self.inner.create(ns, record, now).await)
    }

    async fn load(&self, ns: &Namespace, id: SessionId, now: Timestamp) -> Result<Option<Record>> {
        self.note("load")?;
        self.inner.load(ns, id, now).await
    }

    async fn touch(&self, ns: &Namespace, id: SessionId, now: Timestamp) -> Result<bool> {
        self.note("touch")?;
        self.inner.touch(ns, id, now).await
    }

    async fn update(
        &self,
        ns: &Namespace,
        id: SessionId,
        expected: Version,
        change: &Change,
        now: Timestamp,
    ) -> Result<Updated> {
        self.note("update")?;
        let answer = self.answer(self.inner.update(ns, id, expected, change, now).await);
        let meanwhile = match &answer {
            Err(_) => self.meanwhile.lock().expect("nobody panics with it").take(),
            Ok(_) => None,
        };
        if let Some(meanwhile) = meanwhile {
            meanwhile.await;
        }
        answer
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
        self.note("end")?;
        self.inner.end(ns, id, rotation, reason, after, now).await
    }

    async fn end_principal(
        &self,
        ns: &Namespace,
        principal: &Principal,
        except: Option<SessionId>,
        after: After,
        now: Timestamp,
    ) -> Result<u64> {
        self.note("end_principal")?;
        self.inner
            .end_principal(ns, principal, except, after, now)
            .await
    }

    async fn reset(&self, ns: &Namespace, now: Timestamp) -> Result<()> {
        self.note("reset")?;
        self.inner.reset(ns, now).await
    }

    async fn claim(
        &self,
        ns: &Namespace,
        lease: Duration,
        limit: u32,
        now: Timestamp,
    ) -> Result<Claimed> {
        self.note("claim")?;
        self.fails("claim", Failing::Refused)?;
        let claimed = self.inner.claim(ns, lease, limit, now).await;
        self.pass(Trip::After("claim"));
        self.fails("claim", Failing::Unheard)?;
        claimed
    }

    async fn renew(
        &self,
        ns: &Namespace,
        tickets: &[Ticket],
        lease: Duration,
        now: Timestamp,
    ) -> Result<u64> {
        self.note("renew")?;
        self.fails("renew", Failing::Refused)?;
        self.inner.renew(ns, tickets, lease, now).await
    }

    async fn settle(
        &self,
        ns: &Namespace,
        outcomes: &[(Ticket, Outcome)],
        now: Timestamp,
    ) -> Result<u64> {
        self.note("settle")?;
        self.fails("settle", Failing::Refused)?;
        let settled = self.inner.settle(ns, outcomes, now).await;
        self.pass(Trip::After("settle"));
        self.fails("settle", Failing::Unheard)?;
        settled
    }

    async fn purge(&self, ns: &Namespace, limit: u32, now: Timestamp) -> Result<Purged> {
        self.note("purge")?;
        self.inner.purge(ns, limit, now).await
    }

    async fn inspect(
        &self,
        ns: &Namespace,
        id: SessionId,
        now: Timestamp,
    ) -> Result<Option<Entry>> {
        self.note("inspect")?;
        self.inner.inspect(ns, id, now).await
    }

    async fn list(&self, ns: &Namespace, filter: &Filter, now: Timestamp) -> Result<Page> {
        self.note("list")?;
        self.inner.list(ns, filter, now).await
    }

    async fn count(&self, ns: &Namespace, now: Timestamp) -> Result<Counts> {
        self.note("count")?;
        self.inner.count(ns, now).await
    }

    async fn namespaces(&self) -> Result<Vec<Namespace>> {
        self.note("namespaces")?;
        self.inner.namespaces().await
    }

    async fn resolve(
        &self,
        ns: &Namespace,
        id: SessionId,
        what: Resolve,
        now: Timestamp,
    ) -> Result<bool> {
        self.note("resolve")?;
        self.inner.resolve(ns, id, what, now).await
    }

    async fn epoch(&self, ns: &Namespace, id: SessionId) -> Result<Epoch> {
        self.note("epoch")?;
        self.inner.epoch(ns, id).await
    }

    async fn import(
        &self,
        ns: &Namespace,
        entry: &Entry,
        epoch: Epoch,
        now: Timestamp,
    ) -> Result<Imported> {
        self.note("import")?;
        self.inner.import(ns, entry, epoch, now).await
    }

    async fn describe(&self, now: Timestamp) -> Result<Description> {
        self.note("describe")?;
        self.inner.describe(now).await
    }

    async fn close(&self) -> Result<()> {
        self.note("close")?;
        self.inner.close().await
    }
}
