//! The contract, method by method: each checks its arguments and queues its operation.

use std::time::Duration;

use async_trait::async_trait;
use tenure_store::{
    After, Change, Claimed, Counts, Created, Description, EndReason, Ended, Entry, Epoch, Error,
    ErrorKind, Filter, Hooks, Imported, Namespace, Outcome, Page, Payload, Principal, Purged,
    Record, Resolve, Result, SessionId, SessionStore, State, Ticket, Timestamp, Tombstone, Updated,
    Version,
};

use crate::access::{Load, Touch};
use crate::create::{Create, Fate};
use crate::describe::Describe;
use crate::end::Finish;
use crate::log_in::{LogIn, Step};
use crate::look::{Count, Inspect, List};
use crate::namespace::{Namespaces, Open, Present, Reset, Revoke};
use crate::reap::{Claim, Purge};
use crate::settle::{self, Decide, Renew, Settle};
use crate::store::SqliteStore;
use crate::update::Update;

#[async_trait]
impl SessionStore for SqliteStore {
    async fn open(&self, ns: &Namespace, hooks: Hooks) -> Result<()> {
        let ns = ns.clone();
        self.writes.submit(Open { ns, hooks }).await
    }

    async fn create(&self, ns: &Namespace, record: &Record, _: Timestamp) -> Result<Created> {
        Ok(match self.insert(ns, record, Fate::Live(None)).await? {
            Imported::Done => Created::Done,
            Imported::Exists | Imported::Reset => Created::Exists,
        })
    }

    async fn load(&self, ns: &Namespace, id: SessionId, now: Timestamp) -> Result<Option<Record>> {
        let ns = ns.clone();
        self.reads.quick(Load { ns, id, now }).await
    }

    async fn touch(&self, ns: &Namespace, id: SessionId, now: Timestamp) -> Result<bool> {
        let ns = ns.clone();
        self.writes.submit(Touch { ns, id, now }).await
    }

    async fn update(
        &self,
        ns: &Namespace,
        id: SessionId,
        expected: Version,
        change: &Change,
        now: Timestamp,
    ) -> Result<Updated> {
        if let Some(payload) = &change.payload {
            self.check_size(payload)?;
        }
        let limited = change.limited()?;
        let limited = limited.map(|(principal, limit)| (principal.clone(), limit));
        let update = || Update {
            ns: ns.clone(),
            id,
            expected,
            change: change.clone(),
            now,
        };
        let Some((principal, limit)) = limited else {
            return self.writes.submit(update()).await;
        };
        let mut from = None;
        loop {
            let (update, principal) = (update(), principal.clone());
            let log_in = LogIn {
                update,
                principal,
                limit,
                from,
            };
            match self.writes.submit(log_in).await? {
                Step::Over(updated) => return Ok(updated),
                Step::More(place) => from = place,
            }
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
        let ns = ns.clone();
        let finish = Finish {
            ns,
            id,
            rotation,
            reason,
            after,
            now,
        };
        self.writes.submit(finish).await
    }

    async fn end_principal(
        &self,
        ns: &Namespace,
        principal: &Principal,
        except: Option<SessionId>,
        after: After,
        now: Timestamp,
    ) -> Result<u64> {
        if matches!(after, After::Hold(_)) {
            return Err(Error::invalid(
                "the ends of many are left to the reapers: After::Queue or After::Discard",
            ));
        }
        let (mut ended, mut from) = (0, None);
        loop {
            let (ns, principal) = (ns.clone(), principal.clone());
            let revoke = Revoke {
                ns,
                principal,
                except,
                after,
                now,
                from,
            };
            let step = self.writes.submit(revoke).await?;
            ended += step.ended;
            from = step.next;
            if from.is_none() {
                return Ok(ended);
            }
        }
    }

    async fn reset(&self, ns: &Namespace, now: Timestamp) -> Result<()> {
        let ns = ns.clone();
        self.writes.submit(Reset { ns, now }).await
    }

    async fn claim(
        &self,
        ns: &Namespace,
        lease: Duration,
        limit: u32,
        now: Timestamp,
    ) -> Result<Claimed> {
        check_limit(limit)?;
        let ns = ns.clone();
        let claim = Claim {
            ns,
            lease,
            limit,
            now,
        };
        self.writes.submit(claim).await
    }

    async fn renew(
        &self,
        ns: &Namespace,
        tickets: &[Ticket],
        lease: Duration,
        now: Timestamp,
    ) -> Result<u64> {
        let mut renewed = 0;
        for tickets in tickets.chunks(settle::STEP) {
            let (ns, tickets) = (ns.clone(), tickets.to_vec());
            let renew = Renew {
                ns,
                tickets,
                lease,
                now,
            };
            renewed += self.writes.submit(renew).await?;
        }
        Ok(renewed)
    }

    async fn settle(
        &self,
        ns: &Namespace,
        outcomes: &[(Ticket, Outcome)],
        now: Timestamp,
    ) -> Result<u64> {
        let mut settled = 0;
        for outcomes in outcomes.chunks(settle::STEP) {
            let (ns, outcomes) = (ns.clone(), outcomes.to_vec());
            settled += self.writes.submit(Settle { ns, outcomes, now }).await?;
        }
        Ok(settled)
    }

    async fn purge(&self, ns: &Namespace, limit: u32, now: Timestamp) -> Result<Purged> {
        check_limit(limit)?;
        let ns = ns.clone();
        self.writes.submit(Purge { ns, limit, now }).await
    }

    async fn inspect(
        &self,
        ns: &Namespace,
        id: SessionId,
        now: Timestamp,
    ) -> Result<Option<Entry>> {
        let ns = ns.clone();
        self.reads.quick(Inspect { ns, id, now }).await
    }

    async fn list(&self, ns: &Namespace, filter: &Filter, now: Timestamp) -> Result<Page> {
        check_limit(filter.limit)?;
        let (ns, filter) = (ns.clone(), filter.clone());
        self.reads.walk(List { ns, filter, now }).await
    }

    async fn count(&self, ns: &Namespace, now: Timestamp) -> Result<Counts> {
        let ns = ns.clone();
        self.reads.walk(Count { ns, now }).await
    }

    async fn namespaces(&self) -> Result<Vec<Namespace>> {
        self.reads.walk(Namespaces).await
    }

    async fn resolve(
        &self,
        ns: &Namespace,
        id: SessionId,
        what: Resolve,
        now: Timestamp,
    ) -> Result<bool> {
        let ns = ns.clone();
        let decide = Decide { ns, id, what, now };
        self.writes.submit(decide).await
    }

    async fn epoch(&self, ns: &Namespace, _: SessionId) -> Result<Epoch> {
        let ns = ns.clone();
        self.reads.quick(Present { ns }).await
    }

    async fn import(
        &self,
        ns: &Namespace,
        entry: &Entry,
        epoch: Epoch,
        _: Timestamp,
    ) -> Result<Imported> {
        let fate = match &entry.state {
            State::Live => Fate::Live(Some(epoch)),
            State::Over(end) => Fate::Ended(Tombstone::new(*end)),
            State::Ended(tombstone) => Fate::Ended(tombstone.clone()),
        };
        self.insert(ns, &entry.record, fate).await
    }

    async fn describe(&self, _: Timestamp) -> Result<Description> {
        let (payload_limit, expected) = (self.options.payload_limit, self.schema_expected);
        // Of the connection that writes: how durable a write is, is its setting.
        let describe = Describe {
            payload_limit,
            expected,
        };
        self.writes.submit(describe).await
    }

    async fn close(&self) -> Result<()> {
        self.stop().await
    }
}

impl SqliteStore {
    fn check_size(&self, payload: &Payload) -> Result<()> {
        let (size, limit) = (payload.len(), self.options.payload_limit);
        if size > limit {
            let message = format!("a payload of {size} bytes, the limit is {limit}");
            return Err(Error::new(ErrorKind::TooLarge, message));
        }
        Ok(())
    }

    async fn insert(&self, ns: &Namespace, record: &Record, fate: Fate) -> Result<Imported> {
        self.check_size(&record.payload)?;
        if record.accesses > 1 << 53 {
            return Err(Error::invalid("a session has at most 2^53 accesses"));
        }
        if fate.tombstone().is_some_and(has_impossible_counter) {
            return Err(Error::invalid("a tombstone's counters go up to 2^31 - 1"));
        }
        let (ns, record) = (ns.clone(), record.clone());
        self.writes.submit(Create { ns, record, fate }).await
    }
}

fn has_impossible_counter(tombstone: &Tombstone) -> bool {
    let counters = [tombstone.claims, tombstone.failures, tombstone.unsettled];
    counters
        .into_iter()
        .any(|counter| i32::try_from(counter).is_err())
}

fn check_limit(limit: u32) -> Result<()> {
    if limit == 0 {
        return Err(Error::invalid("a limit is at least 1"));
    }
    Ok(())
}
