//! The whole contract, for the two as one: with an old store that is empty, and with one in
//! which every session lies until it is used.

use std::sync::Arc;

use async_trait::async_trait;
use tenure::MigratingStore;
use tenure_conformance::Fixture;
use tenure_store::SessionStore;

use crate::line::Line;

/// Two stores; each node has a store of its own made of them.
struct Two {
    old: Arc<dyn SessionStore>,
    new: Arc<dyn SessionStore>,
    births: Births,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Births {
    New,
    Old,
}

#[async_trait]
impl Fixture for Two {
    async fn node(&self) -> Arc<dyn SessionStore> {
        let both = MigratingStore::new(Arc::clone(&self.old), Arc::clone(&self.new));
        let births = match self.births {
            Births::New => return Arc::new(both),
            Births::Old => Some(Arc::clone(&self.old)),
        };
        Arc::new(Line {
            store: Arc::new(both),
            births,
            life: None,
        })
    }

    async fn close(self: Box<Self>) {}
}

async fn two(births: Births) -> Box<dyn Fixture> {
    let memory = || tenure_connect::connect("memory:");
    Box::new(Two {
        old: memory().await.expect("opens"),
        new: memory().await.expect("opens"),
        births,
    })
}

mod from_empty {
    use super::{Births, two};

    tenure_conformance::suite!(two(Births::New));
    tenure_conformance::state_machine!(two(Births::New));
}

mod from_full {
    use super::{Births, two};

    tenure_conformance::suite!(two(Births::Old));
    tenure_conformance::state_machine!(two(Births::Old));
}
