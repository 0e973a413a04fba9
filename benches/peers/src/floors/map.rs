//! A sharded map of shared entries, each with an expiry that is written without a lock.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Instant;

use dashmap::DashMap;
use uuid::Uuid;

use crate::ours::store::{changed, now, payload, user};
use crate::subject::{Result, Subject};
use crate::visit::Visit;

const IDLE_MS: i64 = 24 * 3_600_000;

#[derive(Default)]
pub(crate) struct Map(DashMap<u128, Arc<Entry>, foldhash::fast::RandomState>);

struct Entry {
    expires: AtomicI64,
    payload: Box<[u8]>,
}

impl Entry {
    fn new(payload: Vec<u8>) -> Arc<Self> {
        Arc::new(Self {
            expires: AtomicI64::new(now().as_millis() + IDLE_MS),
            payload: payload.into(),
        })
    }
}

impl Map {
    /// How many seconds it takes to remove so many entries one by one.
    pub(crate) fn emptied(entries: usize) -> f64 {
        let map = Self::default();
        let visit = Visit::of(1);
        for id in 0..entries as u128 {
            map.0.insert(id, Entry::new(payload(&visit)));
        }
        let began = Instant::now();
        for id in 0..entries as u128 {
            map.0.remove(&id);
        }
        began.elapsed().as_secs_f64()
    }

    fn live(&self, id: u128, now: i64) -> Option<Arc<Entry>> {
        let entry = Arc::clone(self.0.get(&id)?.value());
        (entry.expires.load(Ordering::Relaxed) > now).then_some(entry)
    }
}

impl Subject for Map {
    type Key = u128;

    async fn create(&self, visit: &Visit) -> Result<u128> {
        let id = Uuid::new_v4().as_u128();
        self.0.insert(id, Entry::new(payload(visit)));
        Ok(id)
    }

    async fn load(&self, id: &u128) -> Result<u64> {
        let entry = self.live(*id, now().as_millis()).ok_or("it is gone")?;
        user(&entry.payload)
    }

    async fn touch(&self, id: &u128) -> Result<u64> {
        let now = now().as_millis();
        let entry = self.live(*id, now).ok_or("it is gone")?;
        entry.expires.fetch_max(now + IDLE_MS, Ordering::Relaxed);
        user(&entry.payload)
    }

    async fn change(&self, id: &u128, count: u32) -> Result<u64> {
        loop {
            let read = self.live(*id, now().as_millis()).ok_or("it is gone")?;
            let written = Entry::new(changed(&read.payload, count));
            let mut entry = self.0.get_mut(id).ok_or("it is gone")?;
            if Arc::ptr_eq(&entry, &read) {
                *entry = written;
                return user(&read.payload);
            }
        }
    }

    async fn end(&self, id: u128) -> Result<()> {
        self.0
            .remove(&id)
            .map(|_| ())
            .ok_or_else(|| "it is gone".into())
    }

    async fn unknown(&self, number: u64) -> Result<bool> {
        Ok(self.live(u128::from(number), now().as_millis()).is_some())
    }

    async fn forged(&self) -> Result<bool> {
        self.unknown(0).await
    }
}
