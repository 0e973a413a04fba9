//! The store against the contract.

use std::future::{Ready, ready};
use std::sync::Arc;

use async_trait::async_trait;
use tenure_conformance::Fixture;
use tenure_memory::MemoryStore;
use tenure_store::SessionStore;

/// One store; all its nodes are the same handle.
struct Memory(Arc<MemoryStore>);

#[async_trait]
impl Fixture for Memory {
    async fn node(&self) -> Arc<dyn SessionStore> {
        Arc::clone(&self.0) as _
    }

    async fn close(self: Box<Self>) {}
}

fn store() -> Ready<Box<dyn Fixture>> {
    ready(Box::new(Memory(Arc::new(MemoryStore::new()))))
}

mod memory {
    tenure_conformance::suite!(super::store());
    tenure_conformance::state_machine!(super::store());
}
