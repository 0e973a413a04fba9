//! A session's first commit: how it gets into the store, in one step or, where its
//! principal may have only so many sessions, in two.

use std::time::Duration;

use tenure_store::{
    Access, After, Change, Created, EndReason, Field, Payload, Principal, Record, Timeout,
    Timestamp,
};

use crate::attributes::{Attributes, Size};
use crate::commit::{Edit, Flight, Found};
use crate::handle::Standing;
use crate::{Error, Result};

/// How often a creation is tried when its answer gets lost.
const CREATIONS: u32 = 2;

/// What is stored of a session before it is let in: nobody's, without attributes, never
/// used, and over by itself.
///
/// A store counts a principal's sessions when one is updated, so a session that logs in
/// with its first commit has to be there before. Should the commit be cut in between, no
/// client has a token of what is left, it runs out, and [no hook](is_provisional) tells of
/// it.
pub(crate) struct Provisional {
    idle_timeout: Option<Timeout>,
    lifetime: Option<Timeout>,
    leaves_at: Option<Timestamp>,
    pub(crate) attributes: Attributes,
}

impl Provisional {
    /// Longer than the clocks of two nodes may differ, so that no reaper of another node
    /// takes it for one that was cut.
    const LIFE: Duration = Duration::from_mins(1);

    /// Makes a record provisional.
    fn take(record: &mut Record, attributes: Attributes, now: Timestamp) -> Self {
        let made = Self {
            idle_timeout: record.idle_timeout,
            lifetime: record.lifetime,
            leaves_at: record.leaves_at,
            attributes,
        };
        record.principal = None;
        record.accesses = 0;
        record.leaves_at = Some(now.plus(Self::LIFE));
        made
    }

    /// Makes of the next update what the session is to be.
    pub(crate) fn complete(&self, change: &mut Change) {
        change.idle_timeout = Field::from_option(self.idle_timeout);
        change.lifetime = Field::from_option(self.lifetime);
        change.leaves_at = Field::from_option(self.leaves_at);
    }
}

/// Whether a record is what a first commit left that was cut before its session was let
/// in: nobody ever had that session.
pub(crate) fn is_provisional(record: &Record) -> bool {
    record.accesses == 0 && record.principal.is_none() && record.leaves_at.is_some()
}

impl Flight<'_> {
    pub(crate) async fn create(&mut self, mut edit: Option<Edit<'_>>) -> Result<()> {
        self.delta.apply_to_record(&mut self.record);
        let now = self.session.core.now();
        if self.session.access == Access::Counts {
            // However long ago it was started: a first commit is use of it.
            self.record.last_access = self.record.last_access.max(now);
        }
        if self.record.expires_at().is_some_and(|at| now >= at) {
            return Err(self.session.state().refuse(Error::Gone));
        }
        let payload = self.session.seal(&self.attributes, Size::default())?;
        self.stored = Size::new(&self.attributes, payload.len());
        match self.store(&payload, &mut edit).await? {
            Found::OurOwn => Ok(()),
            Found::Others => self.update(edit).await,
        }
    }

    /// Whether it is a first commit that logs in a principal who may have only so many
    /// sessions: an update counts them, a creation does not.
    pub(crate) fn needs_admission(&self) -> bool {
        let session = self.session;
        session.core.policy.principal_limit.is_some()
            && session.state().standing == Standing::New
            && self.principal().is_some()
    }

    /// Stores the session [provisionally](Provisional). What the commit is to change is
    /// left to the update that must follow, log-in and all.
    pub(crate) async fn create_provisional(&mut self) -> Result<()> {
        self.delta.principal = Field::from_option(self.principal());
        self.delta.apply_to_record(&mut self.record);
        let (attributes, now) = (self.attributes.clone(), self.session.core.now());
        self.provisional = Some(Provisional::take(&mut self.record, attributes, now));
        let nothing = self.session.seal_as_is(&Attributes::default())?;
        self.store(&nothing, &mut None).await?;
        // Not of the update: else one whose answer got lost would pass for done.
        self.earlier = self.session.state().sent.len();
        Ok(())
    }

    /// The log-in is refused. Of a session that was stored for it nothing stays behind: no
    /// client has its token. Should that fail, it is over by itself.
    pub(crate) async fn turn_away(&mut self) -> Error {
        if self.provisional.is_some() && self.session.state().standing == Standing::New {
            let (core, id) = (&self.session.core, self.session.id);
            let (reason, discard) = (EndReason::Displaced, After::Discard);
            let ended = core
                .store
                .end(&core.ns, id, Some(0), reason, discard, core.now());
            match ended.await {
                Ok(_) => self.session.state().sent.clear(),
                Err(error) => {
                    tracing::debug!(session = %id, %error, "a refused session stays until it runs out");
                }
            }
        }
        Error::TooManySessions
    }

    fn principal(&self) -> Option<Principal> {
        let mut principal = self.record.principal.clone();
        self.delta.principal.apply_to(&mut principal);
        principal
    }

    /// Creates the session with this payload, unless a creation or update of this handle
    /// whose answer got lost is there: then the changes are put on top of that.
    async fn store(&mut self, payload: &Payload, edit: &mut Option<Edit<'_>>) -> Result<Found> {
        let session = self.session;
        let core = &session.core;
        for attempt in 1.. {
            self.record.version = session.draw_version()?;
            let sent = self.sent(self.record.version, self.record.rotation.number());
            session.state().sent.push(sent);
            let mut record = self.record.clone();
            record.payload = payload.clone();
            let now = core.now();
            let lost = match core.store.create(&core.ns, &record, now).await {
                Ok(Created::Done) => return Ok(Found::OurOwn),
                Ok(Created::Exists) => {
                    self.did_not_happen(sent);
                    None
                }
                Err(error) if error.is_unavailable() => Some(error),
                Err(error) => {
                    self.did_not_happen(sent);
                    return Err(error.into());
                }
            };
            if (attempt == CREATIONS || self.is_late())
                && let Some(error) = lost
            {
                return Err(error.into());
            }
            match core.store.load(&core.ns, session.id, now).await {
                Ok(Some(found)) => return self.rebase(found, edit),
                Ok(None) if lost.is_some() => {}
                Ok(None) => return Err(session.state().refuse(Error::Gone)),
                Err(error) => return Err(lost.unwrap_or(error).into()),
            }
        }
        Err(Error::Contended)
    }
}
