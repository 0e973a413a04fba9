//! The contract, method by method: each checks its arguments and has its operation done, in a
//! task.

use std::time::Duration;

use async_trait::async_trait;
use tenure_store::{
    After, Change, Claimed, Counts, Created, Description, End, EndReason, Ended, Entry, Epoch,
    Error, ErrorKind, Filter, Hooks, Imported, Namespace, Outcome, Page, Payload, Principal,
    Purged, Record, Resolve, Result, SessionId, SessionStore, State, Ticket, Timestamp, Tombstone,
    Updated, Version,
};
use tokio::sync::oneshot;
use tokio::time::timeout;

use crate::create::{self, Fate};
use crate::end::Revoke;
use crate::log_in::LogIn;
use crate::store::RedisStore;
use crate::update::Update;
use crate::{access, count, describe, end, look, namespace, reap, settle};

#[async_trait]
impl SessionStore for RedisStore {
    async fn open(&self, ns: &Namespace, hooks: Hooks) -> Result<()> {
        let ns = ns.clone();
        self.run(|core| async move { namespace::open(&core, &ns, hooks).await })
            .await
    }

    async fn create(&self, ns: &Namespace, record: &Record, _: Timestamp) -> Result<Created> {
        Ok(match self.insert(ns, record, Fate::Live(None)).await? {
            Imported::Done => Created::Done,
            Imported::Exists | Imported::Reset => Created::Exists,
        })
    }

    async fn load(&self, ns: &Namespace, id: SessionId, now: Timestamp) -> Result<Option<Record>> {
        if self.core.servers.is_cluster() {
            // There a command is for one shard, and so for one session mostly.
            let ns = ns.clone();
            return self
                .look(|core| async move { access::load_alone(&core, &ns, id, now).await })
                .await;
        }
        let seat = self.queue.enter()?;
        access::load(&self.core, seat, ns, id, now).await
    }

    async fn touch(&self, ns: &Namespace, id: SessionId, now: Timestamp) -> Result<bool> {
        let ns = ns.clone();
        self.run(|core| async move { access::touch(&core, &ns, id, now).await })
            .await
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
        let (ns, change) = (ns.clone(), change.clone());
        let update = Update {
            ns,
            id,
            expected,
            change,
            now,
        };
        match limited {
            None => {
                self.run(|core| async move { update.run(&core).await })
                    .await
            }
            Some((principal, limit)) => {
                let log_in = LogIn {
                    update,
                    principal,
                    limit,
                };
                // Room may have to be made, which goes on when this caller's time is up.
                let servers = &self.core.servers;
                let running = self.run(|core| async move { log_in.run(&core).await });
                let late = |_| Err(servers.late());
                timeout(servers.deadline + servers.deadline / 16, running)
                    .await
                    .unwrap_or_else(late)
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
        let end = End { reason, at: now };
        self.run(|core| async move { end::end(&core, &ns, id, rotation, end, after).await })
            .await
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
        let (ns, principal) = (ns.clone(), principal.clone());
        let revoke = Revoke {
            ns,
            principal,
            except,
            after,
            now,
        };
        self.run(|core| async move { revoke.run(&core).await })
            .await
    }

    async fn reset(&self, ns: &Namespace, now: Timestamp) -> Result<()> {
        let ns = ns.clone();
        self.run(|core| async move { namespace::reset(&core, &ns, now).await })
            .await
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
        let (reaper, claimed) = oneshot::channel();
        self.run(|core| async move {
            let claimed = reap::claim(&core, &ns, lease, limit, now).await?;
            match reaper.send(claimed) {
                Ok(()) => Ok(()),
                // What nobody received was no attempt.
                Err(unwanted) => settle::give_back(&core, &ns, &unwanted, now).await,
            }
        })
        .await?;
        let stopped = |_| Error::unavailable("the store stopped before its answer");
        claimed.await.map_err(stopped)
    }

    async fn renew(
        &self,
        ns: &Namespace,
        tickets: &[Ticket],
        lease: Duration,
        now: Timestamp,
    ) -> Result<u64> {
        let (ns, tickets) = (ns.clone(), tickets.to_vec());
        self.run(|core| async move { settle::renew(&core, &ns, &tickets, lease, now).await })
            .await
    }

    async fn settle(
        &self,
        ns: &Namespace,
        outcomes: &[(Ticket, Outcome)],
        now: Timestamp,
    ) -> Result<u64> {
        let (ns, outcomes) = (ns.clone(), outcomes.to_vec());
        self.run(|core| async move { settle::settle(&core, &ns, &outcomes, now).await })
            .await
    }

    async fn purge(&self, ns: &Namespace, limit: u32, now: Timestamp) -> Result<Purged> {
        check_limit(limit)?;
        let ns = ns.clone();
        self.run(|core| async move { reap::purge(&core, &ns, limit, now).await })
            .await
    }

    async fn inspect(
        &self,
        ns: &Namespace,
        id: SessionId,
        now: Timestamp,
    ) -> Result<Option<Entry>> {
        let ns = ns.clone();
        self.look(|core| async move { look::inspect(&core, &ns, id, now).await })
            .await
    }

    async fn list(&self, ns: &Namespace, filter: &Filter, now: Timestamp) -> Result<Page> {
        check_limit(filter.limit)?;
        let (ns, filter) = (ns.clone(), filter.clone());
        self.look(|core| async move { look::list(&core, &ns, &filter, now).await })
            .await
    }

    async fn count(&self, ns: &Namespace, now: Timestamp) -> Result<Counts> {
        let ns = ns.clone();
        self.look(|core| async move { count::count(&core, &ns, now).await })
            .await
    }

    async fn namespaces(&self) -> Result<Vec<Namespace>> {
        self.look(|core| async move { namespace::namespaces(&core).await })
            .await
    }

    async fn resolve(
        &self,
        ns: &Namespace,
        id: SessionId,
        what: Resolve,
        now: Timestamp,
    ) -> Result<bool> {
        let ns = ns.clone();
        self.run(|core| async move { settle::resolve(&core, &ns, id, what, now).await })
            .await
    }

    async fn epoch(&self, ns: &Namespace, id: SessionId) -> Result<Epoch> {
        let ns = ns.clone();
        self.look(|core| async move { namespace::epoch(&core, &ns, id).await })
            .await
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
        self.look(|core| async move { describe::describe(&core).await })
            .await
    }

    async fn close(&self) -> Result<()> {
        let is_through = self.queue.close(self.core.servers.deadline).await;
        self.core.servers.close();
        if is_through {
            return Ok(());
        }
        Err(Error::unavailable(
            "closed, though an operation was under way for longer than the deadline",
        ))
    }
}

impl RedisStore {
    fn check_size(&self, payload: &Payload) -> Result<()> {
        let (size, limit) = (payload.len(), self.core.payload_limit);
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
        self.run(|core| async move { create::create(&core, &ns, &record, &fate).await })
            .await
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
