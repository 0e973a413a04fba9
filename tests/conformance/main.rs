//! The contract on servers: each node is a store of its own, on one place in them.

#[path = "../support/mod.rs"]
#[allow(dead_code, reason = "each test uses its part")]
mod support;

use std::sync::Arc;

use async_trait::async_trait;
use support::place::Place;
use tenure_conformance::Fixture;
use tenure_store::SessionStore;

/// As any number of processes would use it.
struct Nodes(Place);

#[async_trait]
impl Fixture for Nodes {
    async fn node(&self) -> Arc<dyn SessionStore> {
        let store = tenure_connect::connect(self.0.url()).await;
        store.expect("the server has room for one more")
    }

    /// The place removes what was made in it.
    async fn close(self: Box<Self>) {}
}

async fn on(backend: &str) -> Box<dyn Fixture> {
    Box::new(Nodes(Place::on(backend).await))
}

mod postgres {
    use super::on;

    tenure_conformance::suite!(
        ignore = "needs PostgreSQL: run scripts/test",
        on("postgres")
    );
    tenure_conformance::state_machine!(
        ignore = "needs PostgreSQL: run scripts/test",
        on("postgres")
    );
}

mod redis {
    use super::on;

    tenure_conformance::suite!(ignore = "needs Redis: run scripts/test", on("redis"));
    tenure_conformance::state_machine!(ignore = "needs Redis: run scripts/test", on("redis"));

    /// As a user with the rights that the crate's documentation lists, and no others. It
    /// starts a server of its own, which all of its tests share.
    mod own_server {
        use std::future::{Ready, ready};
        use std::sync::OnceLock;

        use deadpool_redis::redis::cmd;
        use tenure_conformance::Fixture;

        use crate::Nodes;
        use crate::support::place::Place;
        use crate::support::servers::redis::Redis;

        fn as_the_documented_user() -> Ready<Box<dyn Fixture>> {
            static SERVER: OnceLock<Redis> = OnceLock::new();
            let server = SERVER.get_or_init(|| {
                let server = Redis::start();
                let docs = include_str!("../../crates/tenure-redis/src/lib.rs");
                let mut blocks = docs.split("```text").skip(1);
                let line = blocks.next().and_then(|rest| rest.split("```").next());
                let line = line.expect("the line is there").replace("//!", " ");
                // Places have prefixes of their own, which begin with a t.
                let line = line.replace("~t:*", "~t*");
                let mut words = line.split_whitespace();
                let mut acl = cmd(words.next().expect("ACL"));
                words.for_each(|word| _ = acl.arg(word));
                server.ask(&acl);
                server
            });
            let url = server.url().replace("//", "//tenure:password@");
            ready(Box::new(Nodes(Place::under_a_prefix(url))))
        }

        tenure_conformance::suite!(
            ignore = "needs Redis: run scripts/test",
            as_the_documented_user()
        );
    }
}

mod redis_cluster {
    use super::on;

    tenure_conformance::suite!(
        ignore = "needs Redis Cluster: run scripts/test",
        on("redis_cluster")
    );
    tenure_conformance::state_machine!(
        ignore = "needs Redis Cluster: run scripts/test",
        on("redis_cluster")
    );
}

mod redis_sentinel {
    /// It starts servers of its own, which all of its tests share.
    mod own_server {
        use std::future::{Ready, ready};
        use std::sync::OnceLock;

        use tenure_conformance::Fixture;

        use crate::Nodes;
        use crate::support::place::Place;
        use crate::support::servers::sentinel::Sentinel;

        fn on_its_own() -> Ready<Box<dyn Fixture>> {
            static SERVERS: OnceLock<Sentinel> = OnceLock::new();
            let url = SERVERS.get_or_init(Sentinel::start).url();
            ready(Box::new(Nodes(Place::under_a_prefix(url))))
        }

        tenure_conformance::suite!(ignore = "needs Redis: run scripts/test", on_its_own());
    }
}
