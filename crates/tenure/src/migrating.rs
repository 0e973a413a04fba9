//! One store made of two: everything that is used, ended or asked for moves from the old
//! one to the new one, and nobody notices.
//!
//! # The one rule
//!
//! *The old store is only ever emptied.* Whatever changes a session first brings it to
//! the new store and then does it there; what is created is created there. So hooks,
//! tickets, limits and compare-and-set are the new store's business alone, and each
//! operation is still one atomic step in one store.
//!
//! # One session's way
//!
//! ```text
//!        old                                new
//!  1.    live                               (nothing)      epoch read
//!  2.    ended for Moved, held by us        (nothing)      the mark
//!  3.    the mark                           live           imported under that epoch
//!  4.    (nothing)                          live           the mark removed
//! ```
//!
//! - **The old store decides.** Step 2 is its own `end`: a session ends for one reason, so
//!   an end, a time-out or a reset that was quicker wins, and nothing is carried.
//! - **A crash at any step loses nothing.** The mark is the whole record. While it lies
//!   there and the new store knows nothing of the id, the session *is* live: it is shown
//!   from the mark. When the mark's lease has run out, whoever claims it, be it a reaper, a
//!   copy or the next request, goes on with step 3. A request puts it before everything
//!   else that is due first, so that it waits for no backlog.
//! - **One at a time.** Only who holds the mark may import. If two could, then the slower
//!   one could import a session that was ended in the new store and forgotten there
//!   meanwhile. So a request that finds the mark of another node waits for it a little, and
//!   is `Unavailable` then: at worst for the length of a lease after a node died between
//!   two steps. Reading is possible throughout. A carrier that was asleep for half a lease
//!   imports nothing.
//! - **Nothing comes back.** If the new store has the id, in whatever state, then what the
//!   old one has of it is a leftover of step 3. Before the new store may forget an id
//!   (a hook succeeded, an end that keeps no tombstone, a purge), the leftover is removed.
//! - **A reset** resets the old store, finishes the moves that are under way, whoever is at
//!   them, and resets the new one. After the first step no mark appears that was not there.
//!   The second looks again until there is none: a mark that another node has claimed since
//!   the last look is on its way all the same. So what was imported by then dies by the
//!   third, and what was read under an epoch before it cannot be imported any more. An epoch
//!   counts as read before only if the mark was seen *after* it was read.
//! - **What is over or ended** moves when it falls due: a claim in the new store first
//!   claims in the old one, under numbers that nobody else gets to see, and imports the
//!   tombstones as they were. What the new store refuses is given back, and the claim does
//!   not count: no hook was tried.
//!
//! # What it costs
//!
//! A session that is in the new store is read, touched and changed in one call, as ever.
//! One that is not costs its five calls once. Creating and ending look into the old store
//! as well, and so does reading what neither has.

mod carry;
mod copy;
mod look;
mod many;
mod pair;
mod store;

pub use copy::{CopyOptions, CopyReport, Verification, copy, verify};
pub use store::MigratingStore;
