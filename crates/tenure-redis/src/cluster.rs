//! A Redis Cluster: which server has which slot.
//!
//! The driver's own cluster client is not used: on a broken connection it sends again what
//! may have happened, and the pool that wraps it cannot tell it not to.

use std::collections::HashMap;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use deadpool_redis::redis::{
    ConnectionAddr, ConnectionInfo, ErrorKind, RedisError, RedisResult, Value, cmd,
};
use tokio::sync::Mutex;

use crate::call::Lane;
use crate::server::{Manner, Server, send};

const SLOTS: u16 = 16_384;

type Address = (String, u16);

pub(crate) struct Cluster {
    /// Whom to ask who else there is. The first one's credentials are all servers'.
    seeds: Vec<ConnectionInfo>,
    patience: Duration,
    map: RwLock<Map>,
    learning: Mutex<()>,
}

#[derive(Default)]
struct Map {
    servers: HashMap<Address, Arc<Server>>,
    slots: Vec<Option<Arc<Server>>>,
    /// How often it was drawn.
    edition: u64,
}

impl Cluster {
    pub(crate) fn new(seeds: Vec<ConnectionInfo>, patience: Duration) -> Self {
        Self {
            seeds,
            patience,
            map: RwLock::default(),
            learning: Mutex::new(()),
        }
    }

    /// The server that has a slot, as far as is known.
    pub(crate) async fn server(&self, slot: u16) -> RedisResult<Arc<Server>> {
        if let Some(server) = self.known(slot) {
            return Ok(server);
        }
        self.learn(self.edition(), None).await?;
        self.known(slot).ok_or_else(|| {
            (
                ErrorKind::ClusterConnectionNotFound,
                "no server has this slot",
            )
                .into()
        })
    }

    /// A server cannot be reached, or knows no more than that something is wrong: whether
    /// another one has the slot now.
    pub(crate) async fn is_replaced(&self, lost: &Arc<Server>, slot: u16) -> bool {
        let learnt = self.learn(self.edition(), Some(lost)).await;
        let owner = self.known(slot);
        learnt.is_ok() && owner.is_some_and(|owner| !Arc::ptr_eq(&owner, lost))
    }

    /// A server said where a slot is.
    pub(crate) fn redirect(&self, from: &Server, error: &RedisError) -> RedisResult<Arc<Server>> {
        let (address, _) = error.redirect_node().ok_or_else(unreadable)?;
        let (host, port) = address.rsplit_once(':').ok_or_else(unreadable)?;
        let port = port.parse().map_err(|_| unreadable())?;
        self.at(address_of(from.info.addr(), host, port))
    }

    /// A slot is another server's, for good.
    pub(crate) fn moved(&self, slot: u16, server: Arc<Server>) {
        let mut map = self.write();
        if let Some(owner) = map.slots.get_mut(usize::from(slot)) {
            *owner = Some(server);
        }
    }

    /// Every server that has slots.
    pub(crate) async fn primaries(&self) -> RedisResult<Vec<Arc<Server>>> {
        self.learn(self.edition(), None).await?;
        let map = self.read();
        let mut primaries: Vec<Arc<Server>> = Vec::new();
        for server in map.slots.iter().flatten() {
            if !primaries.iter().any(|known| Arc::ptr_eq(known, server)) {
                primaries.push(Arc::clone(server));
            }
        }
        Ok(primaries)
    }

    pub(crate) fn close(&self) {
        self.read()
            .servers
            .values()
            .for_each(|server| server.close());
    }

    /// Asks one server after the other who has which slots, unless somebody else has since
    /// this edition. The one in doubt comes last: it may cost all the time there is.
    async fn learn(&self, edition: u64, doubted: Option<&Arc<Server>>) -> RedisResult<()> {
        let _learning = self.learning.lock().await;
        if self.edition() != edition {
            return Ok(());
        }
        let mut failure = unreadable();
        let mut servers = self.acquaintances()?;
        servers.sort_by_key(|server| doubted.is_some_and(|lost| Arc::ptr_eq(lost, server)));
        for server in servers {
            match self.ask(&server).await {
                Ok(()) => return Ok(()),
                Err(error) => failure = error,
            }
        }
        Err(failure)
    }

    async fn ask(&self, server: &Arc<Server>) -> RedisResult<()> {
        let question = || {
            let mut question = cmd("CLUSTER");
            question.arg("SLOTS");
            question
        };
        let link = server.link(Lane::Bulk);
        let wire = link.wire().await?;
        let question = question();
        let sent = tokio::time::timeout(self.patience, send(&wire, &question, Manner::default()));
        let answer = match sent.await {
            Ok(Ok(answer)) => answer,
            failed => {
                link.discard(&wire);
                let silent =
                    || RedisError::from(std::io::Error::from(std::io::ErrorKind::TimedOut));
                return Err(
                    failed.map_or_else(|_| silent(), |failed| failed.err().unwrap_or_else(silent))
                );
            }
        };
        let mut slots = vec![None; usize::from(SLOTS)];
        for (from, to, host, port) in ranges(answer)? {
            let owner = self.at(address_of(server.info.addr(), &host, port))?;
            for slot in from..=to.min(SLOTS - 1) {
                slots[usize::from(slot)] = Some(Arc::clone(&owner));
            }
        }
        let mut map = self.write();
        map.slots = slots;
        map.edition += 1;
        // Whoever has no slot any more is forgotten.
        map.servers
            .retain(|_, server| Arc::strong_count(server) > 1);
        Ok(())
    }

    /// Those that have slots, and the seeds.
    fn acquaintances(&self) -> RedisResult<Vec<Arc<Server>>> {
        let mut known: Vec<_> = self.read().servers.values().cloned().collect();
        for seed in &self.seeds {
            let (host, port) = host_and_port(seed.addr());
            let seed = self.at((host.to_owned(), port))?;
            if !known.iter().any(|server| Arc::ptr_eq(server, &seed)) {
                known.push(seed);
            }
        }
        Ok(known)
    }

    /// The server at an address.
    fn at(&self, address: Address) -> RedisResult<Arc<Server>> {
        let mut map = self.write();
        if let Some(server) = map.servers.get(&address) {
            return Ok(Arc::clone(server));
        }
        let seed = self.seeds.first().ok_or_else(unreadable)?;
        let mut addr = seed.addr().clone();
        if let ConnectionAddr::Tcp(host, port) | ConnectionAddr::TcpTls { host, port, .. } =
            &mut addr
        {
            (*host, *port) = address.clone();
        }
        let server = Arc::new(Server::new(seed.clone().set_addr(addr), self.patience)?);
        map.servers.insert(address, Arc::clone(&server));
        Ok(server)
    }

    fn known(&self, slot: u16) -> Option<Arc<Server>> {
        self.read().slots.get(usize::from(slot))?.clone()
    }

    fn edition(&self) -> u64 {
        self.read().edition
    }

    fn read(&self) -> std::sync::RwLockReadGuard<'_, Map> {
        self.map.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self) -> std::sync::RwLockWriteGuard<'_, Map> {
        self.map.write().unwrap_or_else(PoisonError::into_inner)
    }
}

/// `CLUSTER SLOTS`: for each range its ends, its primary, its replicas.
fn ranges(answer: Value) -> RedisResult<Vec<(u16, u16, String, u16)>> {
    let Value::Array(ranges) = answer else {
        return Err(unreadable());
    };
    let number = |value: &Value| match value {
        Value::Int(number) => u16::try_from(*number).map_err(|_| unreadable()),
        _ => Err(unreadable()),
    };
    let range = |range: &Value| match range {
        Value::Array(range) => match range.as_slice() {
            [from, to, Value::Array(primary), ..] => match primary.as_slice() {
                [host, port, ..] => Ok((number(from)?, number(to)?, text(host)?, number(port)?)),
                _ => Err(unreadable()),
            },
            _ => Err(unreadable()),
        },
        _ => Err(unreadable()),
    };
    ranges.iter().map(range).collect()
}

/// Empty if the server does not know how it is called.
fn text(value: &Value) -> RedisResult<String> {
    match value {
        Value::Nil => Ok(String::new()),
        Value::BulkString(bytes) => String::from_utf8(bytes.clone()).map_err(|_| unreadable()),
        Value::SimpleString(text) => Ok(text.clone()),
        _ => Err(unreadable()),
    }
}

/// An address as one server gave it: without a host, it is on the same one.
fn address_of(from: &ConnectionAddr, host: &str, port: u16) -> Address {
    let host = if host.is_empty() || host == "?" {
        host_and_port(from).0
    } else {
        host
    };
    (host.to_owned(), port)
}

fn host_and_port(addr: &ConnectionAddr) -> (&str, u16) {
    match addr {
        ConnectionAddr::Tcp(host, port) | ConnectionAddr::TcpTls { host, port, .. } => {
            (host, *port)
        }
        _ => ("", 0),
    }
}

fn unreadable() -> RedisError {
    (
        ErrorKind::ClusterConnectionNotFound,
        "the cluster's map cannot be read",
    )
        .into()
}

#[cfg(test)]
mod tests {
    use deadpool_redis::redis::{IntoConnectionInfo, parse_redis_value};

    use super::*;

    fn text(text: &str) -> Value {
        Value::BulkString(text.as_bytes().to_vec())
    }

    fn server(host: Value, port: i64) -> Value {
        Value::Array(vec![
            host,
            Value::Int(port),
            text("an id"),
            Value::Array(vec![]),
        ])
    }

    #[test]
    fn slots_are_read_with_their_primaries() {
        let range = |from, to, primary| {
            let replica = server(text("10.0.0.9"), 7009);
            Value::Array(vec![Value::Int(from), Value::Int(to), primary, replica])
        };
        let answer = Value::Array(vec![
            range(0, 5460, server(text("10.0.0.1"), 7001)),
            range(5461, 16383, server(Value::Nil, 7002)),
        ]);
        let read = ranges(answer).expect("it can be read");
        let (known, unknown) = ("10.0.0.1".to_owned(), String::new());
        assert_eq!(read, [(0, 5460, known, 7001), (5461, 16383, unknown, 7002)]);
        for bad in [
            Value::Nil,
            Value::Array(vec![Value::Nil]),
            Value::Array(vec![Value::Array(vec![])]),
        ] {
            assert!(ranges(bad).is_err());
        }
    }

    #[test]
    fn a_server_that_does_not_know_its_host_is_on_the_one_that_was_asked() {
        let asked = ConnectionAddr::Tcp("redis.internal".to_owned(), 7001);
        for unknown in ["", "?"] {
            let address = address_of(&asked, unknown, 7002);
            assert_eq!(address, ("redis.internal".to_owned(), 7002));
        }
        assert_eq!(address_of(&asked, "::1", 7002), ("::1".to_owned(), 7002));
    }

    #[tokio::test]
    async fn a_redirection_leads_to_the_server_it_names() {
        let info = "redis://:secret@10.0.0.1:7001".into_connection_info();
        let seed = info.expect("a good URL");
        let cluster = Cluster::new(vec![seed.clone()], Duration::from_secs(1));
        let from = Server::new(seed, Duration::from_secs(1)).expect("good settings");
        let moved = |to: &str| {
            let said = format!("-MOVED 3999 {to}\r\n");
            let said = parse_redis_value(said.as_bytes()).expect("it can be read");
            said.extract_error().expect_err("it is one")
        };
        for (to, host, port) in [
            ("10.0.0.2:7002", "10.0.0.2", 7002),
            (":7003", "10.0.0.1", 7003),
        ] {
            let server = cluster
                .redirect(&from, &moved(to))
                .expect("it leads somewhere");
            assert_eq!(host_and_port(server.info.addr()), (host, port));
            let again = cluster
                .redirect(&from, &moved(to))
                .expect("it leads somewhere");
            assert!(Arc::ptr_eq(&server, &again), "connections are shared");
            assert_eq!(server.info.redis_settings().password(), Some("secret"));
        }
        assert!(cluster.redirect(&from, &moved("nowhere")).is_err());
    }
}
