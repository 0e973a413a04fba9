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
    /// before. Any access takes the leave back, and [`remain`](Self::remain); a passive
    /// request does not; once the grace time is over nothing does.
    ///
    /// A commit that leaves is passive, whatever else it stores, and settles an access that
    /// is owed without writing it: by going away nobody stays.
    pub fn leave(&self, grace: Duration) {
        let leaves_at = self.inner.core.now().plus(grace);
        self.state().delta.leaves_at = Field::Set(leaves_at);
    }

    /// Takes back a [leave](Self::leave), and does nothing else: on a session that was
    /// [resumed passively](crate::Sessions::resume_passive) it is no access. It writes
    /// nothing unless the session was leaving when this request loaded it.
    pub fn remain(&self) {
        let mut state = self.state();
        state.delta.leaves_at = match state.record.leaves_at {
            Some(_) => Field::Clear,
            None => Field::Keep,
        };
    }
}
