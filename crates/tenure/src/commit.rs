//! From a request's changes to the store: compare-and-set, and what to do when somebody
//! else was faster, or when the answer got lost.

use std::time::Duration;

use tenure_store::{Access, Change, Record, Rotation, Timestamp, Updated, Version};

use tracing::Instrument as _;

use crate::access::access;
use crate::attributes::Attributes;
use crate::delta::{Delta, Rotate};
use crate::handle::{Inner, Stage};
use crate::{Error, Result, Token};

/// How often a write is tried against other processes' writes before it is given up.
const ATTEMPTS: u32 = 128;

/// A read-modify-write that goes with a commit, on the attributes as they will be.
pub(crate) type Edit<'a> = &'a mut (dyn FnMut(&mut Attributes) -> Result<()> + Send);

/// Versions that this handle has sent and whose fate it does not know: a later load that
/// shows one of them tells that the write happened.
pub(crate) type Unacknowledged = Vec<Version>;

pub(crate) async fn commit(session: &Inner, edit: Option<Edit<'_>>) -> Result<Option<Token>> {
    let core = &session.core;
    let span = tracing::debug_span!("tenure.commit", namespace = %core.ns, session = %session.id);
    let done = commit_or_read(session, edit).instrument(span).await;
    core.metrics.commits.count(done)
}

async fn commit_or_read(session: &Inner, mut edit: Option<Edit<'_>>) -> Result<Option<Token>> {
    let commits = &session.core.metrics.commits;
    let writes = {
        let state = session.state();
        // What another clone has in flight may be this one's change too.
        edit.is_some() || state.in_flight || state.stage == Stage::Over || !state.delta.is_empty()
    };
    if !writes {
        let token = access(session).await?;
        commits.read.increment(1);
        return Ok(token);
    }
    let _turn = session.core.queues.turn(session.id).await;
    let mut flight = Flight::begin(session)?;
    let outcome = match flight.stage {
        Stage::New => &commits.created,
        Stage::Stored | Stage::Over => &commits.updated,
    };
    if flight.needs_admission() {
        flight.create_anonymous().await?;
    }
    if let Some(edit) = &mut edit {
        edit(&mut flight.attributes)?;
    }
    match flight.stage {
        Stage::New => flight.create(edit).await?,
        Stage::Stored | Stage::Over => flight.update(edit).await?,
    }
    outcome.increment(1);
    flight.land()
}

/// One commit under way. If it does not land, its changes go back to where they were.
pub(crate) struct Flight<'a> {
    pub(crate) session: &'a Inner,
    pub(crate) stage: Stage,
    pub(crate) record: Record,
    /// As they will be: the record's, the delta, and the edit.
    pub(crate) attributes: Attributes,
    pub(crate) delta: Delta,
    carried: u32,
    pub(crate) owes_token: bool,
    owes_seal: bool,
    pub(crate) drawn: Unacknowledged,
    pub(crate) earlier: Unacknowledged,
    /// This commit has stored the session for it to log in, and nobody else knows of it.
    pub(crate) is_anonymous: bool,
}

impl<'a> Flight<'a> {
    fn begin(session: &'a Inner) -> Result<Self> {
        let mut state = session.state();
        if state.stage == Stage::Over {
            return Err(Error::Gone);
        }
        state.in_flight = true;
        Ok(Self {
            session,
            stage: state.stage,
            record: state.record.clone(),
            attributes: state.attributes.clone(),
            delta: std::mem::take(&mut state.delta),
            carried: state.carried,
            owes_token: false,
            owes_seal: state.owes.seal,
            drawn: Unacknowledged::new(),
            earlier: state.unacknowledged.clone(),
            is_anonymous: false,
        })
    }

    pub(crate) async fn update(&mut self, mut edit: Option<Edit<'_>>) -> Result<()> {
        let session = self.session;
        let core = &session.core;
        if self.carried != self.record.rotation.number() {
            return Err(self.refuse(Error::Superseded));
        }
        for attempt in 0..ATTEMPTS {
            let now = core.now();
            let change = self.change(edit.is_some(), now)?;
            let expected = self.record.version;
            let answer = core
                .store
                .update(&core.ns, session.id, expected, &change, now)
                .await;
            let lost = match answer {
                Ok(Updated::Done) => {
                    change.apply_beside_payload(&mut self.record, now);
                    self.owes_token |= change.rotation.is_some();
                    return Ok(());
                }
                Ok(Updated::Gone) => return Err(self.refuse(Error::Gone)),
                Ok(Updated::Changed) => {
                    core.metrics.commits.conflicts.increment(1);
                    None
                }
                Ok(Updated::Full) => return Err(self.turn_away().await),
                Err(error) if error.is_unavailable() => Some(error),
                Err(error) => return Err(error.into()),
            };
            let found = match core.store.load(&core.ns, session.id, core.now()).await {
                Ok(Some(found)) => found,
                Ok(None) => return Err(self.refuse(Error::Gone)),
                Err(error) => return Err(lost.unwrap_or(error).into()),
            };
            if self.rebase(found, &mut edit)? == Found::OurOwn {
                self.owes_token |= change.rotation.is_some();
                return Ok(());
            }
            pause(attempt, core.draw()?).await;
        }
        Err(Error::Contended)
    }

    /// Puts the changes on top of what the store has now, unless they are there already.
    pub(crate) fn rebase(
        &mut self,
        mut found: Record,
        edit: &mut Option<Edit<'_>>,
    ) -> Result<Found> {
        let mut attributes = self.session.core.open(&mut found)?;
        let is_ours = |version: &Version| {
            *version == found.version || attributes.was_updated_by(version.get())
        };
        if self.drawn.iter().any(is_ours) {
            self.record = found;
            self.attributes = attributes;
            return Ok(Found::OurOwn);
        }
        if self.earlier.contains(&found.version) {
            // A commit that this handle had given up has happened, rotation included.
            self.owes_token |= self.carried != found.rotation.number();
            self.carried = found.rotation.number();
        }
        if self.carried != found.rotation.number() {
            return Err(self.refuse(Error::Superseded));
        }
        self.delta.apply_to(&mut attributes);
        if let Some(edit) = edit {
            edit(&mut attributes)?;
        }
        self.record = found;
        self.attributes = attributes;
        Ok(Found::Others)
    }

    fn change(&mut self, is_edit: bool, now: Timestamp) -> Result<Change> {
        let session = self.session;
        let core = &session.core;
        let version = self.draw()?;
        let access = if self.delta.leaves() {
            Access::Passive
        } else {
            session.access
        };
        let mut change = Change::new(version, access);
        if is_edit {
            self.attributes.note_update(core.writer, version.get());
        }
        if is_edit || self.delta.changes_attributes() {
            change.payload = Some(session.seal(&self.attributes)?);
        } else if self.owes_seal {
            change.payload = Some(session.seal_as_is(&self.attributes)?);
        }
        change.principal = self.delta.principal.clone();
        change.principal_limit = core.policy.principal_limit;
        change.idle_timeout = self.delta.idle_timeout.clone();
        change.leaves_at = self.delta.leaves_at.clone();
        change.rotation = match self.delta.rotate {
            None => None,
            Some(_) if self.carried == Rotation::MAX => return Err(Error::RotationsExhausted),
            Some(rotate) => {
                let grace = core.policy.rotation_grace;
                let reads = rotate == Rotate::WithGrace && !grace.is_zero();
                let until = reads.then(|| now.plus(grace));
                Some(Rotation::new(self.carried + 1, until)?)
            }
        };
        Ok(change)
    }

    pub(crate) fn draw(&mut self) -> Result<Version> {
        let version = self.session.draw_version()?;
        self.drawn.push(version);
        Ok(version)
    }

    /// The changes are refused for good.
    pub(crate) fn refuse(&mut self, error: Error) -> Error {
        self.delta = Delta::default();
        // A request that is refused counts as no access either.
        self.session.state().owes.touch = false;
        if matches!(error, Error::Gone) {
            self.session.state().stage = Stage::Over;
        }
        error
    }

    /// The changes are stored: the handle goes on from there.
    fn land(mut self) -> Result<Option<Token>> {
        self.delta = Delta::default();
        self.drawn.clear();
        {
            let mut state = self.session.state();
            let state = &mut *state;
            state.stage = Stage::Stored;
            state.record = self.record.clone();
            state.attributes = std::mem::take(&mut self.attributes);
            state.delta.apply_to(&mut state.attributes);
            state.carried = state.record.rotation.number();
            state.owes.token |= self.owes_token;
            state.owes.seal = false;
            if self.session.access == Access::Counts {
                state.owes.touch = false;
            }
            state.unacknowledged.clear();
        }
        self.session.owed_token()
    }
}

impl Drop for Flight<'_> {
    fn drop(&mut self) {
        let mut state = self.session.state();
        let later = std::mem::take(&mut state.delta);
        state.delta = std::mem::take(&mut self.delta).then(later);
        state.unacknowledged.append(&mut self.drawn);
        state.in_flight = false;
    }
}

/// What a load after a conflict, or a lost answer, shows.
#[derive(PartialEq, Eq)]
pub(crate) enum Found {
    /// The write had happened.
    OurOwn,
    /// Somebody else's, or nobody's.
    Others,
}

/// Breaks the step that writers of several processes may have fallen into. At once after
/// a conflict is the best time to try again, as the winner has just been stored: so the
/// first attempts do not wait, and the others not for long.
#[allow(
    clippy::disallowed_methods,
    reason = "waits for other processes, which send no signal"
)]
async fn pause(attempt: u32, jitter: u64) {
    if attempt >= 8 {
        tokio::time::sleep(Duration::from_millis(jitter % 8)).await;
    }
}

#[cfg(test)]
mod tests;
