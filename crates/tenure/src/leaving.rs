//! Sessions whose browser goes away: they end soon, unless somebody comes back.

use std::time::Duration;

use tenure_store::Field;

use crate::Session;

impl Session {
    /// A good grace time for [`leave`](Self::leave): 10 s. A page that is left for another
    /// of the same site has long been followed by the next request; a browser that is
    /// closed is not waited for much longer.
    pub const LEAVE_GRACE: Duration = Duration::from_secs(10);

    /// Notes that the browser has gone away: from the commit on, the session ends so long
    /// after this call, for [`EndReason::Left`](crate::EndReason::Left), unless it is used
    /// before. A request that resumes the session after the leave takes it back when it
    /// commits, or is dropped, and so does any commit that writes an access, and
    /// [`remain`](Self::remain). A request that had loaded the session before and only
    /// reads does not, nor does a passive one. Once the grace time is over nothing does.
    ///
    /// A commit that leaves is passive, whatever else it stores, and settles an access that
    /// is owed without writing it: by going away nobody stays.
    pub fn leave(&self, grace: Duration) {
        let leaves_at = self.inner.core.now().plus(grace);
        self.state().delta.leaves_at = Field::Set(leaves_at);
    }

    /// Takes back a [leave](Self::leave), and does nothing else: on a session that was
    /// [resumed passively](crate::Sessions::resume_passive) it is no access. It writes
    /// nothing if the session was not leaving when this request loaded it, and no leave of
    /// this handle may have been stored since.
    pub fn remain(&self) {
        let mut state = self.state();
        state.delta.leaves_at = if state.is_staying() {
            Field::Keep
        } else {
            Field::Clear
        };
    }
}
