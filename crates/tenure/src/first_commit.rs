//! A session's first commit: how it gets into the store, in one step or, where its
//! principal may have only so many sessions, in two.

use tenure_store::{After, Created, EndReason, Field, Principal};

use crate::commit::{Edit, Flight};
use crate::handle::Stage;
use crate::{Error, Result};

/// How often a creation is tried when its answer gets lost.
const CREATIONS: u32 = 3;

/// Under which of a handle's versions the session is in the store.
enum Stored {
    /// That of this creation: as it is to be.
    Now,
    /// That of an earlier commit of this handle, which had happened after all.
    Before,
}

impl Flight<'_> {
    pub(crate) async fn create(&mut self, mut edit: Option<Edit<'_>>) -> Result<()> {
        self.delta.apply_to_record(&mut self.record);
        match self.store(&mut edit).await? {
            Stored::Now => Ok(()),
            Stored::Before => self.update(edit).await,
        }
    }

    /// Whether it is a first commit that logs in somebody who may have only so many
    /// sessions: an update counts them, a creation does not.
    pub(crate) fn needs_admission(&self) -> bool {
        let policy = &self.session.core.policy;
        self.stage == Stage::New && policy.principal_limit.is_some() && self.principal().is_some()
    }

    /// Stores the session as nobody's. What the commit is to change is left to the update
    /// that must follow, log-in and all.
    pub(crate) async fn create_anonymous(&mut self) -> Result<()> {
        self.delta.principal = Field::from_option(self.principal());
        self.record.principal = None;
        self.store(&mut None).await?;
        // Not drawn for the update: else one whose answer got lost would pass for done.
        let mut state = self.session.state();
        state.unacknowledged.append(&mut self.drawn);
        self.earlier.clone_from(&state.unacknowledged);
        self.stage = Stage::Stored;
        self.is_anonymous = true;
        Ok(())
    }

    /// The log-in is refused. Of a session that was stored for it nothing stays behind: no
    /// client has its token. Should that fail, it runs out by itself, as nobody's.
    pub(crate) async fn turn_away(&mut self) -> Error {
        if self.is_anonymous {
            let (core, id) = (&self.session.core, self.session.id);
            let (reason, discard) = (EndReason::Displaced, After::Discard);
            let ended = core
                .store
                .end(&core.ns, id, None, reason, discard, core.now());
            if let Err(error) = ended.await {
                tracing::debug!(session = %id, %error, "a refused session stays until it runs out");
            }
        }
        Error::TooManySessions
    }

    fn principal(&self) -> Option<Principal> {
        let mut principal = self.record.principal.clone();
        self.delta.principal.apply_to(&mut principal);
        principal
    }

    async fn store(&mut self, edit: &mut Option<Edit<'_>>) -> Result<Stored> {
        let session = self.session;
        let core = &session.core;
        for _ in 0..CREATIONS {
            self.record.version = self.draw()?;
            let mut record = self.record.clone();
            record.payload = session.seal(&self.attributes)?;
            let now = core.now();
            let lost = match core.store.create(&core.ns, &record, now).await {
                Ok(Created::Done) => {
                    self.owes_token = true;
                    return Ok(Stored::Now);
                }
                Ok(Created::Exists) => None,
                Err(error) if error.is_unavailable() => Some(error),
                Err(error) => return Err(error.into()),
            };
            match core.store.load(&core.ns, session.id, now).await {
                Ok(Some(found)) if self.drawn.contains(&found.version) => {
                    self.owes_token = true;
                    return Ok(Stored::Now);
                }
                Ok(Some(found)) if self.earlier.contains(&found.version) => {
                    self.owes_token = true;
                    self.rebase(found, edit)?;
                    return Ok(Stored::Before);
                }
                Ok(None) if lost.is_some() => {}
                Ok(_) => return Err(self.refuse(Error::Gone)),
                Err(error) => return Err(lost.unwrap_or(error).into()),
            }
        }
        Err(Error::Contended)
    }
}
