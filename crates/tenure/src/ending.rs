//! How a request ends its session, and the others of its principal.

use tenure_store::{After, EndReason};

use crate::deadline::Deadline;
use crate::{Error, Result, Session};

/// How often an end is tried. Each time but the last this handle's own rotation, whose
/// answer got lost, came to light.
const ENDS: u32 = 3;

impl Session {
    /// Ends the session, for [`EndReason::Logout`]. Returns `true` if this call ended it,
    /// `false` if it had ended before or was never stored. The end is durable when the call
    /// returns; the end hook runs immediately in a task. Changes that were not committed
    /// are dropped.
    ///
    /// One round trip, two where it returns `false`; none for a session that was never
    /// stored. A commit of another clone that is under way is waited for.
    ///
    /// # Errors
    /// `Superseded` if the session has another token by now than this handle was resumed
    /// with: what began before a log-in does not end what the log-in made, and a previous
    /// token in its [grace time](crate::SessionsBuilder::rotation_grace) only reads. `Store`;
    /// after `Unavailable` call it again.
    pub async fn end(&self) -> Result<bool> {
        let core = &self.inner.core;
        self.finish(|rotation| core.end(self.id(), Some(rotation), EndReason::Logout))
            .await
    }

    /// Ends it in this way, if it may be in the store: nothing will be written again. The
    /// way gets the number of the token that the client holds.
    pub(crate) async fn finish<E>(&self, end: impl Fn(u32) -> E) -> Result<bool>
    where
        E: Future<Output = Result<bool>>,
    {
        let inner = &self.inner;
        let _turn = inner.turn(Deadline::begin(&inner.core)).await?;
        {
            let mut state = inner.state();
            match state.check() {
                Ok(()) => {}
                Err(Error::Gone) => return Ok(false),
                Err(error) => return Err(error),
            }
            state.owes.touch = false;
            if !state.may_be_stored() {
                state.refuse(Error::Gone);
                return Ok(false);
            }
        }
        for _ in 0..ENDS {
            let carried = inner.state().carried;
            if end(carried).await? {
                inner.state().refuse(Error::Gone);
                return Ok(true);
            }
            match inner.look().await {
                Ok(_) => {}
                Err(Error::Gone) => return Ok(false),
                Err(error) => return Err(error),
            }
        }
        Err(Error::Contended)
    }

    /// Ends all other sessions of this session's principal, as after a change of
    /// password. Returns how many ended; 0 if nobody has logged in, as far as is committed.
    /// Their end hooks run with the reapers.
    ///
    /// Two round trips: first this session must be live, and its token the one that this
    /// handle was resumed with.
    ///
    /// # Errors
    /// `Gone` if this session has ended, as when another request called this first;
    /// `Superseded` as for [`end`](Self::end); `Store`.
    pub async fn end_others(&self) -> Result<u64> {
        let (inner, core) = (&self.inner, &self.inner.core);
        let _turn = inner.turn(Deadline::begin(core)).await?;
        {
            let state = inner.state();
            state.check()?;
            if !state.may_be_stored() {
                return Ok(0);
            }
        }
        let Some(principal) = inner.look().await?.principal else {
            return Ok(0);
        };
        let except = Some(inner.id);
        let ended =
            core.store
                .end_principal(&core.ns, &principal, except, After::Queue, core.now());
        Ok(ended.await?)
    }
}
