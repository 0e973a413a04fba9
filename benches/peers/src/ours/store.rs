//! A store alone, as the library uses it: no tokens, no encryption, no attributes.

use std::sync::{Arc, LazyLock};
use std::time::{Duration, SystemTime};

use tokio::task::JoinSet;
use uuid::Uuid;

use tenure_store::{
    Access, After, Change, EndReason, Hooks, Namespace, Payload, Record, Rotation, SessionId,
    SessionStore, Timeout, Timestamp, Version,
};

use crate::subject::{Error, Result, Subject};
use crate::visit::Visit;

pub(crate) struct Store {
    store: Arc<dyn SessionStore>,
    ns: Namespace,
}

impl Store {
    pub(crate) async fn new(store: Arc<dyn SessionStore>) -> Result<Self> {
        let ns = Namespace::sessions("store")?;
        store.open(&ns, Hooks::Withdrawn).await?;
        Ok(Self { store, ns })
    }

    async fn record(&self, id: SessionId) -> Result<Record> {
        let record = self.store.load(&self.ns, id, now()).await?;
        record.ok_or_else(|| "the session is gone".into())
    }
}

pub(crate) fn now() -> Timestamp {
    let now = SystemTime::UNIX_EPOCH.elapsed().unwrap_or_default();
    Timestamp::from_millis_clamped(i64::try_from(now.as_millis()).unwrap_or(i64::MAX))
}

/// The user's number, and behind it as many bytes as a visit has. Who stores bytes is not
/// measured by how they were made.
pub(crate) fn payload(visit: &Visit) -> Vec<u8> {
    static TEXT: LazyLock<String> = LazyLock::new(|| Visit::of(1).to_json());
    let mut bytes = Vec::with_capacity(size_of::<u64>() + TEXT.len());
    bytes.extend_from_slice(&visit.user.to_be_bytes());
    bytes.extend_from_slice(TEXT.as_bytes());
    bytes
}

pub(crate) fn user(payload: &[u8]) -> Result<u64> {
    let user = payload.first_chunk().ok_or("the payload is cut short")?;
    Ok(u64::from_be_bytes(*user))
}

/// The payload with another count of something.
pub(crate) fn changed(payload: &[u8], count: u32) -> Vec<u8> {
    let mut payload = payload.to_vec();
    let end = payload.len() - 4;
    payload[end..].copy_from_slice(&count.to_be_bytes());
    payload
}

async fn create(store: &dyn SessionStore, ns: &Namespace, visit: &Visit) -> Result<SessionId> {
    let (id, now) = (SessionId::from_bytes(Uuid::new_v4().into_bytes()), now());
    let record = Record {
        id,
        created: now,
        last_access: now,
        accesses: 1,
        idle_timeout: Some(Timeout::new(Duration::from_hours(24))?),
        lifetime: None,
        leaves_at: None,
        principal: None,
        rotation: Rotation::default(),
        version: Version::new(1),
        payload: Payload::new(payload(visit)),
    };
    let _ = store.create(ns, &record, now).await?;
    Ok(id)
}

/// So many more sessions in an application, by as many tasks as share a write well.
pub(crate) async fn fill(
    store: &Arc<dyn SessionStore>,
    ns: &Namespace,
    sessions: usize,
) -> Result<Vec<SessionId>> {
    const TASKS: usize = 64;
    let mut tasks = JoinSet::new();
    for task in 0..TASKS {
        let (store, ns) = (Arc::clone(store), ns.clone());
        tasks.spawn(async move {
            let mut ids = Vec::new();
            for user in (task..sessions).step_by(TASKS) {
                ids.push(create(&*store, &ns, &Visit::of(user as u64)).await?);
            }
            Ok::<_, Error>(ids)
        });
    }
    let mut ids = Vec::with_capacity(sessions);
    while let Some(done) = tasks.join_next().await {
        ids.extend(done??);
    }
    Ok(ids)
}

impl Subject for Store {
    type Key = SessionId;

    async fn create(&self, visit: &Visit) -> Result<SessionId> {
        create(&*self.store, &self.ns, visit).await
    }

    async fn load(&self, id: &SessionId) -> Result<u64> {
        user(self.record(*id).await?.payload.as_bytes())
    }

    async fn touch(&self, id: &SessionId) -> Result<u64> {
        let record = self.record(*id).await?;
        if !self.store.touch(&self.ns, *id, now()).await? {
            return Err("the session is gone".into());
        }
        user(record.payload.as_bytes())
    }

    async fn change(&self, id: &SessionId, count: u32) -> Result<u64> {
        // As the library: what somebody else changed meanwhile is loaded again.
        loop {
            let record = self.record(*id).await?;
            let next = Version::new(fastrand::u64(..));
            let mut change = Change::new(next, Access::Counts);
            change.payload = Some(Payload::new(changed(record.payload.as_bytes(), count)));
            let update = self
                .store
                .update(&self.ns, *id, record.version, &change, now());
            match update.await? {
                tenure_store::Updated::Done => return user(record.payload.as_bytes()),
                tenure_store::Updated::Changed => {}
                other => return Err(format!("{other:?}").into()),
            }
        }
    }

    async fn end(&self, id: SessionId) -> Result<()> {
        let end = self
            .store
            .end(&self.ns, id, None, EndReason::Logout, After::Discard, now());
        end.await?
            .map(|_| ())
            .ok_or_else(|| "it was over already".into())
    }

    async fn unknown(&self, number: u64) -> Result<bool> {
        let id = SessionId::from_bytes(u128::from(number).to_be_bytes());
        Ok(self.store.load(&self.ns, id, now()).await?.is_some())
    }

    async fn forged(&self) -> Result<bool> {
        self.unknown(0).await
    }
}
