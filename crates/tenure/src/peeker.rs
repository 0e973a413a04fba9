//! Looking from elsewhere: one service asks after another's sessions.

use std::fmt;
use std::sync::Arc;

use tenure_store::SessionStore;

use crate::find::find;
use crate::metrics::Lookups;
use crate::peek_right::PeekRight;
use crate::{Clock, Peek, Result, SystemClock, Token};

/// Asks after the sessions of another application, with the
/// [right](crate::KeyRing::peek_right) to do so and the store they are kept in. It reads
/// no attributes, keeps nothing alive, and changes nothing. Cheap to clone.
///
/// A feed proxy, for one, that serves whoever is logged in to the portal:
///
/// ```
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # use std::sync::Arc;
/// # use tenure::{KeyRing, MasterSecret, Sessions};
/// # use tenure_memory::MemoryStore;
/// use tenure::{PeekRight, Peeker};
/// # let store = Arc::new(MemoryStore::new());
/// # let keys = KeyRing::new("2026-11", MasterSecret::generate()?)?;
/// # let sessions = Sessions::builder(store.clone(), keys.clone(), "portal").build().await?;
/// # let session = sessions.start()?;
/// # session.set("theme", "dark")?;
/// # let token = session.commit().await?.expect("a new session has a token");
/// # let handed_over = keys.peek_right("portal")?.expose().to_owned();
///
/// let portal = Peeker::new(store, PeekRight::from_text(&handed_over)?);
/// let live = portal.peek(&token).await?;
/// assert!(live.is_some_and(|peek| peek.time_left.is_some()));
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct Peeker {
    store: Arc<dyn SessionStore>,
    right: Arc<PeekRight>,
    clock: Arc<dyn Clock>,
    lookups: Lookups,
}

impl Peeker {
    /// Looks into this store with this right. No call to the store.
    pub fn new(store: Arc<dyn SessionStore>, right: PeekRight) -> Self {
        Self {
            store,
            lookups: Lookups::of(right.namespace()),
            right: Arc::new(right),
            clock: Arc::new(SystemClock::default()),
        }
    }

    /// Where the time comes from; a [`ManualClock`](crate::ManualClock) in tests.
    #[must_use]
    pub fn clock(mut self, clock: Arc<dyn Clock>) -> Self {
        self.clock = clock;
        self
    }

    /// How long the session that this token opens has left, without keeping it alive.
    /// `None` for any token that opens none, and with a right to another application's.
    /// One round trip, a pure read; none for a token that is not under the right's keys.
    ///
    /// # Errors
    /// `Store`.
    pub async fn peek(&self, token: &Token) -> Result<Option<Peek>> {
        let (store, right) = (self.store.as_ref(), &self.right);
        let now = self.clock.now();
        let found = find(
            store,
            right.namespace(),
            right.keys(),
            token,
            now,
            &self.lookups,
        )
        .await?;
        Ok(found.map(|(_, record)| Peek::of(&record, now)))
    }
}

impl fmt::Debug for Peeker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Peeker")
            .field("right", &self.right)
            .field("store", &self.store)
            .finish_non_exhaustive()
    }
}
