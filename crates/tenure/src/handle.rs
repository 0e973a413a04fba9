//! The state that all clones of one session's handle share.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tenure_store::{Access, Payload, Record, SessionId, Version};

use crate::attributes::Attributes;
use crate::commit::Unacknowledged;
use crate::core::Core;
use crate::delta::Delta;
use crate::random::Reserve;
use crate::secret::Secret;
use crate::{Randomness, Result, Token};

pub(crate) struct Inner {
    pub(crate) core: Arc<Core>,
    pub(crate) secret: Secret,
    pub(crate) id: SessionId,
    pub(crate) access: Access,
    pub(crate) reserve: Reserve,
    pub(crate) state: Mutex<State>,
}

/// Where a handle's session stands, as far as the handle knows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Stage {
    /// Started, and in no store.
    New,
    /// In the store.
    Stored,
    /// Ended: nothing will be written again.
    Over,
}

/// What the next commit does even if nothing is changed.
#[derive(Clone, Copy, Default)]
pub(crate) struct Owes {
    /// An access that has not been written.
    pub(crate) touch: bool,
    /// A new token: the client's is under an accepted key, not the primary one.
    pub(crate) token: bool,
    /// The payload anew: it is not in the form in which it would be written today.
    pub(crate) seal: bool,
}

pub(crate) struct State {
    pub(crate) stage: Stage,
    /// As last loaded or written, without its payload.
    pub(crate) record: Record,
    /// As this request sees them: the changes included.
    pub(crate) attributes: Attributes,
    pub(crate) delta: Delta,
    /// The rotation number of the token that the client holds.
    pub(crate) carried: u32,
    pub(crate) owes: Owes,
    pub(crate) unacknowledged: Unacknowledged,
    /// A commit of this handle is under way.
    pub(crate) in_flight: bool,
}

impl State {
    pub(crate) fn new(record: Record) -> Self {
        Self {
            stage: Stage::New,
            record,
            attributes: Attributes::default(),
            delta: Delta::default(),
            carried: 0,
            owes: Owes::default(),
            unacknowledged: Unacknowledged::default(),
            in_flight: false,
        }
    }

    /// What a start hook sets is part of the first write, but is no reason for one: else
    /// every crawler is stored.
    pub(crate) fn absorb(&mut self) {
        let delta = std::mem::take(&mut self.delta);
        delta.apply_to_record(&mut self.record);
    }
}

impl Inner {
    pub(crate) fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn random(&self) -> impl Randomness {
        self.reserve.over(&*self.core.random)
    }

    pub(crate) fn draw_version(&self) -> Result<Version> {
        let mut bytes = [0; 8];
        self.random().fill(&mut bytes)?;
        Ok(Version::new(u64::from_le_bytes(bytes)))
    }

    pub(crate) fn seal(&self, attributes: &Attributes) -> Result<Payload> {
        self.core.policy.limits.check_all(attributes)?;
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
}

impl Drop for Inner {
    /// A request that used the session and never committed was an access all the same.
    fn drop(&mut self) {
        let state = self.state.get_mut().unwrap_or_else(PoisonError::into_inner);
        if !state.owes.touch || state.stage != Stage::Stored {
            return;
        }
        let (core, id) = (Arc::clone(&self.core), self.id);
        let touch = async move {
            if let Err(error) = core.store.touch(&core.ns, id, core.now()).await {
                tracing::debug!(session = %id, %error, "an access could not be written");
            }
        };
        if let Ok(runtime) = tokio::runtime::Handle::try_current() {
            runtime.spawn(touch);
        }
    }
}
