//! A primary that Sentinels watch over: which server it is at the moment.

use std::collections::HashMap;
use std::sync::{Arc, Mutex as Lock, PoisonError, RwLock};
use std::time::Duration;

use deadpool_redis::redis::{
    AsyncConnectionConfig, Client, ConnectionAddr, ConnectionInfo, ErrorKind, RedisError,
    RedisResult, cmd,
};
use futures_util::future::select_ok;
use tokio::sync::Mutex;
use tokio::time::timeout;

use crate::call::Lane;
use crate::cluster::with_address;
use crate::info::Kind;
use crate::runtimes::PerRuntime;
use crate::server::{Server, is};

pub(crate) struct Sentinel {
    sentinels: Vec<Client>,
    /// What they call the primary.
    name: String,
    /// How the primary is connected to, but for its address.
    settings: ConnectionInfo,
    patience: Duration,
    primary: RwLock<Option<Primary>>,
    asking: PerRuntime<Mutex<()>>,
}

/// The server that was the primary last.
struct Primary {
    server: Arc<Server>,
    in_doubt: bool,
}

type Address = (String, u16);

impl Sentinel {
    pub(crate) fn new(
        sentinels: Vec<ConnectionInfo>,
        name: String,
        settings: ConnectionInfo,
        patience: Duration,
    ) -> RedisResult<Self> {
        Ok(Self {
            sentinels: sentinels
                .into_iter()
                .map(Client::open)
                .collect::<RedisResult<_>>()?,
            name,
            settings,
            patience,
            primary: RwLock::new(None),
            asking: PerRuntime::default(),
        })
    }

    /// The primary: the one that was the primary last, while it gives no cause for doubt, or
    /// while no Sentinel can say otherwise. Whether it is one, each new connection asks.
    pub(crate) async fn server(&self) -> RedisResult<Arc<Server>> {
        if let Some(primary) = self.undoubted() {
            return Ok(primary);
        }
        let asking = self.asking.here();
        let _asking = asking.lock().await;
        if let Some(primary) = self.undoubted() {
            return Ok(primary);
        }
        let last = self.last();
        let primary = match (self.ask_all(last.as_ref()).await, last) {
            (Ok(found), _) => found,
            (Err(_), Some(last)) => last,
            (Err(error), None) => return Err(error),
        };
        *self.write() = Some(Primary {
            server: Arc::clone(&primary),
            in_doubt: false,
        });
        Ok(primary)
    }

    /// A server could not be reached, or says that it is a replica.
    pub(crate) fn doubt(&self, server: &Arc<Server>) {
        if let Some(primary) = &mut *self.write()
            && is(&primary.server, server)
        {
            primary.in_doubt = true;
        }
    }

    pub(crate) fn close(&self) {
        if let Some(last) = self.last() {
            last.close();
        }
    }

    /// Asks all Sentinels at once. The first whose word leads to a primary is believed.
    async fn ask_all(&self, last: Option<&Arc<Server>>) -> RedisResult<Arc<Server>> {
        let known = Lock::new(HashMap::new());
        if let Some(last) = last {
            let mut known = known.lock().unwrap_or_else(PoisonError::into_inner);
            known.insert(address(last.info.addr()), Arc::clone(last));
        }
        let asking = self.sentinels.iter().map(|sentinel| {
            Box::pin(async {
                let asking = timeout(self.patience, self.ask(sentinel));
                let address = asking.await.map_err(|_| silent())??;
                let server = self.at(&known, address)?;
                server.wire(Lane::Requests).await?;
                Ok::<_, RedisError>(server)
            })
        });
        let (primary, _) = select_ok(asking).await?;
        Ok(primary)
    }

    async fn ask(&self, sentinel: &Client) -> RedisResult<Address> {
        let config = AsyncConnectionConfig::new()
            .set_connection_timeout(Some(self.patience))
            .set_response_timeout(None);
        let mut connection = sentinel
            .get_multiplexed_async_connection_with_config(&config)
            .await?;
        let mut question = cmd("SENTINEL");
        question.arg("GET-MASTER-ADDR-BY-NAME").arg(&self.name);
        let found: Option<Address> = question.query_async(&mut connection).await?;
        found.ok_or_else(|| {
            (
                ErrorKind::MasterNameNotFoundBySentinel,
                "a Sentinel knows no primary of this name",
            )
                .into()
        })
    }

    /// The server at an address, the same one for each Sentinel that names it.
    fn at(
        &self,
        known: &Lock<HashMap<Address, Arc<Server>>>,
        address: Address,
    ) -> RedisResult<Arc<Server>> {
        let mut known = known.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(server) = known.get(&address) {
            return Ok(Arc::clone(server));
        }
        let info = with_address(&self.settings, &address);
        let server = Arc::new(Server::new(info, Kind::Single, self.patience)?);
        known.insert(address, Arc::clone(&server));
        Ok(server)
    }

    /// One that hung up may have been replaced: a new connection to it might find it started
    /// again, with what it had before the fail-over.
    fn undoubted(&self) -> Option<Arc<Server>> {
        let mut primary = self.write();
        let primary = primary.as_mut()?;
        primary.in_doubt |= primary.server.has_hung_up();
        (!primary.in_doubt).then(|| Arc::clone(&primary.server))
    }

    fn last(&self) -> Option<Arc<Server>> {
        let primary = self.primary.read().unwrap_or_else(PoisonError::into_inner);
        primary.as_ref().map(|primary| Arc::clone(&primary.server))
    }

    fn write(&self) -> std::sync::RwLockWriteGuard<'_, Option<Primary>> {
        self.primary.write().unwrap_or_else(PoisonError::into_inner)
    }
}

fn address(addr: &ConnectionAddr) -> Address {
    let (host, port) = crate::cluster::host_and_port(addr);
    (host.to_owned(), port)
}

fn silent() -> RedisError {
    std::io::Error::from(std::io::ErrorKind::TimedOut).into()
}
