//! What user code is told when a session ends.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use serde::de::DeserializeOwned;
use tenure_store::{EndReason, Ended, Namespace, Principal, SessionId, Timestamp, Tombstone};

use crate::attributes::{AttributeName, Attributes, decode_value};
use crate::{BoxError, Error, Result};

/// What is done with a session that has ended: once for each, at least; exactly once if
/// no process dies and no lease is overrun.
///
/// The hook runs after the session is dead for everybody, outside any lock, with a time
/// limit, on one node at a time. If it fails, panics or overruns its time, it is run
/// again later with the same [idempotency key](EndedSession::idempotency_key), until it
/// succeeds or has failed as often as allowed.
///
/// A hook that overruns its time, or whose reaper's round is dropped, is stopped by dropping
/// its future. That happens where it awaits, so a hook that blocks its thread stops only
/// when it awaits again; until then the session's lease is renewed, and no other attempt
/// begins. Work that it has handed to another task or thread, as with `spawn_blocking`, is
/// not stopped and may go on beside the next attempt: give such work a limit of its own,
/// shorter than the [hook's](crate::SessionsBuilder::hook_time_limit), and wait for its
/// end.
///
/// Every closure from [`EndedSession`] to a future of a result is one; one hook serves
/// one `Sessions`, so compose your own if there is more to do.
///
/// ```
/// use tenure::{BoxError, EndHook, EndedSession};
///
/// struct SaveCart;
///
/// impl EndHook for SaveCart {
///     async fn ended(&self, session: EndedSession) -> Result<(), BoxError> {
///         let cart: Option<Vec<u32>> = session.get("cart")?;
///         println!("{} left {cart:?} behind", session.id());
///         Ok(())
///     }
/// }
/// ```
pub trait EndHook: Send + Sync + 'static {
    /// Does it. An error, or a panic, is a failed attempt.
    fn ended(&self, session: EndedSession) -> impl Future<Output = Result<(), BoxError>> + Send;
}

impl<F, Fut, E> EndHook for F
where
    F: Fn(EndedSession) -> Fut + Send + Sync + 'static,
    Fut: Future<Output = Result<(), E>> + Send,
    E: Into<BoxError>,
{
    async fn ended(&self, session: EndedSession) -> Result<(), BoxError> {
        self(session).await.map_err(Into::into)
    }
}

/// A call of an end hook, fit for a task of its own.
pub(crate) type HookCall = Pin<Box<dyn Future<Output = Result<(), BoxError>> + Send>>;

/// [`EndHook`] behind a pointer.
pub(crate) trait AnyEndHook: Send + Sync {
    fn call(self: Arc<Self>, session: EndedSession) -> HookCall;
}

impl<H: EndHook> AnyEndHook for H {
    fn call(self: Arc<Self>, session: EndedSession) -> HookCall {
        Box::pin(async move { self.ended(session).await })
    }
}

/// A session that has ended, as its [`EndHook`] gets it: the whole last state. Nothing
/// brings it back.
#[derive(Clone)]
pub struct EndedSession {
    ns: Namespace,
    ended: Ended,
    attributes: std::result::Result<Attributes, &'static str>,
}

impl EndedSession {
    pub(crate) fn new(ns: Namespace, ended: Ended, attributes: Result<Attributes>) -> Self {
        Self {
            ns,
            ended,
            attributes: attributes.map_err(|error| match error {
                Error::Unreadable(why) => why,
                _ => "it could not be decoded",
            }),
        }
    }

    /// The application whose session it was.
    pub fn application(&self) -> &str {
        self.ns.application()
    }

    /// Its id.
    pub fn id(&self) -> SessionId {
        self.ended.record.id
    }

    /// Why it ended.
    pub fn reason(&self) -> EndReason {
        self.ended.tombstone.end.reason
    }

    /// When it ended: the instant at which the cause came true, which may be long before
    /// this call.
    pub fn ended_at(&self) -> Timestamp {
        self.ended.tombstone.end.at
    }

    /// When it was started.
    pub fn created(&self) -> Timestamp {
        self.ended.record.created
    }

    /// The last access on record.
    pub fn last_access(&self) -> Timestamp {
        self.ended.record.last_access
    }

    /// The number of accesses on record.
    pub fn accesses(&self) -> u64 {
        self.ended.record.accesses
    }

    /// Who had logged in, if anybody.
    pub fn principal(&self) -> Option<&Principal> {
        self.ended.record.principal.as_ref()
    }

    /// Which attempt at this hook this is, from 1, since the session ended or an operator
    /// requeued it. An attempt counts if it was begun: a session that a stopped node gave
    /// back has its first one yet. A node that died counts as having begun, as nobody can
    /// tell.
    pub fn attempt(&self) -> u32 {
        attempts(&self.ended.tombstone)
    }

    /// The same text in every attempt for this session, and in no other session's: what
    /// to give to a service that must not do a thing twice.
    pub fn idempotency_key(&self) -> String {
        format!("{}/{}", self.ns, self.id())
    }

    /// The value of an attribute at the end; `None` if there was none.
    ///
    /// # Errors
    /// `Unreadable` if the session's attributes are damaged or under an unknown key: the
    /// rest of what is known of the session is good all the same. `Attribute` if the
    /// value is of another type.
    pub fn get<T: DeserializeOwned>(&self, name: impl AttributeName<T>) -> Result<Option<T>> {
        let attributes = self
            .attributes
            .as_ref()
            .map_err(|why| Error::Unreadable(why))?;
        let name = name.name();
        attributes
            .get(name)
            .map(|value| decode_value(name, value))
            .transpose()
    }

    /// The names of its attributes; none if they are unreadable.
    pub fn names(&self) -> Vec<String> {
        self.attributes
            .iter()
            .flat_map(Attributes::names)
            .map(str::to_owned)
            .collect()
    }
}

/// How many attempts at a hook were begun: those that failed, and those that were claimed,
/// not given back, and never heard of, among which is the one under way.
pub(crate) fn attempts(tombstone: &Tombstone) -> u32 {
    tombstone.failures.saturating_add(tombstone.unsettled)
}

impl fmt::Debug for EndedSession {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("EndedSession")
            .field("namespace", &self.ns.to_string())
            .field("id", &self.id())
            .field("end", &self.ended.tombstone.end)
            .field("attempt", &self.attempt())
            .finish_non_exhaustive()
    }
}
