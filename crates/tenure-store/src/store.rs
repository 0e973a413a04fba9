//! The contract.

use std::fmt;
use std::time::Duration;

use async_trait::async_trait;

use crate::{
    After, Change, Claimed, Counts, Created, Description, EndReason, Ended, Entry, Epoch, Filter,
    Hooks, Imported, Namespace, Outcome, Page, Principal, Purged, Record, Resolve, Result,
    SessionId, Ticket, Timestamp, Updated, Version,
};

/// Where sessions are kept.
///
/// # Contract
///
/// 1. **Live.** A session is live if it has not ended, its namespace was not reset
///    since it was created, and `now` is before [`Record::expires_at`]; exactly at it,
///    it is not. Every operation judges that by itself, whether or not a reaper came
///    by, and finding a session absent changes nothing.
/// 2. **Ended stays ended.** No operation makes a session live that was not: stores
///    never upsert. An id is taken from its creation until its tombstone is gone.
/// 3. **Atomicity.** An operation on one session is one atomic step. An operation on
///    many is atomic for each of them, complete when it returns, and safe to repeat
///    after a failure. The write decides: nothing is checked first and written later.
/// 4. **Durability.** What is acknowledged lasts as far as [`describe`](Self::describe)
///    says.
/// 5. **Opacity.** Payload, principal, id and version mean nothing to a store. It
///    compares ids, principals and versions byte for byte, keeps payloads bit for bit,
///    and makes none of them.
/// 6. **Time is an argument.** A store reads no clock to judge a session. `now` may
///    differ between callers and may step back: no time in a record ever does.
/// 7. **Isolation.** No operation on one namespace sees or changes another. The same
///    id in two namespaces is two sessions.
/// 8. **Looking changes nothing**: [`load`](Self::load), [`inspect`](Self::inspect),
///    [`list`](Self::list), [`count`](Self::count), [`namespaces`](Self::namespaces),
///    [`epoch`](Self::epoch) and [`describe`](Self::describe) leave every byte as it
///    is.
/// 9. **Cancellation.** A caller may drop a future at any point. The operation has
///    then happened or not, as a whole, and the store serves the next caller as if
///    nothing had been.
/// 10. **Unavailable.** An operation that fails with
///     [`ErrorKind::Unavailable`](crate::ErrorKind::Unavailable) may or may not have
///     happened, as a whole for each session. After any other error it has not.
/// 11. **One bad record harms only itself.** One caller's bad value, or one damaged
///     record, fails that caller's operation alone, even where operations of several
///     callers are carried out together.
/// 12. **Unknown namespaces.** [`create`](Self::create), [`epoch`](Self::epoch),
///     [`import`](Self::import), [`reset`](Self::reset), [`claim`](Self::claim) and
///     [`purge`](Self::purge) refuse a namespace that was never [opened](Self::open), as
///     [`NotOpened`](crate::ErrorKind::NotOpened), before anything is written; every
///     other operation finds nothing in it. A store whose data was lost knows no
///     namespace. Where a namespace lies in several places, losing one of them is
///     enough for what would write or look there; opening it again restores that one,
///     and leaves the others as they are.
/// 13. **Limits.** A `limit` of 0 is `Invalid`. A limit bounds the rows *looked at*
///     beyond those returned too, so that one call is short however large the backlog;
///     a store may also stop earlier, to bound the bytes it returns.
///
/// All methods are required and all are `dyn`-safe: services hold an
/// `Arc<dyn SessionStore>`. `tenure-conformance` is this contract as tests.
///
/// Each operation on one session costs one round trip; an update with a limit may cost
/// a few.
#[async_trait]
pub trait SessionStore: fmt::Debug + Send + Sync + 'static {
    /// Makes a namespace known, once, and says whether end hooks are expected for it.
    /// To be called again at every start of a service, and after a failure; only
    /// [`Hooks::Withdrawn`] takes an expectation back. It stays open until the store
    /// loses its data: then the operations of clause 12 say `NotOpened`.
    async fn open(&self, ns: &Namespace, hooks: Hooks) -> Result<()>;

    /// Stores a new session, if its id is free. It belongs to the namespace's present
    /// epoch. A record that has run out already is stored all the same, and is over.
    async fn create(&self, ns: &Namespace, record: &Record, now: Timestamp) -> Result<Created>;

    /// The record of a live session. A pure read.
    async fn load(&self, ns: &Namespace, id: SessionId, now: Timestamp) -> Result<Option<Record>>;

    /// Notes an access to a live session: [`Record::access`]. `false` if it is not
    /// live. The version stays: a touch conflicts with no update.
    async fn touch(&self, ns: &Namespace, id: SessionId, now: Timestamp) -> Result<bool>;

    /// Changes a live session whose version is the expected one:
    /// [`Change::apply_to`]. What makes it end sooner takes effect at once.
    ///
    /// If the change sets a principal [with a limit](Change::limited), then in the same
    /// step the principal's *other* sessions that are live at `now` are counted, this
    /// one left out whosever it was. If they are as many as the limit or more, either
    /// the update is refused, or the oldest of them end until one fewer than the limit
    /// is left. So when updates of one principal return that all had the same limit, it
    /// never has more live sessions than that, on any node. A principal comes with
    /// [`create`](Self::create) and [`import`](Self::import) uncounted.
    ///
    /// A store may end very many others in several steps before the step that makes the
    /// change, so that other calls are served in between. If another caller changes or
    /// ends this session between two steps, the answer is [`Updated::Changed`] or
    /// [`Updated::Gone`], and the others that were ended stay ended. The same holds after
    /// `Unavailable` where sessions lie on several servers.
    ///
    /// # Errors
    /// `Invalid`, among others, as [`Change::limited`] says.
    async fn update(
        &self,
        ns: &Namespace,
        id: SessionId,
        expected: Version,
        change: &Change,
        now: Timestamp,
    ) -> Result<Updated>;

    /// Ends a live session now. `None` if it is not live: what ran out is left to the
    /// reapers, which know its reason. With a `rotation`, the session ends only if that is
    /// the number of its [rotation](Record::rotation), and `None` is returned if it has
    /// another: a caller whose token was replaced does not end what came after. With [`After::Hold`] the caller gets the first
    /// claim; the others leave the [ticket](Ended::ticket) without power.
    async fn end(
        &self,
        ns: &Namespace,
        id: SessionId,
        rotation: Option<u32>,
        reason: EndReason,
        after: After,
        now: Timestamp,
    ) -> Result<Option<Ended>>;

    /// Ends all live sessions of a principal but one, for
    /// [`EndReason::PrincipalRevoked`]; says how many. [`After::Hold`] is `Invalid`
    /// here.
    async fn end_principal(
        &self,
        ns: &Namespace,
        principal: &Principal,
        except: Option<SessionId>,
        after: After,
        now: Timestamp,
    ) -> Result<u64>;

    /// Ends all sessions of the namespace, in a fixed number of writes. When it
    /// returns, no session whose creation had returned before the call is live, on any
    /// node. A creation that overlaps the call falls on one side or the other, for
    /// good.
    async fn reset(&self, ns: &Namespace, now: Timestamp) -> Result<()>;

    /// Turns what ran out or was reset into tombstones, and holds up to `limit`
    /// tombstones for the caller for the length of a lease (at most
    /// [`Tombstone::LONGEST_WAIT`](crate::Tombstone::LONGEST_WAIT)), in the order in which
    /// the store expects them to be due. What waits, or is held, beyond the
    /// [horizon](crate::Tombstone::horizon) is due as well: a clock that was ahead wrote
    /// it.
    /// Each gets the reason and instant of the [earliest cause](Record::end_by).
    /// It may look at `limit` sessions and return none, if they were used meanwhile:
    /// [`Claimed::more`] says to go on.
    async fn claim(
        &self,
        ns: &Namespace,
        lease: Duration,
        limit: u32,
        now: Timestamp,
    ) -> Result<Claimed>;

    /// Lets the leases of these tickets run from `now`, where nobody else has claimed
    /// since, even if they end sooner by that; says how many. Name each ticket once.
    async fn renew(
        &self,
        ns: &Namespace,
        tickets: &[Ticket],
        lease: Duration,
        now: Timestamp,
    ) -> Result<u64>;

    /// Says how attempts came out, where the ticket is still good, and uses it up; says
    /// how many were. Of several outcomes for one ticket the first counts.
    async fn settle(
        &self,
        ns: &Namespace,
        outcomes: &[(Ticket, Outcome)],
        now: Timestamp,
    ) -> Result<u64>;

    /// Removes what ran out or was reset, and tombstones whose lease does not run,
    /// without any hook. Dead letters stay.
    ///
    /// # Errors
    /// `Misconfigured` while hooks are [expected](Hooks::Expected).
    async fn purge(&self, ns: &Namespace, limit: u32, now: Timestamp) -> Result<Purged>;

    /// A session as it lies in the store, whatever became of it. A pure read.
    async fn inspect(&self, ns: &Namespace, id: SessionId, now: Timestamp)
    -> Result<Option<Entry>>;

    /// A page of sessions in the order of (created, id). A session that exists
    /// throughout a scan, and matches throughout, is on exactly one of its pages.
    async fn list(&self, ns: &Namespace, filter: &Filter, now: Timestamp) -> Result<Page>;

    /// How many sessions there are, by status. May look at every session.
    async fn count(&self, ns: &Namespace, now: Timestamp) -> Result<Counts>;

    /// All namespaces that were ever opened, in order.
    async fn namespaces(&self) -> Result<Vec<Namespace>>;

    /// An operator's decision on a tombstone whose lease does not run, or a dead
    /// letter. `false` if there is none.
    async fn resolve(
        &self,
        ns: &Namespace,
        id: SessionId,
        what: Resolve,
        now: Timestamp,
    ) -> Result<bool>;

    /// The epoch that a session of this id would be born into now; another one after
    /// every [`reset`](Self::reset). A pure read.
    async fn epoch(&self, ns: &Namespace, id: SessionId) -> Result<Epoch>;

    /// Stores an entry as it was in another store, times, version and counters
    /// included, if its id is free. What was over becomes a tombstone that waits for
    /// the reapers with the reason and instant it had. More than 2^53 accesses, or a
    /// tombstone's counter beyond 2^31 − 1, is `Invalid`.
    ///
    /// An entry that is [live](crate::State::Live) is stored only if `epoch` is still
    /// the present one for its id. Read the [`epoch`](Self::epoch) first, then the
    /// entry where it is, then import: so no reset that came in between, and was
    /// carried out in both places, is undone by a copy from before it. What is over or
    /// ended cannot come back, and is stored whatever the epoch.
    async fn import(
        &self,
        ns: &Namespace,
        entry: &Entry,
        epoch: Epoch,
        now: Timestamp,
    ) -> Result<Imported>;

    /// What the store is, what its writes survive, and which schema it has, read from
    /// its real settings.
    async fn describe(&self, now: Timestamp) -> Result<Description>;

    /// Finishes what was accepted, then stops. Every later call is `Unavailable`;
    /// closing again is fine.
    async fn close(&self) -> Result<()>;
}
