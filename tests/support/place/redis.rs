//! What tests do in a Redis past any store.

use deadpool_redis::redis::{Client, Connection, cmd, pipe};

/// A connection to each server that holds keys: of a Redis, of a Cluster, or of what
/// Sentinels look after, as the URL says.
///
/// # Panics
/// If one does not answer.
pub(crate) fn primaries(url: &str) -> Vec<Connection> {
    let seeds = Seeds::of(url);
    let connect = |address: &str| {
        let client = Client::open(format!("redis://{}{address}", seeds.login));
        let connection = client.expect("a good URL").get_connection();
        connection.expect("Redis takes connections")
    };
    let mut first = connect(&seeds.hosts[0]);
    match seeds.scheme.split_once('-') {
        Some((_, "cluster")) => {
            let ask = cmd("CLUSTER").arg("NODES").query(&mut first);
            let nodes: String = ask.expect("it answers");
            // Each has an id, an address with more behind an @, and flags.
            let nodes = nodes
                .lines()
                .map(|line| line.split(' ').collect::<Vec<_>>());
            let primaries = nodes.filter(|fields| fields[2].contains("master"));
            let addresses = primaries.filter_map(|fields| fields[1].split('@').next());
            addresses.map(connect).collect()
        }
        Some(_) => {
            let mut ask = cmd("SENTINEL");
            ask.arg("GET-MASTER-ADDR-BY-NAME").arg(&seeds.name);
            let (host, port): (String, u16) = ask.query(&mut first).expect("it knows");
            vec![connect(&format!("{host}:{port}"))]
        }
        None => vec![connect(&format!("{}/{}", seeds.hosts[0], seeds.name))],
    }
}

/// Removes all keys that begin so.
pub(crate) fn remove(url: &str, prefix: &str) {
    remove_like(url, &format!("{prefix}*"), Servers::All);
}

/// On which of several servers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Servers {
    All,
    First,
}

/// Removes all keys that match.
pub(crate) fn remove_like(url: &str, pattern: &str, servers: Servers) {
    let mut primaries = primaries(url);
    if servers == Servers::First {
        primaries.truncate(1);
    }
    for mut server in primaries {
        let mut cursor = 0u64;
        loop {
            let mut scan = cmd("SCAN");
            scan.arg(cursor).arg("MATCH").arg(pattern);
            let found = scan.arg("COUNT").arg(1_000).query(&mut server);
            let (next, keys): (u64, Vec<Vec<u8>>) = found.expect("it can be searched");
            let mut unlink = pipe();
            for key in &keys {
                // One by one, as they may be of different slots.
                unlink.cmd("UNLINK").arg(key).ignore();
            }
            if !keys.is_empty() {
                unlink
                    .query::<()>(&mut server)
                    .expect("keys can be removed");
            }
            cursor = next;
            if cursor == 0 {
                break;
            }
        }
    }
}

pub(crate) fn version(url: &str) -> String {
    let mut server = primaries(url).remove(0);
    let info: String = cmd("INFO")
        .arg("server")
        .query(&mut server)
        .expect("answers");
    let version = info
        .lines()
        .find_map(|line| line.strip_prefix("redis_version:"));
    version.unwrap_or("of unknown version").to_owned()
}

/// What a URL says of where to begin.
struct Seeds {
    scheme: String,
    /// With its `@`, or empty.
    login: String,
    hosts: Vec<String>,
    /// The database; or with Sentinel, what the primary is called.
    name: String,
}

impl Seeds {
    fn of(url: &str) -> Self {
        let (scheme, rest) = url.split_once("://").expect("a URL");
        let rest = rest.split('?').next().unwrap_or_default();
        let (login, rest) = match rest.rsplit_once('@') {
            Some((login, rest)) => (format!("{login}@"), rest),
            None => (String::new(), rest),
        };
        let (hosts, name) = rest.split_once('/').unwrap_or((rest, ""));
        Self {
            scheme: scheme.to_owned(),
            login,
            hosts: hosts.split(',').map(str::to_owned).collect(),
            name: name.to_owned(),
        }
    }
}
