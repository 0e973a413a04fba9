//! A node's line to a store: it can be cut after any number of calls, before the call has
//! reached the store or before its answer came back.

use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use tenure_store::{
    After, Change, Claimed, Counts, Created, Description, EndReason, Ended, Entry, Epoch, Error,
    Filter, Hooks, Imported, Namespace, Outcome, Page, Principal, Purged, Record, Resolve, Result,
    SessionId, SessionStore, Ticket, Timestamp, Updated, Version,
};

/// What the lines of one node have in common: when it dies.
#[derive(Debug)]
pub(crate) struct Life {
    calls: AtomicU64,
    last: u64,
    death: Death,
    sleep: Duration,
}

/// What becomes of the call during which a node dies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Death {
    /// The store never gets it.
    Before,
    /// The store does it, and nobody hears of it.
    After,
    /// The store does it, and the node sleeps for a while, but lives.
    Asleep,
}

/// Longer than a node may take from one step to the next, shorter than a lease.
const SLEEP: Duration = Duration::from_secs(45);

impl Life {
    /// A node that dies at its call of this number, counted from 0.
    pub(crate) fn until(last: u64, death: Death) -> Arc<Self> {
        Arc::new(Self {
            calls: AtomicU64::new(0),
            last,
            death,
            sleep: SLEEP,
        })
    }

    /// A node that sleeps so long after its call of this number.
    pub(crate) fn napping(last: u64, sleep: Duration) -> Arc<Self> {
        Arc::new(Self {
            calls: AtomicU64::new(0),
            last,
            death: Death::Asleep,
            sleep,
        })
    }

    pub(crate) fn has_died(&self) -> bool {
        self.calls.load(Ordering::SeqCst) > self.last
    }
}

/// A store as one node gets to it.
#[derive(Debug)]
pub(crate) struct Line {
    pub(crate) store: Arc<dyn SessionStore>,
    /// Where sessions are created, if not there.
    pub(crate) births: Option<Arc<dyn SessionStore>>,
    pub(crate) life: Option<Arc<Life>>,
}

impl Line {
    async fn pass<T>(&self, call: impl Future<Output = Result<T>> + Send) -> Result<T> {
        let Some(life) = &self.life else {
            return call.await;
        };
        let number = life.calls.fetch_add(1, Ordering::SeqCst);
        if number < life.last {
            return call.await;
        }
        if life.death == Death::Asleep {
            let answer = call.await;
            if number == life.last {
                sleep(life.sleep).await;
            }
            return answer;
        }
        if number == life.last && life.death == Death::After {
            call.await?;
        }
        Err(Error::unavailable("the test cut the line"))
    }
}

/// The methods that only pass the call on.
macro_rules! pass {
    ($($name:ident($($arg:ident: $type:ty),*) -> $answer:ty;)*) => {
        #[async_trait]
        impl SessionStore for Line {
            async fn create(&self, ns: &Namespace, record: &Record, now: Timestamp) -> Result<Created> {
                let Some(births) = &self.births else {
                    return self.pass(self.store.create(ns, record, now)).await;
                };
                match self.store.inspect(ns, record.id, now).await? {
                    Some(_) => Ok(Created::Exists),
                    None => births.create(ns, record, now).await,
                }
            }

            $(async fn $name(&self, $($arg: $type),*) -> Result<$answer> {
                self.pass(self.store.$name($($arg),*)).await
            })*
        }
    };
}

pass! {
    open(ns: &Namespace, hooks: Hooks) -> ();
    load(ns: &Namespace, id: SessionId, now: Timestamp) -> Option<Record>;
    touch(ns: &Namespace, id: SessionId, now: Timestamp) -> bool;
    update(ns: &Namespace, id: SessionId, expected: Version, change: &Change, now: Timestamp) -> Updated;
    end(ns: &Namespace, id: SessionId, rotation: Option<u32>, reason: EndReason, after: After, now: Timestamp) -> Option<Ended>;
    end_principal(ns: &Namespace, principal: &Principal, except: Option<SessionId>, after: After, now: Timestamp) -> u64;
    reset(ns: &Namespace, now: Timestamp) -> ();
    claim(ns: &Namespace, lease: Duration, limit: u32, now: Timestamp) -> Claimed;
    renew(ns: &Namespace, tickets: &[Ticket], lease: Duration, now: Timestamp) -> u64;
    settle(ns: &Namespace, outcomes: &[(Ticket, Outcome)], now: Timestamp) -> u64;
    purge(ns: &Namespace, limit: u32, now: Timestamp) -> Purged;
    inspect(ns: &Namespace, id: SessionId, now: Timestamp) -> Option<Entry>;
    list(ns: &Namespace, filter: &Filter, now: Timestamp) -> Page;
    count(ns: &Namespace, now: Timestamp) -> Counts;
    namespaces() -> Vec<Namespace>;
    resolve(ns: &Namespace, id: SessionId, what: Resolve, now: Timestamp) -> bool;
    epoch(ns: &Namespace, id: SessionId) -> Epoch;
    import(ns: &Namespace, entry: &Entry, epoch: Epoch, now: Timestamp) -> Imported;
    describe(now: Timestamp) -> Description;
    close() -> ();
}

#[allow(
    clippy::disallowed_methods,
    reason = "of a clock that the test has stopped"
)]
async fn sleep(span: Duration) {
    tokio::time::sleep(span).await;
}
