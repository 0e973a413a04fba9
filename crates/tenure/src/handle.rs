//! The state that all clones of one session's handle share: what the client holds, what
//! the store has said, and what was asked of the store and not answered.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tenure_store::{Access, Payload, Principal, Record, SessionId, Version};

use crate::attributes::{Attributes, Size};
use crate::core::Core;
use crate::deadline::Deadline;
use crate::delta::Delta;
use crate::first_commit::is_provisional;
use crate::random::Reserve;
use crate::secret::Secret;
use crate::{Error, Randomness, Result, Token};

pub(crate) struct Inner {
    pub(crate) core: Arc<Core>,
    pub(crate) secret: Secret,
    pub(crate) id: SessionId,
    pub(crate) access: Access,
    pub(crate) reserve: Reserve,
    pub(crate) state: Mutex<State>,
    /// Held by the one call of this handle's clones that is speaking with the store.
    turn: tokio::sync::Mutex<()>,
}

/// What the store has said of the session, as far as this handle has heard.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Standing {
    /// Started here; no answer has said that it is stored.
    New,
    /// Stored, and the token that the client holds is its latest.
    Stored,
    /// Stored, and has another token by now: this handle reads, and does nothing else.
    Superseded,
    /// It has ended: nothing will be written again.
    Ended,
}

/// Whether the client is to be sent a token.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum TokenDebt {
    /// The client holds what it needs.
    #[default]
    None,
    /// The client's token is good but lies under an older key. It may be replaced once a
    /// write has shown that it is still the latest.
    Renewal,
    /// This handle made the token, and no client has it yet.
    Issue,
}

/// What the next commit does even if nothing is changed.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Owes {
    /// An access that has not been written.
    pub(crate) touch: bool,
    pub(crate) token: TokenDebt,
    /// The payload anew: it is not in the form in which it would be written today.
    pub(crate) seal: bool,
}

impl Owes {
    /// A write has shown that the client's token is the latest, and left nothing in an
    /// older form.
    pub(crate) fn renewed(&mut self) {
        self.seal = false;
        if self.token == TokenDebt::Renewal {
            self.token = TokenDebt::Issue;
        }
    }
}

/// A write that was asked of the store and whose answer is not known. A later load that
/// shows its version tells that it happened.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Sent {
    pub(crate) version: Version,
    /// The number of the token that opens the session if it happened.
    pub(crate) rotation: u32,
    /// How often the commit's edit had run when it was sent.
    pub(crate) run: usize,
    /// Whether it says that the browser went away.
    pub(crate) leaves: bool,
}

pub(crate) struct State {
    pub(crate) standing: Standing,
    /// As last loaded or written, without its payload.
    pub(crate) record: Record,
    /// As this request sees them: the changes included.
    pub(crate) attributes: Attributes,
    /// How large they are in the store.
    pub(crate) stored: Size,
    /// Whose they are, an uncommitted log-in included.
    pub(crate) principal: Option<Principal>,
    pub(crate) delta: Delta,
    /// The rotation number of the token that the client holds, or is owed.
    pub(crate) carried: u32,
    pub(crate) owes: Owes,
    pub(crate) sent: Vec<Sent>,
    /// A commit of this handle is under way.
    pub(crate) in_flight: bool,
}

impl State {
    pub(crate) fn new(record: Record) -> Self {
        Self {
            standing: Standing::New,
            principal: record.principal.clone(),
            record,
            attributes: Attributes::default(),
            stored: Size::default(),
            delta: Delta::default(),
            carried: 0,
            owes: Owes::default(),
            sent: Vec::new(),
            in_flight: false,
        }
    }

    /// What a start hook sets is part of the first write, but is no reason for one: else
    /// every crawler is stored.
    pub(crate) fn absorb(&mut self) {
        let delta = std::mem::take(&mut self.delta);
        delta.apply_to_record(&mut self.record);
    }

    /// Whether it may be in the store, as far as this handle can tell.
    pub(crate) fn may_be_stored(&self) -> bool {
        self.standing != Standing::New || !self.sent.is_empty()
    }

    /// Whether the store is known to have no leave of this session that this handle asked
    /// for or loaded.
    pub(crate) fn is_staying(&self) -> bool {
        let asked = self.sent.iter().any(|sent| sent.leaves);
        self.record.leaves_at.is_none() && !asked && !self.in_flight
    }

    /// Whether this request has said that its browser went away: then it is no access.
    pub(crate) fn leaves(&self) -> bool {
        self.delta.leaves() || self.sent.iter().any(|sent| sent.leaves)
    }

    /// Refuses what this handle may not do any more.
    ///
    /// # Errors
    /// `Gone`, `Superseded`.
    pub(crate) fn check(&self) -> Result<()> {
        match self.standing {
            Standing::New | Standing::Stored => Ok(()),
            Standing::Superseded => Err(Error::Superseded),
            Standing::Ended => Err(Error::Gone),
        }
    }

    /// Nothing that this handle holds will be written, and its client is owed nothing.
    /// What it has changed stays in view, so that no later commit passes for a success.
    pub(crate) fn refuse(&mut self, error: Error) -> Error {
        match error {
            Error::Gone => self.standing = Standing::Ended,
            Error::Superseded => self.standing = Standing::Superseded,
            _ => {}
        }
        self.owes = Owes::default();
        error
    }

    /// A write of this handle has happened: the client is owed the token that it made, if
    /// it made one.
    pub(crate) fn happened(&mut self, rotation: u32) {
        if self.standing == Standing::New || rotation != self.carried {
            self.owes.token = TokenDebt::Issue;
        }
        self.standing = Standing::Stored;
        self.carried = rotation;
    }

    /// Judges what a load has shown, `None` for a session that is not live. The record that
    /// this handle goes by stays, as the attributes belong to it.
    ///
    /// # Errors
    /// `Gone`; `Superseded` if a write that is not this handle's replaced the token.
    pub(crate) fn hear(&mut self, found: Option<&Record>) -> Result<()> {
        let Some(found) = found else {
            return Err(self.refuse(Error::Gone));
        };
        let own = self.sent.iter().find(|sent| sent.version == found.version);
        if let Some(rotation) = own.map(|sent| sent.rotation)
            && !is_provisional(found)
        {
            self.happened(rotation);
        }
        if self.carried != found.rotation.number() {
            return Err(self.refuse(Error::Superseded));
        }
        Ok(())
    }
}

impl Inner {
    pub(crate) fn new(
        core: &Arc<Core>,
        secret: Secret,
        access: Access,
        reserve: Reserve,
        state: State,
    ) -> Self {
        Self {
            core: Arc::clone(core),
            secret,
            id: state.record.id,
            access,
            reserve,
            state: Mutex::new(state),
            turn: tokio::sync::Mutex::default(),
        }
    }

    pub(crate) fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits until no other clone of this handle is speaking with the store.
    ///
    /// # Errors
    /// `Store` with `Unavailable` if one still is at the deadline.
    pub(crate) async fn turn(&self, deadline: Deadline) -> Result<tokio::sync::MutexGuard<'_, ()>> {
        if let Ok(turn) = self.turn.try_lock() {
            return Ok(turn);
        }
        let turn = deadline.bound(&self.core, self.turn.lock()).await;
        turn.ok_or_else(|| {
            tenure_store::Error::unavailable("another call on this session has not finished").into()
        })
    }

    /// Loads the session, if it is live and its token is the one that the client holds.
    ///
    /// # Errors
    /// `Gone`, `Superseded`, `Store`.
    pub(crate) async fn look(&self) -> Result<Record> {
        let core = &self.core;
        let found = core.store.load(&core.ns, self.id, core.now()).await?;
        self.state().hear(found.as_ref())?;
        found.ok_or(Error::Gone)
    }

    fn random(&self) -> impl Randomness {
        self.reserve.over(&*self.core.random)
    }

    pub(crate) fn draw_version(&self) -> Result<Version> {
        let mut bytes = [0; 8];
        self.random().fill(&mut bytes)?;
        Ok(Version::new(u64::from_le_bytes(bytes)))
    }

    /// Seals what is to be stored in place of attributes of this size.
    pub(crate) fn seal(&self, attributes: &Attributes, stored: Size) -> Result<Payload> {
        self.core.policy.limits.check_all(attributes, stored)?;
        self.seal_as_is(attributes)
    }

    /// Seals what has been stored before, whatever the limits are by now.
    pub(crate) fn seal_as_is(&self, attributes: &Attributes) -> Result<Payload> {
        let (keys, frame) = (self.core.keys.current(), attributes.encode());
        keys.seal_payload(self.id, frame, &self.random())
    }

    /// The token with this rotation number.
    pub(crate) fn token(&self, rotation: u32) -> Result<Token> {
        let keys = self.core.keys.current();
        keys.tokens
            .seal_token(&self.secret, rotation, &self.random())
    }

    /// Hands over the token that the client does not have yet, if there is one. Call it
    /// only where the answer reaches the client.
    pub(crate) fn owed_token(&self) -> Result<Option<Token>> {
        let (debt, number) = {
            let state = self.state();
            (state.owes.token, state.carried)
        };
        if debt != TokenDebt::Issue {
            return Ok(None);
        }
        let token = self.token(number)?;
        self.state().owes.token = TokenDebt::None;
        Ok(Some(token))
    }
}

impl Drop for Inner {
    /// A request that used the session and never committed was an access all the same.
    fn drop(&mut self) {
        let state = self.state.get_mut().unwrap_or_else(PoisonError::into_inner);
        if !state.owes.touch || state.standing != Standing::Stored || state.leaves() {
            return;
        }
        let (core, id) = (Arc::clone(&self.core), self.id);
        let touch = async move {
            if let Err(error) = core.store.touch(&core.ns, id, core.now()).await {
                tracing::debug!(session = %id, %error, "an access could not be written");
            }
        };
        // In a box, as a task is moved several times before it runs.
        self.core.spawn(Box::pin(touch));
    }
}
