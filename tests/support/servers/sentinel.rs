//! A Redis with a replica, and three Sentinels that make the replica the primary when the
//! primary is gone.

use super::folder::Folder;
use super::redis::Redis;
use super::server::{Recipe, Server};
use super::{binaries, ports};

/// How many there are; two must agree that the primary is gone.
const SENTINELS: usize = 3;

/// What the Sentinels call the primary.
const NAME: &str = "tenure";

pub(crate) struct Sentinel {
    pub(crate) primary: Redis,
    pub(crate) replica: Redis,
    pub(crate) sentinels: Vec<Server>,
    ports: Vec<u16>,
}

impl Sentinel {
    /// The replica has all that the primary has, and every Sentinel knows everybody.
    pub(crate) fn start() -> Self {
        let primary = Redis::start_with(&[("repl-diskless-sync-delay", "0")]);
        let port = primary.port();
        let replica = Redis::start_with(&[("replicaof", &format!("127.0.0.1 {port}"))]);
        replica.server.wait_for("sync: Finished with success");
        let ports: Vec<u16> = (0..SENTINELS).map(|_| ports::free()).collect();
        let sentinels: Vec<_> = ports.iter().map(|own| sentinel(*own, port)).collect();
        for sentinel in &sentinels {
            sentinel.wait_for("+slave ");
            for _other in 1..SENTINELS {
                sentinel.wait_for("+sentinel ");
            }
        }
        Self {
            primary,
            replica,
            sentinels,
            ports,
        }
    }

    pub(crate) fn url(&self) -> String {
        let ports = self.ports.iter();
        let sentinels: Vec<_> = ports.map(|port| format!("127.0.0.1:{port}")).collect();
        format!("redis-sentinel://{}/{NAME}", sentinels.join(","))
    }
}

/// It keeps what it learns in the file with its settings.
fn sentinel(port: u16, primary: u16) -> Server {
    let folder = Folder::new();
    let settings = folder.write(
        "sentinel.conf",
        &format!(
            "port {port}\n\
             bind 127.0.0.1\n\
             dir {dir}\n\
             sentinel monitor {NAME} 127.0.0.1 {primary} 2\n\
             sentinel down-after-milliseconds {NAME} 2000\n\
             sentinel failover-timeout {NAME} 10000\n",
            dir = folder.path().display(),
        ),
    );
    let redis = binaries::REDIS.path().display().to_string();
    Server::start(Recipe {
        folder,
        command: vec![redis, settings, "--sentinel".to_owned()],
        ready: "+monitor master",
        last: "KILL",
    })
}
