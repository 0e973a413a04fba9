//! The contract, on a Redis and on a Redis Cluster that are running already: each fixture
//! has a prefix of its own.

use std::sync::Arc;
use std::time::Duration;

use tenure_conformance::Fixture;
use tenure_redis::{RedisOptions, RedisStore};
use tenure_store::SessionStore;

struct Prefix {
    options: RedisOptions,
}

fn fixture(options: RedisOptions) -> Box<dyn Fixture> {
    let mut bytes = [0; 8];
    getrandom::fill(&mut bytes).expect("random bytes");
    let prefix = format!("test-{:016x}", u64::from_ne_bytes(bytes));
    // Deadlines are not what these cases are about, and machines can be slow.
    let options = options.prefix(prefix).deadline(Duration::from_mins(2));
    Box::new(Prefix { options })
}

#[async_trait::async_trait]
impl Fixture for Prefix {
    async fn node(&self) -> Arc<dyn SessionStore> {
        Arc::new(
            RedisStore::connect(self.options.clone())
                .await
                .expect("connects"),
        )
    }

    async fn close(self: Box<Self>) {}
}

mod single {
    use super::*;

    async fn redis() -> Box<dyn Fixture> {
        let url = std::env::var("TENURE_REDIS_URL").expect("TENURE_REDIS_URL names a Redis");
        fixture(RedisOptions::single(url))
    }

    tenure_conformance::suite!(ignore = "needs Redis", redis());
    tenure_conformance::state_machine!(ignore = "needs Redis", redis());
}

mod cluster {
    use super::*;

    async fn redis() -> Box<dyn Fixture> {
        let urls = std::env::var("TENURE_REDIS_CLUSTER_URL").expect("it names a cluster");
        let urls: Vec<_> = urls.split(',').map(str::to_owned).collect();
        fixture(RedisOptions::cluster(urls))
    }

    tenure_conformance::suite!(ignore = "needs a Redis Cluster", redis());
    tenure_conformance::state_machine!(ignore = "needs a Redis Cluster", redis());
}
