//! A store whose answers are late, lost or refused, as a network makes them.

use std::fmt;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use futures_util::future::BoxFuture;
use tenure_memory::MemoryStore;
use tenure_store::{
    After, Change, Claimed, Counts, Created, Description, EndReason, Ended, Entry, Epoch, Error,
    Filter, Hooks, Imported, Namespace, Outcome, Page, Principal, Purged, Record, Resolve, Result,
    SessionId, SessionStore, Ticket, Timestamp, Updated, Version,
};

/// What becomes of a write.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fate {
    /// It is done and answered.
    Answered,
    /// It is done, and its answer lost.
    Lost,
    /// It is not done, and never will be.
    Refused,
    /// Its caller hears of an outage, and it is done when the test says so.
    Late,
}

enum Write {
    Create(Record, Timestamp),
    Update(SessionId, Version, Change, Timestamp),
    Touch(SessionId, Timestamp),
    End(SessionId, Option<u32>, EndReason, After, Timestamp),
}

/// Wraps a memory store. The fates of the next writes are said in advance; then all are
/// answered.
#[derive(Default)]
pub(crate) struct Unruly {
    inner: MemoryStore,
    fates: Mutex<Vec<Fate>>,
    late: Mutex<Vec<(Namespace, Write)>>,
    calls: Mutex<Vec<&'static str>>,
    /// What happens at the next load.
    at_load: Mutex<Option<AtLoad>>,
    meanwhile: Mutex<Option<BoxFuture<'static, ()>>>,
    gate: Mutex<Option<tokio::sync::oneshot::Receiver<()>>>,
}

enum AtLoad {
    /// Its answer gets lost.
    Fails,
    /// What was late lands behind it.
    Lands,
}

impl fmt::Debug for Unruly {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Unruly")
    }
}

fn lock<T>(what: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    what.lock().expect("no test panics with it")
}

impl Unruly {
    pub(crate) fn new() -> Arc<Self> {
        Arc::default()
    }

    /// The next writes have these fates, in this order.
    pub(crate) fn next(&self, fates: &[Fate]) {
        *lock(&self.fates) = fates.iter().rev().copied().collect();
    }

    /// What was late is done now.
    pub(crate) async fn land(&self) {
        let late = std::mem::take(&mut *lock(&self.late));
        for (ns, write) in late {
            match write {
                Write::Create(record, now) => drop(self.inner.create(&ns, &record, now).await),
                Write::Update(id, version, change, now) => {
                    drop(self.inner.update(&ns, id, version, &change, now).await);
                }
                Write::Touch(id, now) => drop(self.inner.touch(&ns, id, now).await),
                Write::End(id, rotation, reason, after, now) => {
                    let end = self.inner.end(&ns, id, rotation, reason, after, now);
                    drop(end.await);
                }
            }
        }
    }

    /// From now on all is answered.
    pub(crate) fn behave(&self) {
        self.next(&[]);
        *lock(&self.at_load) = None;
    }

    /// The next load fails.
    pub(crate) fn lose_next_load(&self) {
        *lock(&self.at_load) = Some(AtLoad::Fails);
    }

    /// What is late is done behind the next load.
    pub(crate) fn land_behind_next_load(&self) {
        *lock(&self.at_load) = Some(AtLoad::Lands);
    }

    /// Happens after the next write whose answer gets lost, before its caller hears so.
    pub(crate) fn meanwhile(&self, what: BoxFuture<'static, ()>) {
        *lock(&self.meanwhile) = Some(what);
    }

    /// The next write waits until something is sent.
    pub(crate) fn hold_next_write(&self) -> tokio::sync::oneshot::Sender<()> {
        let (send, receive) = tokio::sync::oneshot::channel();
        *lock(&self.gate) = Some(receive);
        send
    }

    /// The methods called since the last time it was asked.
    pub(crate) fn calls(&self) -> Vec<&'static str> {
        std::mem::take(&mut *lock(&self.calls))
    }

    fn note(&self, call: &'static str) {
        lock(&self.calls).push(call);
    }

    async fn write<T>(
        &self,
        call: &'static str,
        ns: &Namespace,
        write: Write,
        done: impl Future<Output = Result<T>>,
    ) -> Result<T> {
        self.note(call);
        let gate = lock(&self.gate).take();
        if let Some(gate) = gate {
            drop(gate.await);
        }
        let fate = lock(&self.fates).pop().unwrap_or(Fate::Answered);
        match fate {
            Fate::Answered => done.await,
            Fate::Lost => {
                done.await?;
                let meanwhile = lock(&self.meanwhile).take();
                if let Some(meanwhile) = meanwhile {
                    meanwhile.await;
                }
                Err(Error::unavailable("the answer got lost"))
            }
            Fate::Refused => Err(Error::unavailable("refused")),
            Fate::Late => {
                lock(&self.late).push((ns.clone(), write));
                Err(Error::unavailable("no answer yet"))
            }
        }
    }
}

#[async_trait]
impl SessionStore for Unruly {
    async fn open(&self, ns: &Namespace, hooks: Hooks) -> Result<()> {
        self.inner.open(ns, hooks).await
    }

    async fn create(&self, ns: &Namespace, record: &Record, now: Timestamp) -> Result<Created> {
        let write = Write::Create(record.clone(), now);
        let done = self.inner.create(ns, record, now);
        self.write("create", ns, write, done).await
    }

    async fn load(&self, ns: &Namespace, id: SessionId, now: Timestamp) -> Result<Option<Record>> {
        self.note("load");
        let found = self.inner.load(ns, id, now).await;
        let at_load = lock(&self.at_load).take();
        match at_load {
            Some(AtLoad::Fails) => return Err(Error::unavailable("the answer got lost")),
            Some(AtLoad::Lands) => self.land().await,
            None => {}
        }
        found
    }

    async fn touch(&self, ns: &Namespace, id: SessionId, now: Timestamp) -> Result<bool> {
        let done = self.inner.touch(ns, id, now);
        self.write("touch", ns, Write::Touch(id, now), done).await
    }

    async fn update(
        &self,
        ns: &Namespace,
        id: SessionId,
        expected: Version,
        change: &Change,
        now: Timestamp,
    ) -> Result<Updated> {
        let write = Write::Update(id, expected, change.clone(), now);
        let done = self.inner.update(ns, id, expected, change, now);
        self.write("update", ns, write, done).await
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
        let write = Write::End(id, rotation, reason, after, now);
        let done = self.inner.end(ns, id, rotation, reason, after, now);
        self.write("end", ns, write, done).await
    }

    async fn end_principal(
        &self,
        ns: &Namespace,
        principal: &Principal,
        except: Option<SessionId>,
        after: After,
        now: Timestamp,
    ) -> Result<u64> {
        self.note("end_principal");
        self.inner
            .end_principal(ns, principal, except, after, now)
            .await
    }

    async fn reset(&self, ns: &Namespace, now: Timestamp) -> Result<()> {
        self.inner.reset(ns, now).await
    }

    async fn claim(
        &self,
        ns: &Namespace,
        lease: Duration,
        limit: u32,
        now: Timestamp,
    ) -> Result<Claimed> {
        self.inner.claim(ns, lease, limit, now).await
    }

    async fn renew(
        &self,
        ns: &Namespace,
        tickets: &[Ticket],
        lease: Duration,
        now: Timestamp,
    ) -> Result<u64> {
        self.inner.renew(ns, tickets, lease, now).await
    }

    async fn settle(
        &self,
        ns: &Namespace,
        outcomes: &[(Ticket, Outcome)],
        now: Timestamp,
    ) -> Result<u64> {
        self.inner.settle(ns, outcomes, now).await
    }

    async fn purge(&self, ns: &Namespace, limit: u32, now: Timestamp) -> Result<Purged> {
        self.inner.purge(ns, limit, now).await
    }

    async fn inspect(
        &self,
        ns: &Namespace,
        id: SessionId,
        now: Timestamp,
    ) -> Result<Option<Entry>> {
        self.inner.inspect(ns, id, now).await
    }

    async fn list(&self, ns: &Namespace, filter: &Filter, now: Timestamp) -> Result<Page> {
        self.inner.list(ns, filter, now).await
    }

    async fn count(&self, ns: &Namespace, now: Timestamp) -> Result<Counts> {
        self.inner.count(ns, now).await
    }

    async fn namespaces(&self) -> Result<Vec<Namespace>> {
        self.inner.namespaces().await
    }

    async fn resolve(
        &self,
        ns: &Namespace,
        id: SessionId,
        what: Resolve,
        now: Timestamp,
    ) -> Result<bool> {
        self.inner.resolve(ns, id, what, now).await
    }

    async fn epoch(&self, ns: &Namespace, id: SessionId) -> Result<Epoch> {
        self.inner.epoch(ns, id).await
    }

    async fn import(
        &self,
        ns: &Namespace,
        entry: &Entry,
        epoch: Epoch,
        now: Timestamp,
    ) -> Result<Imported> {
        self.inner.import(ns, entry, epoch, now).await
    }

    async fn describe(&self, now: Timestamp) -> Result<Description> {
        self.inner.describe(now).await
    }

    async fn close(&self) -> Result<()> {
        self.inner.close().await
    }
}
