//! A good store behind a wrapper with one fault.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use tenure_store::{
    After, Change, Claimed, Counts, Created, Description, EndReason, Ended, Entry, Epoch, Filter,
    Hooks, Imported, Kind, Namespace, Outcome, Page, Principal, Purged, Record, Resolve, Result,
    SessionId, SessionStore, Ticket, Timestamp, Updated, Version,
};

use crate::call::Call;
use crate::faults::Fault;
use crate::{ending, log_in, reaping, writing};

/// The wrapper.
#[derive(Debug)]
pub(crate) struct Broken {
    good: Arc<dyn SessionStore>,
    fault: Fault,
    memory: Mutex<Memory>,
}

/// What some faults remember too well.
#[derive(Debug, Default)]
struct Memory {
    /// The namespaces under the names that they were opened with.
    opened: BTreeSet<Namespace>,
    /// The record that each session was created with.
    first: BTreeMap<(Namespace, SessionId), Record>,
    /// The session that was asked for last, and of which namespace.
    asked: Option<(Namespace, SessionId)>,
}

impl Broken {
    pub(crate) fn new(good: Arc<dyn SessionStore>, fault: Fault) -> Self {
        let memory = Mutex::default();
        Self {
            good,
            fault,
            memory,
        }
    }

    fn memory(&self) -> MutexGuard<'_, Memory> {
        self.memory.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The records with which a namespace's sessions were created.
    fn first(&self, ns: &Namespace) -> Vec<Record> {
        let memory = self.memory();
        let here = memory.first.iter().filter(|((of, _), _)| of == ns);
        here.map(|(_, record)| record.clone()).collect()
    }

    /// The session that a load is answered with, and of which namespace.
    async fn answered(&self, ns: &Namespace, id: SessionId) -> (Namespace, SessionId) {
        if !matches!(self.fault, Fault::MixesAnswers | Fault::MixesNamespaces) {
            return (ns.clone(), id);
        }
        self.memory().asked = Some((ns.clone(), id));
        tokio::task::yield_now().await;
        match (self.fault, self.memory().asked.clone()) {
            (Fault::MixesAnswers, Some((_, other))) => (ns.clone(), other),
            (_, Some((other, _))) => (other, id),
            _ => (ns.clone(), id),
        }
    }

    /// A call, where the good store keeps what belongs into this namespace.
    fn call(&self, ns: &Namespace, now: Timestamp) -> Result<Call<'_>> {
        let application = ns.application();
        let ns = match self.fault {
            Fault::SharesKinds => Namespace::sessions(application)?,
            Fault::SharesApplications => Namespace::new(ns.kind(), "everybody")?,
            Fault::FoldsApplications => Namespace::new(ns.kind(), &application.to_lowercase())?,
            _ => ns.clone(),
        };
        let (good, fault) = (&*self.good, self.fault);
        Ok(Call {
            good,
            fault,
            ns,
            now,
        })
    }
}

#[async_trait]
impl SessionStore for Broken {
    async fn open(&self, ns: &Namespace, hooks: Hooks) -> Result<()> {
        self.memory().opened.insert(ns.clone());
        let hooks = match (self.fault, hooks) {
            (Fault::UnstatedWithdraws, Hooks::Unstated) => Hooks::Withdrawn,
            (_, hooks) => hooks,
        };
        let call = self.call(ns, Timestamp::MIN)?;
        call.good.open(&call.ns, hooks).await
    }

    async fn create(&self, ns: &Namespace, record: &Record, now: Timestamp) -> Result<Created> {
        let created = writing::create(&self.call(ns, now)?, record).await?;
        if created == Created::Done {
            let key = (ns.clone(), record.id);
            self.memory().first.insert(key, record.clone());
        }
        Ok(created)
    }

    async fn load(&self, ns: &Namespace, id: SessionId, now: Timestamp) -> Result<Option<Record>> {
        let (ns, id) = self.answered(ns, id).await;
        writing::load(&self.call(&ns, now)?, id).await
    }

    async fn touch(&self, ns: &Namespace, id: SessionId, now: Timestamp) -> Result<bool> {
        writing::touch(&self.call(ns, now)?, id).await
    }

    async fn update(
        &self,
        ns: &Namespace,
        id: SessionId,
        expected: Version,
        change: &Change,
        now: Timestamp,
    ) -> Result<Updated> {
        let call = self.call(ns, now)?;
        match change.limited()? {
            Some((principal, limit)) => {
                let log_in = log_in::LogIn {
                    id,
                    principal,
                    limit,
                };
                log_in.update(&call, expected, change).await
            }
            None => writing::update(&call, id, expected, change).await,
        }
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
        ending::end(&self.call(ns, now)?, id, rotation, reason, after).await
    }

    async fn end_principal(
        &self,
        ns: &Namespace,
        principal: &Principal,
        except: Option<SessionId>,
        after: After,
        now: Timestamp,
    ) -> Result<u64> {
        let call = self.call(ns, now)?;
        ending::end_principal(&call, self.first(ns), principal, except, after).await
    }

    async fn reset(&self, ns: &Namespace, now: Timestamp) -> Result<()> {
        ending::reset(&self.call(ns, now)?).await
    }

    async fn claim(
        &self,
        ns: &Namespace,
        lease: Duration,
        limit: u32,
        now: Timestamp,
    ) -> Result<Claimed> {
        // A case that claims for ever can be stopped here.
        tokio::task::yield_now().await;
        reaping::claim(&self.call(ns, now)?, self.first(ns), lease, limit).await
    }

    async fn renew(
        &self,
        ns: &Namespace,
        tickets: &[Ticket],
        lease: Duration,
        now: Timestamp,
    ) -> Result<u64> {
        let call = self.call(ns, now)?;
        let lease = match self.fault {
            Fault::RenewsForNothing => Duration::ZERO,
            _ => lease,
        };
        call.good.renew(&call.ns, tickets, lease, now).await
    }

    async fn settle(
        &self,
        ns: &Namespace,
        outcomes: &[(Ticket, Outcome)],
        now: Timestamp,
    ) -> Result<u64> {
        reaping::settle(&self.call(ns, now)?, outcomes).await
    }

    async fn purge(&self, ns: &Namespace, limit: u32, now: Timestamp) -> Result<Purged> {
        reaping::purge(&self.call(ns, now)?, limit).await
    }

    async fn inspect(
        &self,
        ns: &Namespace,
        id: SessionId,
        now: Timestamp,
    ) -> Result<Option<Entry>> {
        let call = self.call(ns, now)?;
        if self.fault == Fault::InspectIsAnAccess {
            call.touch(id).await?;
        }
        call.inspect(id).await
    }

    async fn list(&self, ns: &Namespace, filter: &Filter, now: Timestamp) -> Result<Page> {
        let call = self.call(ns, now)?;
        let mut page = call.good.list(&call.ns, filter, now).await?;
        let Some(next) = &mut page.next else {
            return Ok(page);
        };
        match self.fault {
            Fault::SkipsTwins => next.id = SessionId::from_bytes([0xff; 16]),
            Fault::ForgetsTheLastPage => {
                let mut rest = filter.clone();
                rest.after = Some(*next);
                let rest = call.good.list(&call.ns, &rest, now).await?;
                page.next = page.next.filter(|_| rest.next.is_some());
            }
            _ => {}
        }
        Ok(page)
    }

    async fn count(&self, ns: &Namespace, now: Timestamp) -> Result<Counts> {
        let call = self.call(ns, now)?;
        let mut counts = call.good.count(&call.ns, now).await?;
        if self.fault == Fault::CountsHeldAsWaiting {
            counts.waiting += std::mem::take(&mut counts.held);
        }
        Ok(counts)
    }

    async fn namespaces(&self) -> Result<Vec<Namespace>> {
        // The good store says whether it is open, the wrapper what was opened.
        self.good.namespaces().await?;
        let mut opened: Vec<_> = self.memory().opened.iter().cloned().collect();
        if self.fault == Fault::ForgetsVisitors {
            opened.retain(|ns| ns.kind() != Kind::Visitors);
        }
        Ok(opened)
    }

    async fn resolve(
        &self,
        ns: &Namespace,
        id: SessionId,
        what: Resolve,
        now: Timestamp,
    ) -> Result<bool> {
        reaping::resolve(&self.call(ns, now)?, id, what).await
    }

    async fn epoch(&self, ns: &Namespace, id: SessionId) -> Result<Epoch> {
        let call = self.call(ns, Timestamp::MIN)?;
        call.good.epoch(&call.ns, id).await
    }

    async fn import(
        &self,
        ns: &Namespace,
        entry: &Entry,
        epoch: Epoch,
        now: Timestamp,
    ) -> Result<Imported> {
        writing::import(&self.call(ns, now)?, entry, epoch).await
    }

    async fn describe(&self, now: Timestamp) -> Result<Description> {
        self.good.describe(now).await
    }

    async fn close(&self) -> Result<()> {
        match self.fault {
            Fault::CloseDoesNothing => Ok(()),
            _ => self.good.close().await,
        }
    }
}
