//! The visitors of an application: sessions that nobody ends, and that count visits.

use std::sync::Arc;
use std::time::Duration;

use tenure_store::{Access, Kind, Namespace, SessionStore};

use crate::visitor::{self, Visitor};
use crate::{
    Clock, Error, KeyRing, Limits, Randomness, Reaper, Result, Session, Sessions, SessionsBuilder,
    Token,
};

/// How long a visitor is remembered without a visit, unless the builder says otherwise.
const REMEMBERED: Duration = Duration::from_hours(90 * 24);
/// Each round looks through what has fallen due since the last one, so more often than
/// this has no use.
const SHORTEST_INTERVAL: Duration = Duration::from_secs(1);

/// The visitors of one application: attributes of a browser that outlive its sessions, in
/// the same stores, with a count of visits. A cheap handle: clone it freely.
///
/// Visitors and sessions of one application know nothing of each other. A token of one is
/// noise to the other; ending or resetting either leaves the other alone.
///
/// ```
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// use std::sync::Arc;
/// use tenure::{KeyRing, MasterSecret, Visitors};
/// use tenure_memory::MemoryStore;
///
/// let keys = KeyRing::new("2026-11", MasterSecret::generate()?)?;
/// let visitors = Visitors::builder(Arc::new(MemoryStore::new()), keys, "portal")
///     .build()
///     .await?;
///
/// let visitor = visitors.start()?; // nothing is stored yet
/// visitor.set("cart", &vec!["tea"])?;
/// let token = visitor.commit().await?.expect("a new visitor has a token to send");
///
/// let visitor = visitors.visit(&token).await?.expect("it is remembered");
/// assert_eq!(visitor.visits(), 2);
/// assert_eq!(visitor.last_visit(), Some(visitor.first_visit()));
/// assert_eq!(visitor.get::<Vec<String>>("cart")?, Some(vec!["tea".to_owned()]));
///
/// visitor.forget().await?;
/// assert!(visitors.visit(&token).await?.is_none());
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct Visitors {
    sessions: Sessions,
}

impl Visitors {
    /// Begins to describe the visitors of an application kept in this store.
    pub fn builder(
        store: Arc<dyn SessionStore>,
        keys: KeyRing,
        application: impl Into<String>,
    ) -> VisitorsBuilder {
        let sessions = Sessions::builder(store, keys, application)
            .idle_timeout(REMEMBERED)
            .lifetime(None)
            .no_end_hook();
        VisitorsBuilder { sessions }
    }

    /// A new visitor, in its first visit. Nothing is stored until its first commit, and
    /// that only if something was changed by then. No call to the store.
    ///
    /// # Errors
    /// `Randomness` if the operating system gives no random bytes.
    pub fn start(&self) -> Result<Visitor> {
        // Passive, or each commit would be a visit.
        let session = Session::start(&self.sessions.core, Access::Passive)?;
        Ok(Visitor::new(session, None))
    }

    /// The visitor that this token opens, and notes its visit: it is counted when this
    /// returns, once, whatever else happens at the same time. `None` for any token that
    /// opens none, whatever the cause.
    ///
    /// Two round trips; none for a token that is not one of ours.
    ///
    /// # Errors
    /// `Unreadable` if the visitor is known but its attributes cannot be read, and then
    /// the visit does not count; `Store`: after `Unavailable` it may have been counted.
    pub async fn visit(&self, token: &Token) -> Result<Option<Visitor>> {
        let core = &self.sessions.core;
        let now = core.now();
        let Some((opened, record)) = self.sessions.load(token, now).await? else {
            return Ok(None);
        };
        let last_visit = record.last_access;
        let session = Session::resume(core, opened, record, Access::Passive, now)?;
        if !core.store.touch(&core.ns, session.id(), now).await? {
            return Ok(None);
        }
        session.state().record.access(now);
        Ok(Some(Visitor::new(session, Some(last_visit))))
    }

    /// Forgets the visitor that this token opens, for good; says whether there was one.
    /// Nothing of it is kept. Two round trips.
    ///
    /// # Errors
    /// `Store`.
    pub async fn forget(&self, token: &Token) -> Result<bool> {
        let now = self.sessions.core.now();
        match self.sessions.load(token, now).await? {
            Some((_, record)) => visitor::forget(&self.sessions.core, record.id).await,
            None => Ok(false),
        }
    }

    /// Forgets all visitors of the application, in a fixed number of writes: when this
    /// returns, none is known on any node. What was stored of them goes with the next
    /// round of a [purger](Self::purger). Sessions are left alone.
    ///
    /// # Errors
    /// `Store`.
    pub async fn forget_all(&self) -> Result<()> {
        self.sessions.reset().await
    }

    /// Goes by other keys from now on, as [`Sessions::set_keys`].
    pub fn set_keys(&self, keys: KeyRing) {
        self.sessions.set_keys(keys);
    }

    /// What removes visitors from the store that have not come for so long, at this
    /// interval; an hour does. It goes by the last visit alone. Any number of nodes may
    /// have one: what one removes, the others do not find.
    ///
    /// ```
    /// # use std::time::Duration;
    /// # async fn purge(visitors: tenure::Visitors) -> tenure::Result<()> {
    /// let purger = visitors.purger(Duration::from_hours(1))?.batch(1_000).spawn();
    /// // ... and at the end:
    /// purger.shutdown().await;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// `Policy` for an interval below a second.
    pub fn purger(&self, every: Duration) -> Result<Reaper> {
        if every < SHORTEST_INTERVAL {
            return Err(Error::Policy(
                "visitors are purged once a second at most; once an hour is plenty",
            ));
        }
        Ok(self.sessions.reaper()?.every(every))
    }

    /// Where these visitors are kept.
    pub fn namespace(&self) -> &Namespace {
        self.sessions.namespace()
    }
}

/// Describes the visitors of one application, from [`Visitors::builder`] to
/// [`build`](Self::build).
#[derive(Debug)]
pub struct VisitorsBuilder {
    sessions: SessionsBuilder,
}

impl VisitorsBuilder {
    /// How long a visitor is remembered without a visit: 90 days by default. `None` for
    /// ever. There is no other time limit.
    #[must_use]
    pub fn remembered_for(mut self, span: impl Into<Option<Duration>>) -> Self {
        self.sessions = self.sessions.idle_timeout(span);
        self
    }

    /// How many attributes a visitor may have, and how large.
    #[must_use]
    pub fn limits(mut self, limits: Limits) -> Self {
        self.sessions = self.sessions.limits(limits);
        self
    }

    /// As [`SessionsBuilder::plain_payloads`]: stores attributes in the clear.
    #[must_use]
    pub fn plain_payloads(mut self) -> Self {
        self.sessions = self.sessions.plain_payloads();
        self
    }

    /// As [`SessionsBuilder::accept_plain_payloads`]: the way back.
    #[must_use]
    pub fn accept_plain_payloads(mut self) -> Self {
        self.sessions = self.sessions.accept_plain_payloads();
        self
    }

    /// Where the time comes from; a [`ManualClock`](crate::ManualClock) in tests.
    #[must_use]
    pub fn clock(mut self, clock: Arc<dyn Clock>) -> Self {
        self.sessions = self.sessions.clock(clock);
        self
    }

    /// Where random bytes come from: the operating system by default. Only tests have a
    /// reason to change it.
    #[must_use]
    pub fn randomness(mut self, random: Arc<dyn Randomness>) -> Self {
        self.sessions = self.sessions.randomness(random);
        self
    }

    /// Checks the settings and the store, and makes the visitors known to it.
    ///
    /// # Errors
    /// `Store` with `Invalid` for a name or time outside the rules, with `Misconfigured`
    /// for a store that may drop visitors to make room.
    pub async fn build(self) -> Result<Visitors> {
        let sessions = self.sessions.build_as(Kind::Visitors).await?;
        Ok(Visitors { sessions })
    }
}
