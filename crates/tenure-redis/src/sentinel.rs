//! A primary that Sentinels watch over: which server it is at the moment.

use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use deadpool_redis::redis::RedisResult;
use deadpool_redis::redis::sentinel::SentinelClient;
use tokio::sync::Mutex;

use crate::server::Server;

pub(crate) struct Sentinel {
    client: Mutex<SentinelClient>,
    patience: Duration,
    primary: RwLock<Option<Arc<Server>>>,
}

impl Sentinel {
    pub(crate) fn new(client: SentinelClient, patience: Duration) -> Self {
        Self {
            client: Mutex::new(client),
            patience,
            primary: RwLock::new(None),
        }
    }

    /// The primary: the one that was the primary last, while it gives no cause for doubt.
    pub(crate) async fn server(&self) -> RedisResult<Arc<Server>> {
        if let Some(primary) = self.known() {
            return Ok(primary);
        }
        let mut client = self.client.lock().await;
        if let Some(primary) = self.known() {
            return Ok(primary);
        }
        let client = client.async_get_client().await?;
        let info = client.get_connection_info().clone();
        let primary = Arc::new(Server::new(info, self.patience)?);
        *self.write() = Some(Arc::clone(&primary));
        Ok(primary)
    }

    /// A server could not be reached, or says that it is a replica.
    pub(crate) fn doubt(&self, server: &Arc<Server>) {
        let mut primary = self.write();
        if primary
            .as_ref()
            .is_some_and(|primary| Arc::ptr_eq(primary, server))
        {
            *primary = None;
        }
    }

    pub(crate) fn close(&self) {
        *self.write() = None;
    }

    fn known(&self) -> Option<Arc<Server>> {
        let primary = self.primary.read().unwrap_or_else(PoisonError::into_inner);
        primary.clone().filter(|server| !server.is_hung_up())
    }

    fn write(&self) -> std::sync::RwLockWriteGuard<'_, Option<Arc<Server>>> {
        self.primary.write().unwrap_or_else(PoisonError::into_inner)
    }
}
