//! A Redis Cluster: which server has which slot.
//!
//! The driver's own cluster client is not used: on a broken connection it sends again what
//! may have happened, and the pool that wraps it cannot tell it not to.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use deadpool_redis::redis::{
    ConnectionAddr, ConnectionInfo, ErrorKind, RedisError, RedisResult, Value, cmd,
};
use futures_util::stream::{FuturesUnordered, StreamExt as _};
use tokio::sync::Mutex;
use tokio::time::timeout;

use crate::call::Lane;
use crate::info::Kind;
use crate::runtimes::PerRuntime;
use crate::server::{Server, is, send};

const SLOTS: u16 = 16_384;

type Address = (String, u16);

pub(crate) struct Cluster {
    /// Whom to ask who else there is. The first one's credentials are all servers'.
    seeds: Vec<ConnectionInfo>,
    patience: Duration,
    map: RwLock<Map>,
    learning: PerRuntime<Mutex<()>>,
}

#[derive(Default)]
struct Map {
    servers: HashMap<Address, Arc<Server>>,
    slots: Vec<Option<Arc<Server>>>,
    /// The ids of all nodes of which the cluster consists, replicas too.
    nodes: HashSet<String>,
    /// How often it was drawn.
    edition: u64,
}

/// What one server says of the cluster.
struct Chart {
    slots: Vec<Option<Arc<Server>>>,
    nodes: HashSet<String>,
}

impl Chart {
    fn owner(&self, slot: u16) -> Option<&Arc<Server>> {
        self.slots.get(usize::from(slot))?.as_ref()
    }

    /// How many slots have a server.
    fn covered(&self) -> usize {
        self.slots.iter().flatten().count()
    }
}

impl Cluster {
    pub(crate) fn new(seeds: Vec<ConnectionInfo>, patience: Duration) -> Self {
        Self {
            seeds,
            patience,
            map: RwLock::default(),
            learning: PerRuntime::default(),
        }
    }

    /// The server that has a slot, as far as is known.
    pub(crate) async fn server(self: &Arc<Self>, slot: u16) -> RedisResult<Arc<Server>> {
        if let Some(server) = self.known(slot) {
            return Ok(server);
        }
        self.learn(Some(slot), None).await?;
        self.known(slot).ok_or_else(uncovered)
    }

    /// A server cannot be reached, or knows no more than that something is wrong: whether
    /// another one has the slot now.
    pub(crate) async fn is_replaced(self: &Arc<Self>, lost: &Arc<Server>, slot: u16) -> bool {
        let learnt = self.learn(Some(slot), Some(lost)).await;
        let owner = self.known(slot);
        learnt.is_ok() && owner.is_some_and(|owner| !is(&owner, lost))
    }

    /// A server said where a slot is.
    pub(crate) fn redirect(&self, from: &Server, error: &RedisError) -> RedisResult<Arc<Server>> {
        let (address, _) = error.redirect_node().ok_or_else(unreadable)?;
        let (host, port) = address.rsplit_once(':').ok_or_else(unreadable)?;
        let port = port.parse().map_err(|_| unreadable())?;
        self.at(address_of(from.info.addr(), host, port))
    }

    /// A slot is another server's, for good; and perhaps it is not the only one.
    pub(crate) fn moved(self: &Arc<Self>, slot: u16, server: Arc<Server>) {
        if let Some(owner) = self.write().slots.get_mut(usize::from(slot)) {
            *owner = Some(server);
        }
        drop(self.begin_to_learn(None, None));
    }

    /// Every server that has slots.
    pub(crate) async fn primaries(self: &Arc<Self>) -> RedisResult<Vec<Arc<Server>>> {
        self.learn(None, None).await?;
        let map = self.read();
        let mut primaries: Vec<Arc<Server>> = Vec::new();
        for server in map.slots.iter().flatten() {
            if !primaries.iter().any(|known| is(known, server)) {
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

    async fn learn(
        self: &Arc<Self>,
        wanted: Option<u16>,
        doubted: Option<&Arc<Server>>,
    ) -> RedisResult<()> {
        let learning = self.begin_to_learn(wanted, doubted);
        learning.await.unwrap_or_else(|_| Err(unreadable()))
    }

    /// In a task: what is learnt is there for the next caller, also if the time of this one
    /// is up before.
    fn begin_to_learn(
        self: &Arc<Self>,
        wanted: Option<u16>,
        doubted: Option<&Arc<Server>>,
    ) -> tokio::task::JoinHandle<RedisResult<()>> {
        let (cluster, doubted) = (Arc::clone(self), doubted.cloned());
        let edition = self.edition();
        tokio::spawn(async move {
            let learning = cluster.learning.here();
            let _learning = learning.lock().await;
            if cluster.edition() != edition {
                return Ok(());
            }
            let chart = cluster.ask_all(wanted, doubted.as_ref()).await?;
            cluster.adopt(chart);
            Ok(())
        })
    }

    /// Asks all servers at once who has which slots. The first answer that has all slots is
    /// taken, if it is not that the server in doubt has the one that is asked for; else the one
    /// that has most.
    async fn ask_all(
        &self,
        wanted: Option<u16>,
        doubted: Option<&Arc<Server>>,
    ) -> RedisResult<Chart> {
        let servers = self.acquaintances()?;
        let mut asking: FuturesUnordered<_> =
            servers.iter().map(|server| self.ask(server)).collect();
        let (mut best, mut failure) = (None::<Chart>, uncovered());
        while let Some(answer) = asking.next().await {
            let chart = match answer {
                Ok(chart) => chart,
                Err(error) => {
                    failure = error;
                    continue;
                }
            };
            let owner = wanted.map(|slot| chart.owner(slot));
            // Without it there is no answer to the question.
            if owner.is_some_and(|owner| owner.is_none()) || chart.covered() == 0 {
                continue;
            }
            let is_news = match (owner.flatten(), doubted) {
                (Some(owner), Some(doubted)) => !is(owner, doubted),
                _ => true,
            };
            let covered = chart.covered();
            if is_news && covered == usize::from(SLOTS) {
                return Ok(chart);
            }
            if best.as_ref().is_none_or(|best| best.covered() < covered) {
                best = Some(chart);
            }
        }
        best.ok_or(failure)
    }

    async fn ask(&self, server: &Arc<Server>) -> RedisResult<Chart> {
        let asking = timeout(self.patience, self.ask_one(server)).await;
        asking.unwrap_or_else(|_| Err(std::io::Error::from(std::io::ErrorKind::TimedOut).into()))
    }

    async fn ask_one(&self, server: &Arc<Server>) -> RedisResult<Chart> {
        let wire = server.wire(Lane::Walks).await?;
        let mut question = cmd("CLUSTER");
        question.arg("SLOTS");
        let answer = send(&wire, &question).await;
        if answer.as_ref().is_err_and(|error| error.code().is_none()) {
            wire.discard();
        }
        let mut chart = Chart {
            slots: vec![None; usize::from(SLOTS)],
            nodes: HashSet::new(),
        };
        for range in ranges(answer?)? {
            let owner = self.at(address_of(server.info.addr(), &range.host, range.port))?;
            for slot in range.from..=range.to.min(SLOTS - 1) {
                chart.slots[usize::from(slot)] = Some(Arc::clone(&owner));
            }
            chart.nodes.extend(range.nodes);
        }
        // An address may be another cluster's by now.
        let known = &self.read().nodes;
        if known.is_empty() || chart.nodes.iter().any(|node| known.contains(node)) {
            return Ok(chart);
        }
        Err((
            ErrorKind::ClusterConnectionNotFound,
            "a server that was asked is of another cluster, or of none",
        )
            .into())
    }

    fn adopt(&self, chart: Chart) {
        let mut map = self.write();
        map.slots = chart.slots;
        map.nodes = chart.nodes;
        map.edition += 1;
        // Whoever has no slot any more is forgotten.
        map.servers
            .retain(|_, server| Arc::strong_count(server) > 1);
    }

    /// Those that have slots, and the seeds.
    fn acquaintances(&self) -> RedisResult<Vec<Arc<Server>>> {
        let mut known: Vec<_> = self.read().servers.values().cloned().collect();
        for seed in &self.seeds {
            let (host, port) = host_and_port(seed.addr());
            let seed = self.at((host.to_owned(), port))?;
            if !known.iter().any(|server| is(server, &seed)) {
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
        let info = with_address(seed, &address);
        let server = Arc::new(Server::new(info, Kind::Node, self.patience)?);
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

/// Slots that one server has.
#[derive(Debug, PartialEq, Eq)]
struct Range {
    from: u16,
    to: u16,
    host: String,
    port: u16,
    /// The ids of that server and of its replicas.
    nodes: Vec<String>,
}

/// `CLUSTER SLOTS`: for each range its ends, its primary, its replicas.
fn ranges(answer: Value) -> RedisResult<Vec<Range>> {
    let Value::Array(ranges) = answer else {
        return Err(unreadable());
    };
    ranges.iter().map(range).collect()
}

fn range(value: &Value) -> RedisResult<Range> {
    let number = |value: &Value| match value {
        Value::Int(number) => u16::try_from(*number).map_err(|_| unreadable()),
        _ => Err(unreadable()),
    };
    let Value::Array(parts) = value else {
        return Err(unreadable());
    };
    let [from, to, servers @ ..] = parts.as_slice() else {
        return Err(unreadable());
    };
    let Some(Value::Array(primary)) = servers.first() else {
        return Err(unreadable());
    };
    let [host, port, ..] = primary.as_slice() else {
        return Err(unreadable());
    };
    let ids = servers.iter().filter_map(|server| match server {
        Value::Array(server) => text(server.get(2)?).ok(),
        _ => None,
    });
    Ok(Range {
        from: number(from)?,
        to: number(to)?,
        host: text(host)?,
        port: number(port)?,
        nodes: ids.collect(),
    })
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

/// The same settings for another address.
pub(crate) fn with_address(settings: &ConnectionInfo, address: &Address) -> ConnectionInfo {
    let mut addr = settings.addr().clone();
    if let ConnectionAddr::Tcp(host, port) | ConnectionAddr::TcpTls { host, port, .. } = &mut addr {
        (*host, *port) = address.clone();
    }
    settings.clone().set_addr(addr)
}

pub(crate) fn host_and_port(addr: &ConnectionAddr) -> (&str, u16) {
    match addr {
        ConnectionAddr::Tcp(host, port) | ConnectionAddr::TcpTls { host, port, .. } => {
            (host, *port)
        }
        _ => ("", 0),
    }
}

fn uncovered() -> RedisError {
    (
        ErrorKind::ClusterConnectionNotFound,
        "no server has this slot",
    )
        .into()
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
        let owns = |from, to, host: &str, port| Range {
            from,
            to,
            host: host.to_owned(),
            port,
            nodes: vec!["an id".to_owned(); 2],
        };
        let expected = [owns(0, 5460, "10.0.0.1", 7001), owns(5461, 16383, "", 7002)];
        assert_eq!(read, expected);
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
        let from = Server::new(seed, Kind::Node, Duration::from_secs(1)).expect("good settings");
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
