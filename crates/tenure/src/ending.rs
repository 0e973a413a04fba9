//! How a request ends its session, and the others of its principal.

use tenure_store::{After, EndReason};

use crate::handle::Stage;
use crate::{Result, Session};

impl Session {
    /// Ends the session, for [`EndReason::Logout`]; says whether it was this call that
    /// did. Durable when it returns; the end hook runs at once in a task. What was not
    /// committed is dropped. One round trip; none for a session that was never stored.
    ///
    /// # Errors
    /// `Store`; after `Unavailable` call it again.
    pub async fn end(&self) -> Result<bool> {
        let core = &self.inner.core;
        self.finish(core.end(self.id(), EndReason::Logout)).await
    }

    /// Ends it in this way, if it is in the store: nothing will be written again.
    pub(crate) async fn finish(&self, end: impl Future<Output = Result<bool>>) -> Result<bool> {
        let stage = {
            let mut state = self.state();
            state.owes.touch = false;
            match state.stage {
                Stage::New => std::mem::replace(&mut state.stage, Stage::Over),
                other => other,
            }
        };
        if stage != Stage::Stored {
            return Ok(false);
        }
        let ended = end.await?;
        self.state().stage = Stage::Over;
        Ok(ended)
    }

    /// Ends all other sessions of this session's principal, as after a change of
    /// password; says how many. None if nobody has logged in, as far as is committed.
    /// One round trip.
    ///
    /// # Errors
    /// `Store`.
    pub async fn end_others(&self) -> Result<u64> {
        let Some(principal) = self.state().record.principal.clone() else {
            return Ok(0);
        };
        let core = &self.inner.core;
        let ended = core
            .store
            .end_principal(
                &core.ns,
                &principal,
                Some(self.inner.id),
                After::Queue,
                core.now(),
            )
            .await?;
        Ok(ended)
    }
}
