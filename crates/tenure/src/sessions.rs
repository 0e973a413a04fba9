//! The sessions of one application, as a service holds them.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use tenure_store::{
    Access, After, EndReason, Namespace, Principal, Record, SessionStore, Timestamp,
};

use tracing::Instrument as _;

use crate::builder::SessionsBuilder;
use crate::core::Core;
use crate::find::find;
use crate::reaper::Reaper;
use crate::session::Session;
use crate::token::OpenedToken;
use crate::{Error, KeyRing, Result, Token};

/// The sessions of one application. A cheap handle: clone it freely.
///
/// ```
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// use std::sync::Arc;
/// use tenure::{KeyRing, MasterSecret, Sessions};
/// use tenure_memory::MemoryStore;
///
/// let keys = KeyRing::new("2026-11", MasterSecret::generate()?)?;
/// let sessions = Sessions::builder(Arc::new(MemoryStore::new()), keys, "portal")
///     .build()
///     .await?;
///
/// let session = sessions.start()?;
/// session.set("theme", "dark")?;
/// let token = session.commit().await?.expect("a new session has a token to send");
///
/// let session = sessions.resume(&token).await?.expect("it is live");
/// assert_eq!(session.get::<String>("theme")?.as_deref(), Some("dark"));
///
/// session.end().await?;
/// assert!(sessions.resume(&token).await?.is_none(), "ended is ended");
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct Sessions {
    pub(crate) core: Arc<Core>,
}

impl Sessions {
    /// Begins to describe the sessions of an application kept in this store.
    pub fn builder(
        store: Arc<dyn SessionStore>,
        keys: KeyRing,
        application: impl Into<String>,
    ) -> SessionsBuilder {
        SessionsBuilder::new(store, keys, application.into())
    }

    /// A new session. Nothing is stored until its first commit, and that only if
    /// something was changed by then: a visitor who does nothing leaves nothing behind.
    /// No call to the store.
    ///
    /// # Errors
    /// `StartHook` if the start hook fails, `Randomness` if the operating system gives no
    /// random bytes.
    pub fn start(&self) -> Result<Session> {
        Session::start(&self.core, Access::Counts)
    }

    /// The live session that this token opens, for a request that uses it: an access.
    /// `None` for any token that opens none, whatever the cause.
    ///
    /// One round trip; none for a token that is not one of ours. That it was used is
    /// written with the commit, at most once per touch resolution; a handle that is
    /// dropped without a commit has it written by a task.
    ///
    /// # Errors
    /// `Unreadable` if the session is live but its attributes cannot be read; `Store`.
    pub async fn resume(&self, token: &Token) -> Result<Option<Session>> {
        self.resume_as(token, Access::Counts).await
    }

    /// As [`resume`](Self::resume), for a request that must not keep the session alive: a
    /// heart-beat, a poll.
    ///
    /// # Errors
    /// As [`resume`](Self::resume).
    pub async fn resume_passive(&self, token: &Token) -> Result<Option<Session>> {
        self.resume_as(token, Access::Passive).await
    }

    async fn resume_as(&self, token: &Token, access: Access) -> Result<Option<Session>> {
        let now = self.core.now();
        let Some((opened, record)) = self.load(token, now).await? else {
            return Ok(None);
        };
        Session::resume(&self.core, opened, record, access, now).map(Some)
    }

    /// How long the session that this token opens has left, without keeping it alive.
    /// `None` for any token that opens none. One round trip, a pure read.
    ///
    /// # Errors
    /// `Store`.
    pub async fn peek(&self, token: &Token) -> Result<Option<Peek>> {
        let now = self.core.now();
        let loaded = self.load(token, now).await?;
        Ok(loaded.map(|(_, record)| Peek::of(&record, now)))
    }

    /// Ends the session that this token opens, for [`EndReason::Logout`]. Returns `true` if
    /// there was one. The end is durable when the call returns; the end hook runs
    /// immediately in a task. Two round trips.
    ///
    /// # Errors
    /// `Superseded` for a previous token in its
    /// [grace time](crate::SessionsBuilder::rotation_grace), which only reads: the session
    /// lives on under its new token. `Store`.
    pub async fn end(&self, token: &Token) -> Result<bool> {
        let Some((opened, record)) = self.load(token, self.core.now()).await? else {
            return Ok(false);
        };
        if opened.rotation != record.rotation.number() {
            return Err(Error::Superseded);
        }
        let rotation = Some(opened.rotation);
        self.core.end(record.id, rotation, EndReason::Logout).await
    }

    /// Ends all live sessions of a principal, for [`EndReason::PrincipalRevoked`]; says
    /// how many. Their end hooks run with the reapers. One round trip.
    ///
    /// # Errors
    /// `Store`: `Invalid` for a principal outside the rules.
    pub async fn end_principal(&self, principal: &str) -> Result<u64> {
        let principal = Principal::new(principal)?;
        let core = &self.core;
        let ended = core
            .store
            .end_principal(&core.ns, &principal, None, After::Queue, core.now())
            .await?;
        Ok(ended)
    }

    /// Ends all sessions of the application, in a fixed number of writes: when this
    /// returns, none that had been committed before is live on any node. Their end hooks
    /// run with the reapers.
    ///
    /// # Errors
    /// `Store`.
    pub async fn reset(&self) -> Result<()> {
        let core = &self.core;
        core.store.reset(&core.ns, core.now()).await?;
        Ok(())
    }

    /// Goes by other keys from now on: all clones, from their next call. Requests under
    /// way go on, and what they still seal is sealed with these keys. Another ring needs
    /// no restart; in which order it reaches the nodes is the same as with one, see
    /// [rotating keys](crate::guides::rotating_keys). No call to the store.
    pub fn set_keys(&self, keys: KeyRing) {
        self.core.keys.exchange(&keys);
    }

    /// A reaper for this application's ended sessions: every service with an end hook
    /// runs one, on every node.
    ///
    /// # Errors
    /// `Policy` if these sessions were built with neither
    /// [`on_end`](SessionsBuilder::on_end) nor
    /// [`no_end_hook`](SessionsBuilder::no_end_hook): what this process does not know
    /// about hooks must not delete another's.
    pub fn reaper(&self) -> Result<Reaper> {
        Reaper::new(Arc::clone(&self.core))
    }

    /// Waits for the end hooks of sessions that this node ended itself. Call it last.
    pub async fn shutdown(&self) {
        self.core.running.close();
        self.core.running.wait().await;
    }

    /// Where these sessions are kept.
    pub fn namespace(&self) -> &Namespace {
        &self.core.ns
    }

    /// The store they are kept in, as it was given.
    pub fn store(&self) -> &Arc<dyn SessionStore> {
        self.core.store.given()
    }

    /// The live session of a good token, or `None` without saying why.
    pub(crate) async fn load(
        &self,
        token: &Token,
        now: Timestamp,
    ) -> Result<Option<(OpenedToken, Record)>> {
        let core = &self.core;
        let keys = core.keys.current();
        let lookups = &core.metrics.lookups;
        let span = tracing::debug_span!("tenure.find", namespace = %core.ns);
        find(&*core.store, &core.ns, &keys.tokens, token, now, lookups)
            .instrument(span)
            .await
    }
}

impl fmt::Debug for Sessions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sessions")
            .field("namespace", &self.core.ns.to_string())
            .field("store", &self.core.store)
            .finish_non_exhaustive()
    }
}

/// What [`Sessions::peek`] and a [`Peeker`](crate::Peeker) see of a live session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Peek {
    /// How long it lives if nothing happens; `None` for ever.
    pub time_left: Option<Duration>,
    /// The last access on record.
    pub last_access: Timestamp,
    /// When it was started.
    pub created: Timestamp,
}

impl Peek {
    pub(crate) fn of(record: &Record, now: Timestamp) -> Self {
        Self {
            time_left: record.expires_at().map(|at| at.since(now)),
            last_access: record.last_access,
            created: record.created,
        }
    }
}

#[cfg(test)]
const _: fn() = || {
    fn is_a_shareable_handle<T: Clone + Send + Sync>() {}
    is_a_shareable_handle::<Sessions>();
    is_a_shareable_handle::<Session>();
};
