//! Where a case is played: two nodes on one empty store, and namespaces opened on it.

use std::fmt;
use std::ops::Deref;
use std::sync::Arc;

use tenure_store::{Hooks, Namespace, Result, SessionStore};

use crate::Fixture;

/// Two nodes on one empty store, with some [namespaces](Namespace) opened.
///
/// It dereferences to the first node, so that `stage.load(…)` is a call on the store.
pub struct Stage {
    fixture: Box<dyn Fixture>,
    node: Arc<dyn SessionStore>,
    other: Arc<dyn SessionStore>,
    portal: Namespace,
    wiki: Namespace,
    visitors: Namespace,
}

impl Stage {
    /// Sets the stage: two nodes, and three namespaces.
    ///
    /// # Errors
    /// The store's, from opening a namespace.
    pub async fn set(fixture: Box<dyn Fixture>) -> Result<Self> {
        let node = fixture.node().await;
        let other = fixture.node().await;
        let portal = Namespace::sessions("portal")?;
        let wiki = Namespace::sessions("wiki")?;
        let visitors = Namespace::visitors("portal")?;
        node.open(&portal, Hooks::Expected).await?;
        node.open(&wiki, Hooks::Unstated).await?;
        node.open(&visitors, Hooks::Unstated).await?;
        Ok(Self {
            fixture,
            node,
            other,
            portal,
            wiki,
            visitors,
        })
    }

    /// Where most cases play: the sessions of an application that expects end hooks.
    pub fn portal(&self) -> &Namespace {
        &self.portal
    }

    /// The sessions of another application, which said nothing about end hooks.
    pub fn wiki(&self) -> &Namespace {
        &self.wiki
    }

    /// The visitors of the first application, without end hooks.
    pub fn visitors(&self) -> &Namespace {
        &self.visitors
    }

    /// The first node, to be moved into a task.
    pub fn node(&self) -> Arc<dyn SessionStore> {
        Arc::clone(&self.node)
    }

    /// The second node.
    pub fn other(&self) -> Arc<dyn SessionStore> {
        Arc::clone(&self.other)
    }

    /// The first node for even numbers, the second for odd ones: deals out tasks.
    pub fn nth(&self, number: u64) -> Arc<dyn SessionStore> {
        if number.is_multiple_of(2) {
            self.node()
        } else {
            self.other()
        }
    }

    /// One more node, with connections of its own.
    pub async fn another(&self) -> Arc<dyn SessionStore> {
        self.fixture.node().await
    }

    /// Takes it all down: nodes stopped, data removed.
    pub async fn strike(self) {
        drop((self.node, self.other));
        self.fixture.close().await;
    }
}

impl Deref for Stage {
    type Target = dyn SessionStore;

    fn deref(&self) -> &Self::Target {
        &*self.node
    }
}

impl fmt::Debug for Stage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Stage")
            .field("node", &self.node)
            .finish_non_exhaustive()
    }
}
