//! The sentences that many cases share: put a session, drain the reapers' queue, scan
//! the whole list.

use std::sync::Arc;

use async_trait::async_trait;
use tenure_store::{
    Created, Ended, Entry, Filter, Imported, Namespace, Outcome, Record, Result, SessionId,
    SessionStore, Ticket, Timestamp,
};
use tokio::task::JoinSet;

use crate::Stage;
use crate::props::{LEASE, failure};

/// How often a case tries again before it says that it is for ever.
pub const PATIENCE: u32 = 20_000;

/// What cases do with any store, beside its own methods.
#[async_trait]
pub trait Story: SessionStore {
    /// Creates a session at its own creation time. Its id must be free.
    async fn put(&self, ns: &Namespace, record: &Record) -> Result<()> {
        let created = self.create(ns, record, record.created).await?;
        assert_eq!(created, Created::Done, "{} was free", record.id);
        Ok(())
    }

    /// Imports an entry, into the epoch that is the present one just before.
    async fn bring(&self, ns: &Namespace, entry: &Entry, now: Timestamp) -> Result<Imported> {
        let epoch = self.epoch(ns, entry.record.id).await?;
        self.import(ns, entry, epoch, now).await
    }

    /// Claims until there is no more, settling nothing.
    async fn claim_all(&self, ns: &Namespace, now: Timestamp) -> Result<Vec<Ended>> {
        self.claim_by(ns, 100, now).await
    }

    /// Claims until there is no more, so many at once, settling nothing.
    async fn claim_by(&self, ns: &Namespace, limit: u32, now: Timestamp) -> Result<Vec<Ended>> {
        let mut ended = Vec::new();
        for _ in 0..PATIENCE {
            let claimed = self.claim(ns, LEASE, limit, now).await?;
            assert!(claimed.ended.len() as u64 <= u64::from(limit));
            ended.extend(claimed.ended);
            if !claimed.more {
                return Ok(ended);
            }
        }
        panic!("there is always more to claim");
    }

    /// Claims the one tombstone that there is.
    async fn claim_one(&self, ns: &Namespace, now: Timestamp) -> Result<Ended> {
        let mut ended = self.claim_all(ns, now).await?;
        let one = ended.pop();
        assert!(
            ended.is_empty(),
            "one tombstone was due, not {}",
            ended.len() + 1
        );
        Ok(one.expect("one tombstone was due, not none"))
    }

    /// Settles one ticket; says whether it was good.
    async fn settle_one(
        &self,
        ns: &Namespace,
        ticket: Ticket,
        outcome: Outcome,
        now: Timestamp,
    ) -> Result<bool> {
        Ok(self.settle(ns, &[(ticket, outcome)], now).await? == 1)
    }

    /// Runs every hook that is due, successfully; says what ended.
    async fn reap(&self, ns: &Namespace, now: Timestamp) -> Result<Vec<Ended>> {
        let ended = self.claim_all(ns, now).await?;
        let done: Vec<_> = ended
            .iter()
            .map(|ended| (ended.ticket(), Outcome::Done))
            .collect();
        let settled = self.settle(ns, &done, now).await?;
        assert_eq!(settled, done.len() as u64, "every claim could be settled");
        Ok(ended)
    }

    /// Claims the one tombstone that there is, and makes it a dead letter.
    async fn bury(&self, ns: &Namespace, now: Timestamp) -> Result<Ended> {
        let ended = self.claim_one(ns, now).await?;
        let why = failure("buried");
        let dead = Outcome::Dead { why };
        assert!(self.settle_one(ns, ended.ticket(), dead, now).await?);
        Ok(ended)
    }

    /// The entry of a session that must be there.
    async fn entry(&self, ns: &Namespace, id: SessionId, now: Timestamp) -> Result<Entry> {
        let entry = self.inspect(ns, id, now).await?;
        Ok(entry.expect("the session lies in the store"))
    }

    /// Every page of a list, one after the other.
    async fn scan(&self, ns: &Namespace, filter: &Filter, now: Timestamp) -> Result<Vec<Entry>> {
        let mut filter = filter.clone();
        let mut entries = Vec::new();
        loop {
            let page = self.list(ns, &filter, now).await?;
            assert!(page.entries.len() as u64 <= u64::from(filter.limit));
            entries.extend(page.entries);
            if page.next.is_none() {
                return Ok(entries);
            }
            assert!(page.next > filter.after, "a scan moves on with every page");
            filter.after = page.next;
        }
    }

    /// The whole namespace as it lies in the store, in the order of (created, id).
    async fn everything(&self, ns: &Namespace, now: Timestamp) -> Result<Vec<Entry>> {
        self.scan(ns, &Filter::all(100), now).await
    }
}

impl<S: SessionStore + ?Sized> Story for S {}

impl Stage {
    /// Puts many sessions at once, from several tasks on both nodes.
    ///
    /// # Errors
    /// The first that a creation meets.
    pub async fn put_many(&self, ns: &Namespace, records: Vec<Record>) -> Result<()> {
        let tasks = 16;
        let share = records.len().div_ceil(tasks).max(1);
        let mut putting = JoinSet::new();
        for (number, share) in (0..).zip(records.chunks(share)) {
            let (node, ns, share) = (self.nth(number), ns.clone(), share.to_vec());
            putting.spawn(async move {
                for record in &share {
                    node.put(&ns, record).await?;
                }
                Ok(())
            });
        }
        all(putting).await.map(|_| ())
    }
}

/// What all tasks return, in no order.
///
/// # Errors
/// The first one's, the other tasks stopped.
///
/// # Panics
/// If a task did.
pub async fn all<T: 'static>(mut tasks: JoinSet<Result<T>>) -> Result<Vec<T>> {
    let mut results = Vec::with_capacity(tasks.len());
    while let Some(joined) = tasks.join_next().await {
        results.push(joined.expect("the task did not panic")?);
    }
    Ok(results)
}

/// Both nodes doing the same at once, once each.
///
/// # Errors
/// The first one's.
///
/// # Panics
/// If a task did.
pub async fn both<T, F, A>(stage: &Stage, action: A) -> Result<Vec<T>>
where
    T: Send + 'static,
    F: Future<Output = Result<T>> + Send + 'static,
    A: Fn(Arc<dyn SessionStore>) -> F,
{
    let mut tasks = JoinSet::new();
    tasks.spawn(action(stage.node()));
    tasks.spawn(action(stage.other()));
    all(tasks).await
}
