//! One request's handle on one session: reads from memory, buffers changes.

use std::fmt;
use std::sync::{Arc, MutexGuard};
use std::time::Duration;

use serde::Serialize;
use serde::de::DeserializeOwned;
use tenure_store::{
    Access, Field, Payload, Principal, Record, Rotation, SessionId, Timeout, Timestamp, Version,
};

use crate::attributes::{
    AnyAttribute, AttributeName, Attributes, Size, decode_value, encode_value,
};
use crate::commit;
use crate::core::Core;
use crate::delta::Rotate;
use crate::handle::{Inner, Owes, Standing, State, TokenDebt};
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
        let bytes = record.payload.len();
        let attributes = keys.open(&mut record, now)?;
        let (standing, owes) = if opened.rotation == record.rotation.number() {
            let counts = access == Access::Counts;
            let token = match opened.key {
                KeyAge::Primary => TokenDebt::None,
                KeyAge::Accepted => TokenDebt::Renewal,
            };
            let owes = Owes {
                touch: counts && core.policy.owes_touch(&record, now),
                token,
                seal: !is_up_to_date,
            };
            (Standing::Stored, owes)
        } else {
            // The previous token reads during its grace, and does nothing else.
            (Standing::Superseded, Owes::default())
        };
        let state = State {
            standing,
            stored: Size::new(&attributes, bytes),
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
        let inner = Inner::new(core, secret, access, reserve, state);
        Self {
            inner: Arc::new(inner),
        }
    }

    /// The session's id. It may be logged; it is not the token, and no token can be made
    /// of it.
    pub fn id(&self) -> SessionId {
        self.inner.id
    }

    /// Returns `true` if the session was started by this handle and no answer of the store
    /// has said that it is stored.
    pub fn is_new(&self) -> bool {
        self.state().standing == Standing::New
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
        self.state().principal.clone()
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
    ///
    /// All that the session has when this is committed go, those included that other
    /// requests have set since this one loaded it; what is set on this handle afterwards
    /// stays.
    pub fn clear(&self) {
        let state = &mut *self.state();
        if state.may_be_stored() || !state.attributes.is_empty() {
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
    /// What belonged to another principal does not pass on: if another one had logged in,
    /// all attributes are removed, as by [`clear`](Self::clear). Those of a session in which
    /// nobody had logged in stay, such as a cart.
    /// [`log_in_keeping_attributes`](Self::log_in_keeping_attributes) keeps them in any case.
    ///
    /// # Errors
    /// `Store` with `Invalid` for a principal that is empty, longer than 256 bytes or has a
    /// NUL in it.
    pub fn log_in(&self, principal: &str) -> Result<()> {
        let principal = Principal::new(principal)?;
        let before = self.principal();
        if before.is_some_and(|before| before != principal) {
            self.clear();
        }
        self.become_of(principal);
        Ok(())
    }

    /// As [`log_in`](Self::log_in), but keeps the attributes of a principal who had logged
    /// in before: for an operator who acts as a user, or a user who is known by another
    /// name from now on.
    ///
    /// # Errors
    /// As [`log_in`](Self::log_in).
    pub fn log_in_keeping_attributes(&self, principal: &str) -> Result<()> {
        self.become_of(Principal::new(principal)?);
        Ok(())
    }

    fn become_of(&self, principal: Principal) {
        let mut state = self.state();
        state.principal = Some(principal.clone());
        state.delta.principal = Field::Set(principal);
        state.delta.rotate = Some(Rotate::AtOnce);
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
    /// survives; of one attribute the last commit wins. A store that fails is asked
    /// three times at most, and not again once 2 s are over; against other writers a commit
    /// goes on for 10 s.
    ///
    /// # Errors
    /// `Gone` if the session has ended, `Superseded` if it was logged in or rotated
    /// elsewhere: in both cases the changes are refused for good, now and by every later
    /// commit of this handle. `Limit`, `Contended` and `Store` keep them for another
    /// commit. After `Contended` nothing was written; after `Unavailable` it may have been,
    /// or may still be, and another commit finds out.
    pub async fn commit(&self) -> Result<Option<Token>> {
        commit::commit(&self.inner, None).await?;
        self.inner.owed_token()
    }

    /// Reads an attribute, computes its new value and stores that, as one step: no
    /// concurrent update is lost, and none is applied twice when the store's answer got
    /// lost. What else was changed is committed with it. The closure may run several
    /// times, and gets `None` if there is no value. Returns the value that was stored.
    ///
    /// A token that this makes, as with a new session or a log-in, is handed over by the
    /// next [`commit`](Self::commit).
    ///
    /// # Errors
    /// As [`commit`](Self::commit). An update that `Unavailable` leaves open is not made
    /// again by a later commit.
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
        // One for each run of the closure: the store keeps the value of one of them.
        let mut values = Vec::with_capacity(1);
        let mut edit = |attributes: &mut Attributes| {
            let old = attributes
                .get(name)
                .map(|old| decode_value(name, old))
                .transpose()?;
            let new = next(old);
            let encoded = encode_value(name, &new)?;
            core.policy.limits.check_set(attributes, name, &encoded)?;
            attributes.set(name, encoded);
            values.push(new);
            Ok(())
        };
        let run = commit::commit(&self.inner, Some(&mut edit)).await?;
        let stored = run.checked_sub(1).map(|run| values.swap_remove(run));
        stored.ok_or(Error::Contended)
    }

    /// Returns a token that opens this session, as far as this handle has heard: `None`
    /// while it is in no store, after it ended, and where its token was replaced, as for a
    /// handle that was resumed with the previous token in its grace time. What a client must
    /// be sent comes from [`commit`](Self::commit).
    ///
    /// # Errors
    /// `Randomness`.
    pub fn token(&self) -> Result<Option<Token>> {
        let (standing, number) = {
            let state = self.state();
            (state.standing, state.carried)
        };
        match standing {
            Standing::Stored => self.inner.token(number).map(Some),
            Standing::New | Standing::Superseded | Standing::Ended => Ok(None),
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
            .field("standing", &state.standing)
            .field("attributes", &state.attributes.len())
            .finish_non_exhaustive()
    }
}
