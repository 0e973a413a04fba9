//! How the servers that tests use are set: what makes an acknowledged write last, and
//! room enough. docker-compose.yml is held to the same.

/// A setting's name and its value.
pub(crate) type Setting = (&'static str, &'static str);

/// An acknowledged commit survives a power cut; many tests connect at once.
pub(crate) const POSTGRES: &[Setting] = &[
    ("fsync", "on"),
    ("synchronous_commit", "on"),
    ("full_page_writes", "on"),
    ("max_connections", "500"),
];

/// An acknowledged command survives a power cut, and no key is removed to make room.
pub(crate) const REDIS: &[Setting] = &[
    ("appendonly", "yes"),
    ("appendfsync", "always"),
    ("maxmemory-policy", "noeviction"),
    ("save", ""),
];

/// Beside [`REDIS`], of each node: a node that is silent for so many milliseconds is
/// lost, and a part of the slots is better than none.
pub(crate) const CLUSTER: &[Setting] = &[
    ("cluster-enabled", "yes"),
    ("cluster-node-timeout", "5000"),
    ("cluster-require-full-coverage", "no"),
];

/// How many nodes a cluster has.
pub(crate) const CLUSTER_NODES: usize = 3;

/// Which slots the node of this number has.
pub(crate) fn slots(node: usize) -> (u16, u16) {
    const FIRST: [u16; CLUSTER_NODES + 1] = [0, 5461, 10923, 16384];
    (FIRST[node], FIRST[node + 1] - 1)
}
