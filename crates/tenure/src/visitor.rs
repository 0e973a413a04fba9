//! One visitor: a session's machinery, told apart by what counts as use.

use std::fmt;

use serde::Serialize;
use serde::de::DeserializeOwned;
use tenure_store::{After, EndReason, SessionId, Timestamp};

use crate::core::Core;
use crate::{AnyAttribute, AttributeName, Result, Session, Token};

/// One visitor, for the length of a request. A cheap handle on one shared state: clone it
/// freely; commits of its clones queue.
///
/// Attributes are read, changed and committed as those of a [`Session`]; no commit counts
/// as a visit, however many there are.
#[derive(Clone)]
pub struct Visitor {
    session: Session,
    last_visit: Option<Timestamp>,
}

impl Visitor {
    pub(crate) fn new(session: Session, last_visit: Option<Timestamp>) -> Self {
        Self {
            session,
            last_visit,
        }
    }

    /// The visitor's id. It may be logged; it is not the token, and no token can be made
    /// of it.
    pub fn id(&self) -> SessionId {
        self.session.id()
    }

    /// Whether nothing of it has been stored yet.
    pub fn is_new(&self) -> bool {
        self.session.is_new()
    }

    /// The number of visits, this one included. Of visits at the same moment each is
    /// counted, though they may not see each other yet.
    pub fn visits(&self) -> u64 {
        self.session.accesses()
    }

    /// When the visit before this one was; `None` in the first.
    pub fn last_visit(&self) -> Option<Timestamp> {
        self.last_visit
    }

    /// When the first visit was.
    pub fn first_visit(&self) -> Timestamp {
        self.session.created()
    }

    /// When it is forgotten if it does not come again; `None` for never.
    pub fn forgotten_at(&self) -> Option<Timestamp> {
        self.session.expires_at()
    }

    /// As [`Session::get`].
    ///
    /// # Errors
    /// `Attribute` if the stored value is of another type.
    pub fn get<T: DeserializeOwned>(&self, name: impl AttributeName<T>) -> Result<Option<T>> {
        self.session.get(name)
    }

    /// The names of its attributes, in order.
    pub fn names(&self) -> Vec<String> {
        self.session.names()
    }

    /// As [`Session::set`].
    ///
    /// # Errors
    /// `Attribute` if the value cannot be encoded, `Limit` if it is too large, or one too
    /// many; the old value stays.
    pub fn set<T: Serialize + ?Sized>(&self, name: impl AttributeName<T>, value: &T) -> Result<()> {
        self.session.set(name, value)
    }

    /// Removes an attribute; says whether there was one.
    pub fn remove(&self, name: impl AnyAttribute) -> bool {
        self.session.remove(name)
    }

    /// Removes all attributes, and nothing else: to be forgotten, it takes
    /// [`forget`](Self::forget).
    pub fn clear(&self) {
        self.session.clear();
    }

    /// Stores what was changed. The answer is the token that the browser must be sent, if
    /// it has to be sent one: for a new visitor, or under a new key. One round trip if
    /// something is to be written, none if nothing is.
    ///
    /// # Errors
    /// As [`Session::commit`]; `Gone` if the visitor was forgotten meanwhile.
    pub async fn commit(&self) -> Result<Option<Token>> {
        self.session.commit().await
    }

    /// Reads an attribute, computes its new value and stores that, as one step; as
    /// [`Session::update`].
    ///
    /// # Errors
    /// As [`commit`](Self::commit).
    pub async fn update<T>(
        &self,
        name: impl AttributeName<T>,
        next: impl FnMut(Option<T>) -> T + Send,
    ) -> Result<T>
    where
        T: Serialize + DeserializeOwned + Send,
    {
        self.session.update(name, next).await
    }

    /// The token that opens this visitor; `None` while it is in no store.
    ///
    /// # Errors
    /// `Randomness`.
    pub fn token(&self) -> Result<Option<Token>> {
        self.session.token()
    }

    /// Forgets this visitor for good, its attributes, times and number of visits; says
    /// whether it was this call that did. Nothing is kept. One round trip; none for a
    /// visitor that was never stored.
    ///
    /// # Errors
    /// `Store`; after `Unavailable` call it again.
    pub async fn forget(&self) -> Result<bool> {
        let core = &self.session.inner.core;
        self.session.finish(|_| forget(core, self.id())).await
    }
}

impl fmt::Debug for Visitor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Visitor")
            .field("id", &self.id())
            .field("visits", &self.visits())
            .field("last_visit", &self.last_visit)
            .finish_non_exhaustive()
    }
}

/// Ends a visitor and keeps nothing of it, so nobody will ever see the reason.
pub(crate) async fn forget(core: &Core, id: SessionId) -> Result<bool> {
    let forgotten = core
        .store
        .end(
            &core.ns,
            id,
            None,
            EndReason::Logout,
            After::Discard,
            core.now(),
        )
        .await?;
    Ok(forgotten.is_some())
}
