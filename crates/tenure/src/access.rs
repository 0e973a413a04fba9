//! The commit of a request that changed nothing: the access that is owed, the token that
//! is owed, and the attributes if they lie under an older key.

use tenure_store::{Access, Change, Updated};

use crate::handle::{Inner, Stage};
use crate::{Error, Result, Token};

/// One round trip, whether an access is owed, or sealing anew, or both; one more if
/// somebody else was writing the session at that moment.
pub(crate) async fn access(session: &Inner) -> Result<Option<Token>> {
    let resealed = reseal(session).await?;
    if !resealed && session.state().owes.touch {
        let core = &session.core;
        let now = core.now();
        let live = core.store.touch(&core.ns, session.id, now).await?;
        let mut state = session.state();
        state.owes.touch = false;
        if !live {
            state.stage = Stage::Over;
            return Err(Error::Gone);
        }
        state.record.access(now);
    }
    session.owed_token()
}

/// Stores the attributes as they would be written today, and the access with them, so
/// that a session which is only ever read moves to the new key as well. Says whether it
/// did: not if somebody was faster, as a request that changed nothing must neither undo
/// what others did nor fail for it.
async fn reseal(session: &Inner) -> Result<bool> {
    let core = &session.core;
    let (expected, attributes) = {
        let mut state = session.state();
        // Once is enough: if this fails, the next request sees to it.
        if !std::mem::take(&mut state.owes.seal) || !state.delta.is_empty() {
            return Ok(false);
        }
        (state.record.version, state.attributes.clone())
    };
    let now = core.now();
    let mut change = Change::new(session.draw_version()?, session.access);
    change.payload = Some(session.seal_as_is(&attributes)?);
    let answer = core
        .store
        .update(&core.ns, session.id, expected, &change, now)
        .await?;
    let mut state = session.state();
    match answer {
        Updated::Done => {
            // A clone may have stored more meanwhile, and know better.
            if state.record.version == expected {
                change.apply_beside_payload(&mut state.record, now);
            }
            if session.access == Access::Counts {
                state.owes.touch = false;
            }
            Ok(true)
        }
        // It sets no principal, so it is never refused for one.
        Updated::Changed | Updated::Full => Ok(false),
        Updated::Gone => {
            state.stage = Stage::Over;
            Err(Error::Gone)
        }
    }
}

impl Inner {
    /// The token that the client does not have yet, if there is one.
    pub(crate) fn owed_token(&self) -> Result<Option<Token>> {
        let (owes_token, number) = {
            let state = self.state();
            (state.owes.token, state.carried)
        };
        if !owes_token {
            return Ok(None);
        }
        let token = self.token(number)?;
        self.state().owes.token = false;
        Ok(Some(token))
    }
}
