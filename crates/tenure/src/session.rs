//! One request's handle on one session: reads from memory, buffers changes.

use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use serde::Serialize;
use serde::de::DeserializeOwned;
use tenure_store::{
    Access, Field, Payload, Principal, Record, Rotation, SessionId, Timeout, Timestamp, Version,
};

use crate::attributes::{AnyAttribute, AttributeName, Attributes, decode_value, encode_value};
use crate::commit;
use crate::core::Core;
use crate::delta::Rotate;
use crate::handle::{Inner, Owes, Stage, State};
use crate::key_set::KeyAge;
use crate::random::Reserve;
use crate::secret::Secret;
use crate::token::OpenedToken;
use crate::{Error, Result, Token};

/// One session, for the length of a request. A cheap handle on one shared state: clone
/// it freely; commits of its clones queue.
///
/// Reading and changing are synchronous and work in memory; only
/// [`commit`](Self::commit), [`update`](Self::update) and the ends go to the store.
/// After the session has ended, reading still works, and every commit is refused as
/// `Gone`.
#[derive(Clone)]
pub struct Session {
    pub(crate) inner: Arc<Inner>,
}

impl Session {
    pub(crate) fn start(core: &Arc<Core>, access: Access) -> Result<Self> {
        let reserve = Reserve::default();
        let secret = Secret::draw(&reserve.over(&*core.random))?;
        let now = core.now();
        let record = Record {
            id: secret.session_id(),
            created: now,
            last_access: now,
            accesses: 1,
            idle_timeout: core.policy.idle_timeout,
            lifetime: core.policy.lifetime,
            leaves_at: None,
            principal: None,
            rotation: Rotation::default(),
            version: Version::new(0),
            payload: Payload::default(),
        };
        let session = Self::new(core, secret, access, reserve, State::new(record));
        for hook in &core.start_hooks {
            hook(&session).map_err(Error::StartHook)?;
        }
        session.state().absorb();
        Ok(session)
    }

    pub(crate) fn resume(
        core: &Arc<Core>,
        opened: OpenedToken,
        mut record: Record,
        access: Access,
        now: Timestamp,
    ) -> Result<Self> {
        let keys = core.keys.current();
        let is_up_to_date = keys.is_up_to_date(&record.payload);
        let attributes = keys.open(&mut record, now)?;
        let owes = if opened.rotation == record.rotation.number() {
            let counts = access == Access::Counts;
            Owes {
                touch: counts && core.policy.owes_touch(&record, now),
                token: opened.key == KeyAge::Accepted,
                seal: !is_up_to_date,
            }
        } else {
            // The previous token reads during its grace, and does nothing else.
            Owes::default()
        };
        let state = State {
            stage: Stage::Stored,
            attributes,
            carried: opened.rotation,
            owes,
            ..State::new(record)
        };
        Ok(Self::new(
            core,
            opened.secret,
            access,
            Reserve::default(),
            state,
        ))
    }

    fn new(
        core: &Arc<Core>,
        secret: Secret,
        access: Access,
        reserve: Reserve,
        state: State,
    ) -> Self {
        Self {
            inner: Arc::new(Inner {
                core: Arc::clone(core),
                secret,
                id: state.record.id,
                access,
                reserve,
                state: Mutex::new(state),
            }),
        }
    }

    /// The session's id. It may be logged; it is not the token, and no token can be made
    /// of it.
    pub fn id(&self) -> SessionId {
        self.inner.id
    }

    /// Whether nothing of it has been stored yet.
    pub fn is_new(&self) -> bool {
        self.state().stage == Stage::New
    }

    /// When it was started.
    pub fn created(&self) -> Timestamp {
        self.state().record.created
    }

    /// The last access on record.
    pub fn last_access(&self) -> Timestamp {
        self.state().record.last_access
    }

    /// The number of accesses on record, the start included.
    pub fn accesses(&self) -> u64 {
        self.state().record.accesses
    }

    /// When it runs out if nothing happens; `None` for never.
    pub fn expires_at(&self) -> Option<Timestamp> {
        self.state().record.expires_at()
    }

    /// Who has logged in, this request's uncommitted [`log_in`](Self::log_in) included.
    pub fn principal(&self) -> Option<Principal> {
        let state = self.state();
        let mut principal = state.record.principal.clone();
        state.delta.principal.apply_to(&mut principal);
        principal
    }

    /// The value of an attribute, this request's changes included; `None` if there is
    /// none. Decoded anew at each call.
    ///
    /// # Errors
    /// `Attribute` if the stored value is of another type.
    pub fn get<T: DeserializeOwned>(&self, name: impl AttributeName<T>) -> Result<Option<T>> {
        let name = name.name();
        let value = self.state().attributes.get(name).cloned();
        value.map(|value| decode_value(name, &value)).transpose()
    }

    /// The names of its attributes, in order.
    pub fn names(&self) -> Vec<String> {
        self.state().attributes.names().map(str::to_owned).collect()
    }

    /// Gives an attribute a value. Giving it the value that it has is no change.
    ///
    /// # Errors
    /// `Attribute` if the value cannot be encoded, `Limit` if it is too large, or one too
    /// many; the old value stays.
    pub fn set<T: Serialize + ?Sized>(&self, name: impl AttributeName<T>, value: &T) -> Result<()> {
        let name = name.name();
        let value = encode_value(name, value)?;
        let state = &mut *self.state();
        if state.attributes.get(name) == Some(&value) {
            return Ok(());
        }
        let limits = &self.inner.core.policy.limits;
        limits.check_set(&state.attributes, name, &value)?;
        state.attributes.set(name, value.clone());
        state.delta.set(name, value);
        Ok(())
    }

    /// Removes an attribute; says whether there was one.
    pub fn remove(&self, name: impl AnyAttribute) -> bool {
        let name = name.name();
        let mut state = self.state();
        let removed = state.attributes.remove(name).is_some();
        if removed {
            state.delta.remove(name);
        }
        removed
    }

    /// Removes all attributes, and nothing else: id, times and principal stay, the
    /// session goes on. To end it, call [`end`](Self::end).
    pub fn clear(&self) {
        let mut state = self.state();
        if !state.attributes.is_empty() {
            state.attributes.clear();
            state.delta.clear();
        }
    }

    /// Notes who has logged in. With the commit the session has a new token, and the old
    /// one is dead at once: whoever planted or saw it before the log-in has nothing
    /// (session fixation; OWASP's session management cheat sheet). Where principals may
    /// have [only so many sessions](crate::SessionsBuilder::sessions_per_principal), the
    /// commit ends the oldest, or is refused as
    /// [`TooManySessions`](Error::TooManySessions).
    ///
    /// # Errors
    /// `Store` with `Invalid` for a principal outside the rules.
    pub fn log_in(&self, principal: &str) -> Result<()> {
        let principal = Principal::new(principal)?;
        let mut state = self.state();
        state.delta.principal = Field::Set(principal);
        state.delta.rotate = Some(Rotate::AtOnce);
        Ok(())
    }

    /// Gives the session a new token at the next commit. The old one still reads for the
    /// [grace time](crate::SessionsBuilder::rotation_grace), for requests under way.
    pub fn rotate(&self) {
        self.state().delta.rotate.get_or_insert(Rotate::WithGrace);
    }

    /// Gives this one session an idle time-out of its own; `None` for never.
    ///
    /// # Errors
    /// `Store` with `Invalid` below a millisecond.
    pub fn set_idle_timeout(&self, timeout: Option<Duration>) -> Result<()> {
        let timeout = timeout.map(Timeout::new).transpose()?;
        self.state().delta.idle_timeout = Field::from_option(timeout);
        Ok(())
    }

    /// Stores this request's changes, or its access if one is owed. The answer is the
    /// token that the client must be sent, if it has to be sent one: for a new session,
    /// after a rotation, or under a new key.
    ///
    /// One round trip if something is to be written, none if nothing is; two more for
    /// each time that another process was faster. What other requests changed meanwhile
    /// survives; of one attribute the last commit wins.
    ///
    /// # Errors
    /// `Gone` if the session has ended, `Superseded` if it was logged in or rotated
    /// elsewhere: in both cases the changes are refused for good. `Limit`, `Contended`
    /// and `Store` keep them for another commit.
    pub async fn commit(&self) -> Result<Option<Token>> {
        commit::commit(&self.inner, None).await
    }

    /// Reads an attribute, computes its new value and stores that, as one step: no
    /// concurrent update is lost, and none is applied twice when the store's answer got
    /// lost. What else was changed is committed with it. The closure may run several
    /// times, and gets `None` if there is no value. The answer is the value stored.
    ///
    /// # Errors
    /// As [`commit`](Self::commit).
    pub async fn update<T>(
        &self,
        name: impl AttributeName<T>,
        mut next: impl FnMut(Option<T>) -> T + Send,
    ) -> Result<T>
    where
        T: Serialize + DeserializeOwned + Send,
    {
        let name = name.name();
        let core = &self.inner.core;
        let mut value = None;
        let mut edit = |attributes: &mut Attributes| {
            let old = attributes
                .get(name)
                .map(|old| decode_value(name, old))
                .transpose()?;
            let new = next(old);
            let encoded = encode_value(name, &new)?;
            core.policy.limits.check_set(attributes, name, &encoded)?;
            attributes.set(name, encoded);
            value = Some(new);
            Ok(())
        };
        commit::commit(&self.inner, Some(&mut edit)).await?;
        value.ok_or(Error::Contended)
    }

    /// The token that opens this session now; `None` while it is in no store. What a
    /// client must be sent comes from [`commit`](Self::commit).
    ///
    /// # Errors
    /// `Randomness`.
    pub fn token(&self) -> Result<Option<Token>> {
        let (stage, number) = {
            let state = self.state();
            (state.stage, state.record.rotation.number())
        };
        match stage {
            Stage::Stored => self.inner.token(number).map(Some),
            Stage::New | Stage::Over => Ok(None),
        }
    }

    pub(crate) fn state(&self) -> MutexGuard<'_, State> {
        self.inner.state()
    }
}

impl fmt::Debug for Session {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let state = self.state();
        f.debug_struct("Session")
            .field("id", &self.inner.id)
            .field("stage", &state.stage)
            .field("attributes", &state.attributes.len())
            .finish_non_exhaustive()
    }
}
