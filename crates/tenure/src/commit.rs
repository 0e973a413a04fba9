//! From a request's changes to the store: compare-and-set, and what to do when another
//! writer was faster, or when the answer got lost.

use std::time::Duration;

use tenure_store::{Access, Change, Record, Rotation, Timestamp, Updated};

use tracing::Instrument as _;

use crate::access::{access, find_out};
use crate::attributes::{Attributes, Size};
use crate::deadline::Deadline;
use crate::delta::{Delta, Rotate};
use crate::first_commit::{Provisional, is_provisional};
use crate::handle::{Inner, Sent, Standing};
use crate::{Error, Result};

/// How often a write is tried against other processes' writes before it is given up.
const ATTEMPTS: u32 = 128;

/// A read-modify-write that goes with a commit, on the attributes as they will be.
pub(crate) type Edit<'a> = &'a mut (dyn FnMut(&mut Attributes) -> Result<()> + Send);

/// Stores what was changed; returns how often the edit had run when it made what is stored.
pub(crate) async fn commit(session: &Inner, edit: Option<Edit<'_>>) -> Result<usize> {
    let core = &session.core;
    let span = tracing::debug_span!("tenure.commit", namespace = %core.ns, session = %session.id);
    let done = commit_or_read(session, edit).instrument(span).await;
    core.metrics.commits.count(done)
}

async fn commit_or_read(session: &Inner, mut edit: Option<Edit<'_>>) -> Result<usize> {
    let core = &session.core;
    let commits = &core.metrics.commits;
    // What another clone has in flight may be this one's change too, so it is waited for.
    let deadline = Deadline::begin(core);
    let _turn = session.turn(deadline).await?;
    let (standing, changes, asked) = {
        let state = session.state();
        (
            state.standing,
            !state.delta.is_empty(),
            !state.sent.is_empty(),
        )
    };
    if edit.is_none() && !changes && standing != Standing::Ended {
        match standing {
            Standing::New if asked => find_out(session).await?,
            Standing::Stored => access(session).await?,
            _ => {}
        }
        commits.read.increment(1);
        return Ok(0);
    }
    session.state().check()?;
    let longest = deadline.left_for_others(core);
    let queued = core.queues.turn(session.id, longest).await;
    let deadline = deadline.after_waiting(core);
    let mut flight = Flight::begin(session, deadline, queued.is_first());
    let outcome = match standing {
        Standing::New => &commits.created,
        _ => &commits.updated,
    };
    if flight.needs_admission() {
        flight.create_provisional().await?;
    }
    flight.run(&mut edit)?;
    if standing == Standing::New && flight.provisional.is_none() {
        flight.create(edit).await?;
    } else {
        flight.update(edit).await?;
    }
    outcome.increment(1);
    Ok(flight.land())
}

/// One commit under way. If it does not land, its changes go back to where they were. What
/// it has asked of the store is noted in the handle before it is asked.
pub(crate) struct Flight<'a> {
    pub(crate) session: &'a Inner,
    deadline: Deadline,
    /// No other commit of this process writes the session meanwhile.
    is_alone: bool,
    pub(crate) record: Record,
    /// As they will be: the record's, the delta, and the edit.
    pub(crate) attributes: Attributes,
    pub(crate) stored: Size,
    pub(crate) delta: Delta,
    owes_seal: bool,
    /// How many of the handle's unanswered writes are of earlier commits.
    pub(crate) earlier: usize,
    /// How often the edit has run, and how often when it made what is stored.
    runs: usize,
    /// What this commit has stored first, for the session to be let in.
    pub(crate) provisional: Option<Provisional>,
}

impl<'a> Flight<'a> {
    fn begin(session: &'a Inner, deadline: Deadline, is_alone: bool) -> Self {
        let mut state = session.state();
        state.in_flight = true;
        Self {
            session,
            deadline,
            is_alone,
            record: state.record.clone(),
            attributes: state.attributes.clone(),
            stored: state.stored,
            delta: std::mem::take(&mut state.delta),
            owes_seal: state.owes.seal,
            earlier: state.sent.len(),
            runs: 0,
            provisional: None,
        }
    }

    pub(crate) async fn update(&mut self, mut edit: Option<Edit<'_>>) -> Result<()> {
        let session = self.session;
        let core = &session.core;
        // An answer that got lost, and that nothing has explained since.
        let mut unknown: Option<tenure_store::Error> = None;
        for attempt in 0..ATTEMPTS {
            let now = core.now();
            let (sent, change) = self.change(edit.is_some(), now)?;
            let expected = self.record.version;
            let before = edit.is_some().then(|| self.attributes.clone());
            session.state().sent.push(sent);
            let answer = core
                .store
                .update(&core.ns, session.id, expected, &change, now)
                .await;
            let lost = match answer {
                Ok(Updated::Done) => {
                    change.apply_beside_payload(&mut self.record, now);
                    if let Some(payload) = &change.payload {
                        self.stored = Size::new(&self.attributes, payload.len());
                    }
                    return Ok(());
                }
                Ok(Updated::Gone) => return Err(session.state().refuse(Error::Gone)),
                Ok(Updated::Changed) => {
                    self.did_not_happen(sent);
                    core.metrics.commits.conflicts.increment(1);
                    None
                }
                Ok(Updated::Full) => {
                    self.did_not_happen(sent);
                    return Err(self.turn_away().await);
                }
                Err(error) if error.is_unavailable() => Some(error),
                Err(error) => {
                    self.did_not_happen(sent);
                    return Err(error.into());
                }
            };
            match lost {
                // One look, and one more attempt: a store that is overloaded is not asked
                // more.
                Some(error) if unknown.is_some() || self.is_late() => return Err(error.into()),
                None if attempt + 1 == ATTEMPTS || self.deadline.is_long_over(core) => {
                    return Err(unknown.map_or(Error::Contended, Error::from));
                }
                _ => {}
            }
            let found = match core.store.load(&core.ns, session.id, core.now()).await {
                Ok(Some(found)) => found,
                Ok(None) => return Err(session.state().refuse(Error::Gone)),
                Err(error) => return Err(lost.unwrap_or(error).into()),
            };
            let has_moved_on = found.version != expected;
            if self.rebase(found, &mut edit)? == Found::OurOwn {
                return Ok(());
            }
            if let Some(error) = lost {
                // An update that may be there, unseen under what others wrote, is not made
                // again; and any other change may be.
                match before {
                    Some(before) if has_moved_on && self.shows_all_since(&before) => {
                        self.did_not_happen(sent);
                    }
                    Some(_) if has_moved_on => return Err(error.into()),
                    _ => unknown = Some(error),
                }
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
        let bytes = found.payload.len();
        let mut attributes = self.session.core.open(&mut found)?;
        let stored = Size::new(&attributes, bytes);
        let is_provisional = is_provisional(&found);
        if let Some(provisional) = &self.provisional
            && is_provisional
        {
            attributes = provisional.attributes.clone();
        }
        {
            let mut state = self.session.state();
            let is_in = |sent: &Sent| {
                sent.version == found.version || attributes.was_updated_by(sent.version.get())
            };
            let own = state.sent.iter().rposition(is_in);
            if let Some(at) = own {
                let sent = state.sent[at];
                if at >= self.earlier && sent.rotation == found.rotation.number() {
                    self.runs = sent.run;
                    self.stored = stored;
                    self.record = found;
                    self.attributes = attributes;
                    return Ok(Found::OurOwn);
                }
                if at < self.earlier && !is_provisional {
                    // A commit that this handle had given up has happened.
                    state.happened(sent.rotation);
                }
            }
            if state.carried != found.rotation.number() {
                return Err(state.refuse(Error::Superseded));
            }
        }
        self.stored = stored;
        self.record = found;
        self.attributes = attributes;
        self.delta.apply_to(&mut self.attributes);
        self.run(edit)?;
        Ok(Found::Others)
    }

    pub(crate) fn run(&mut self, edit: &mut Option<Edit<'_>>) -> Result<()> {
        let Some(edit) = edit else {
            return Ok(());
        };
        self.runs += 1;
        edit(&mut self.attributes)
    }

    /// Whether an update that was made on `before` would show in what was loaded since.
    fn shows_all_since(&self, before: &Attributes) -> bool {
        let writer = self.session.core.writer;
        self.attributes
            .shows_updates_since(before, writer, self.is_alone)
    }

    fn change(&mut self, is_edit: bool, now: Timestamp) -> Result<(Sent, Change)> {
        let session = self.session;
        let core = &session.core;
        let version = session.draw_version()?;
        // A start is an access, even if the browser has gone away since.
        let is_first = self.provisional.is_some();
        let access = if self.delta.leaves() && !is_first {
            Access::Passive
        } else {
            session.access
        };
        let mut change = Change::new(version, access);
        if is_edit {
            self.attributes.note_update(core.writer, version.get());
        }
        if is_edit || is_first || self.delta.changes_attributes() {
            change.payload = Some(session.seal(&self.attributes, self.stored)?);
        } else if self.owes_seal {
            change.payload = Some(session.seal_as_is(&self.attributes)?);
        }
        change.principal = self.delta.principal.clone();
        change.principal_limit = core.policy.principal_limit;
        change.idle_timeout = self.delta.idle_timeout.clone();
        change.leaves_at = self.delta.leaves_at.clone();
        if let Some(provisional) = &self.provisional {
            provisional.complete(&mut change);
        }
        let carried = session.state().carried;
        change.rotation = match self.delta.rotate {
            None => None,
            Some(_) if carried == Rotation::MAX => return Err(Error::RotationsExhausted),
            Some(rotate) => {
                let grace = core.policy.rotation_grace;
                let reads = rotate == Rotate::WithGrace && !grace.is_zero();
                let until = reads.then(|| now.plus(grace));
                Some(Rotation::new(carried + 1, until)?)
            }
        };
        let rotation = change.rotation.map_or(carried, Rotation::number);
        Ok((self.sent(version, rotation), change))
    }

    pub(crate) fn sent(&self, version: tenure_store::Version, rotation: u32) -> Sent {
        Sent {
            version,
            rotation,
            run: self.runs,
            leaves: self.delta.leaves(),
        }
    }

    /// The store has said that it did not write this, or shows that it never will.
    pub(crate) fn did_not_happen(&self, sent: Sent) {
        let mut state = self.session.state();
        state.sent.retain(|other| other.version != sent.version);
    }

    /// The changes are stored: the handle goes on from there. Returns how often the edit
    /// had run when it made them.
    fn land(mut self) -> usize {
        self.delta = Delta::default();
        let mut state = self.session.state();
        let state = &mut *state;
        state.happened(self.record.rotation.number());
        state.record = self.record.clone();
        state.attributes = std::mem::take(&mut self.attributes);
        state.principal.clone_from(&state.record.principal);
        state.delta.principal.apply_to(&mut state.principal);
        state.stored = self.stored;
        state.delta.apply_to(&mut state.attributes);
        state.owes.renewed();
        if self.session.access == Access::Counts {
            state.owes.touch = false;
        }
        state.sent.clear();
        self.runs
    }

    pub(crate) fn is_late(&self) -> bool {
        self.deadline.is_over(&self.session.core)
    }
}

impl Drop for Flight<'_> {
    fn drop(&mut self) {
        let mut state = self.session.state();
        let later = std::mem::take(&mut state.delta);
        state.delta = std::mem::take(&mut self.delta).then(later);
        state.in_flight = false;
    }
}

/// What a load after a conflict, or a lost answer, shows.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Found {
    /// The write had happened.
    OurOwn,
    /// Another writer's, or none since.
    Others,
}

/// Breaks the step that writers of several processes may have fallen into. Immediately
/// after a conflict is the best time to try again, as the winner has just been stored: so
/// the first attempts do not wait, and the others not for long.
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
