//! Servers that are killed under load, and come back or are replaced.

use crate::line::{connect, connect_at_last, opened, recovered};
use crate::load::Load;
use crate::support::servers::cluster::Cluster;
use crate::support::servers::postgres::Postgres;
use crate::support::servers::redis::Redis;
use crate::support::servers::sentinel::Sentinel;

/// Short enough that callers notice, long enough for a machine that is busy.
const DEADLINE: &str = "?deadline_ms=2000";

/// A server that is to be killed.
pub(crate) enum Mortal {
    Postgres(Postgres),
    Redis(Redis),
    /// One node of it.
    Cluster(Cluster),
}

impl Mortal {
    pub(crate) fn of(backend: &str) -> Self {
        match backend {
            "postgres" => Self::Postgres(Postgres::start()),
            "redis" => Self::Redis(Redis::start()),
            _ => Self::Cluster(Cluster::start()),
        }
    }

    fn url(&self) -> String {
        match self {
            Self::Postgres(server) => server.url(),
            Self::Redis(server) => server.url(),
            Self::Cluster(servers) => servers.url(),
        }
    }

    fn kill(&mut self) {
        match self {
            Self::Postgres(server) => server.server.kill(),
            Self::Redis(server) => server.server.kill(),
            Self::Cluster(servers) => servers.nodes[1].server.kill(),
        }
    }

    fn restart(&mut self) {
        match self {
            Self::Postgres(server) => server.server.restart(),
            Self::Redis(server) => server.server.restart(),
            Self::Cluster(servers) => servers.nodes[1].server.restart(),
        }
    }

    /// Whether others go on while it is gone.
    fn has_others(&self) -> bool {
        matches!(self, Self::Cluster(_))
    }
}

pub(crate) async fn a_killed_server_has_all_that_was_acknowledged(mut server: Mortal) {
    let store = connect(&(server.url() + DEADLINE)).await;
    let checker = opened(&store).await;
    let load = Load::on(&store, &checker);
    for _ in 0..3 {
        load.acknowledged(500).await;
        server.kill();
        load.unavailable(20).await;
        if server.has_others() {
            load.acknowledged(200).await;
        }
        server.restart();
        load.acknowledged(100).await;
    }
    load.end().await;
    recovered(&*store, &checker).await;
    let new = connect(&server.url()).await;
    checker.check(&*store, &*new).await;
    store.close().await.expect("closes");
    new.close().await.expect("closes");
}

/// A replica has what it was told until then. So ends wait for it, and what was quiet for
/// long enough; the rest may be lost, as the store's description says.
pub(crate) async fn a_fail_over_loses_what_it_may_and_no_end() {
    let mut server = Sentinel::start();
    let url = server.url() + DEADLINE + "&wait_for_replicas=1";
    let store = connect(&url).await;
    let settings = store.describe(tenure_conformance::props::at(0)).await;
    let settings = settings.expect("answers").settings;
    assert!(settings.contains("wait_for_replicas=1"), "{settings}");
    let checker = opened(&store).await;
    let load = Load::on(&store, &checker);
    load.acknowledged(500).await;
    server.primary.server.kill();
    // From now on there is no replica to wait for, and ends say so.
    server.replica.server.wait_for("MASTER MODE enabled");
    load.unavailable(20).await;
    load.end().await;
    checker.forgive_all_but_ends();
    let url = server.url() + DEADLINE;
    // A replica becomes the primary before every Sentinel says so.
    let [new, other] = [connect_at_last(&url).await, connect_at_last(&url).await];
    recovered(&*new, &checker).await;
    checker.check(&*new, &*other).await;
}
