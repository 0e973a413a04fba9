//! The commit of a request that changed nothing: the access that is owed, the token that
//! is owed, and the attributes if they lie under an older key.

use tenure_store::{Access, Change, Updated};

use crate::attributes::Size;
use crate::first_commit::is_provisional;
use crate::handle::{Inner, TokenDebt};
use crate::{Error, Result};

/// One round trip, whether an access is owed, or a renewal, or both; one more if another
/// writer changed the session at that moment.
pub(crate) async fn access(session: &Inner) -> Result<()> {
    if renew(session).await? || !session.state().owes.touch {
        return Ok(());
    }
    let core = &session.core;
    let now = core.now();
    let live = core.store.touch(&core.ns, session.id, now).await?;
    let mut state = session.state();
    if !live {
        return Err(state.refuse(Error::Gone));
    }
    state.owes.touch = false;
    state.record.access(now);
    Ok(())
}

/// Stores the attributes as they would be written today, if they are not, and the access
/// with them: so that a session which is only ever read moves to the new key as well. It
/// also shows that the token is still the latest, and may be issued under the new key.
/// Returns `false` if nothing was to be renewed or another writer was faster, as a request
/// that changed nothing must neither undo what others did nor fail for it.
async fn renew(session: &Inner) -> Result<bool> {
    let core = &session.core;
    let (expected, attributes) = {
        let mut state = session.state();
        let is_due = state.owes.seal || state.owes.token == TokenDebt::Renewal;
        if !is_due || !state.delta.is_empty() {
            return Ok(false);
        }
        // Once is enough: if this fails, the next request sees to it.
        let seals = std::mem::take(&mut state.owes.seal);
        (
            state.record.version,
            seals.then(|| state.attributes.clone()),
        )
    };
    let now = core.now();
    let mut change = Change::new(session.draw_version()?, session.access);
    if let Some(attributes) = &attributes {
        change.payload = Some(session.seal_as_is(attributes)?);
    }
    let answer = core
        .store
        .update(&core.ns, session.id, expected, &change, now)
        .await?;
    let mut state = session.state();
    match answer {
        Updated::Done => {
            change.apply_beside_payload(&mut state.record, now);
            if let (Some(attributes), Some(payload)) = (&attributes, &change.payload) {
                state.stored = Size::new(attributes, payload.len());
            }
            state.owes.renewed();
            if session.access == Access::Counts {
                state.owes.touch = false;
            }
            Ok(true)
        }
        // It sets no principal, so it is never refused for one.
        Updated::Changed | Updated::Full => {
            state.owes.token = TokenDebt::None;
            Ok(false)
        }
        Updated::Gone => Err(state.refuse(Error::Gone)),
    }
}

/// Finds out whether a first commit whose answer got lost has happened, where nothing else
/// is to be written. One round trip.
pub(crate) async fn find_out(session: &Inner) -> Result<()> {
    let core = &session.core;
    let Some(mut found) = core.store.load(&core.ns, session.id, core.now()).await? else {
        return Ok(());
    };
    if is_provisional(&found) {
        return Ok(());
    }
    let bytes = found.payload.len();
    let attributes = core.open(&mut found)?;
    let mut state = session.state();
    state.hear(Some(&found))?;
    state.record = found;
    state.stored = Size::new(&attributes, bytes);
    state.attributes = attributes;
    let state = &mut *state;
    state.delta.apply_to(&mut state.attributes);
    state.sent.clear();
    Ok(())
}
