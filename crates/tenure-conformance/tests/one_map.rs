//! The example store keeps the whole contract.

#[path = "../examples/one_map/store.rs"]
mod store;

use std::future::{Ready, ready};
use std::sync::Arc;

use async_trait::async_trait;
use tenure_conformance::{Fixture, state_machine, suite};
use tenure_store::SessionStore;

struct InOneMap(Arc<store::OneMap>);

#[async_trait]
impl Fixture for InOneMap {
    async fn node(&self) -> Arc<dyn SessionStore> {
        Arc::<store::OneMap>::clone(&self.0)
    }

    async fn close(self: Box<Self>) {}
}

fn in_one_map() -> Ready<Box<dyn Fixture>> {
    ready(Box::new(InOneMap(Arc::default())))
}

suite!(in_one_map());
state_machine!(in_one_map());
