//! A Redis Cluster of one's own: three nodes, without replicas.

use deadpool_redis::redis;

use super::ports;
use super::redis::Redis;
use super::settings::{CLUSTER, CLUSTER_NODES, slots};

pub(crate) struct Cluster {
    pub(crate) nodes: Vec<Redis>,
}

impl Cluster {
    /// Every slot is served, and every node knows by whom.
    pub(crate) fn start() -> Self {
        let ports = [(); CLUSTER_NODES].map(|()| ports::free());
        Self::start_behind(ports, ports)
    }

    /// On these ports, of which clients are told that they are those.
    pub(crate) fn start_behind(
        ports: [u16; CLUSTER_NODES],
        announced: [u16; CLUSTER_NODES],
    ) -> Self {
        let buses = [(); CLUSTER_NODES].map(|()| ports::free());
        let nodes: Vec<Redis> = (0..CLUSTER_NODES)
            .map(|number| node(ports[number], announced[number], buses[number]))
            .collect();
        // Until all is there, a part is not enough.
        let whole = |node: &Redis, answer: &str| {
            let mut config = redis::cmd("CONFIG");
            config.arg("SET").arg("cluster-require-full-coverage");
            node.ask(config.arg(answer));
        };
        let mut epoch = 0;
        for (number, node) in nodes.iter().enumerate() {
            let (first, last) = slots(number);
            epoch += 1;
            whole(node, "yes");
            let mut cluster = redis::cmd("CLUSTER");
            node.ask(cluster.clone().arg("SET-CONFIG-EPOCH").arg(epoch));
            node.ask(cluster.arg("ADDSLOTSRANGE").arg(first).arg(last));
        }
        for (node, bus) in nodes.iter().zip(&buses).skip(1) {
            let mut meet = redis::cmd("CLUSTER");
            meet.arg("MEET").arg("127.0.0.1").arg(node.port()).arg(*bus);
            nodes[0].ask(&meet);
        }
        for node in &nodes {
            node.server.wait_for("Cluster state changed: ok");
            whole(node, "no");
        }
        Self { nodes }
    }

    pub(crate) fn url(&self) -> String {
        let nodes = self.nodes.iter();
        let nodes: Vec<_> = nodes
            .map(|node| format!("127.0.0.1:{}", node.port()))
            .collect();
        format!("redis-cluster://{}", nodes.join(","))
    }
}

fn node(port: u16, announced: u16, bus: u16) -> Redis {
    let (announced, bus) = (announced.to_string(), bus.to_string());
    let own: [(&str, &str); 2] = [
        ("cluster-port", &bus),
        ("cluster-announce-port", &announced),
    ];
    let settings: Vec<_> = CLUSTER.iter().copied().chain(own).collect();
    Redis::start_at(port, &settings)
}
