//! The faults: what each broken store does wrong, the case that must catch it, and
//! whether the state machine does.

/// Whether a bounded run of the state machine tells the store from a good one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Machine {
    /// It does.
    Sees,
    /// It cannot, or hardly ever: what is wrong is something that the contract leaves open
    /// for a handful of sessions, or a method that sequences do not call.
    Blind,
}

/// One line of the table.
pub(crate) struct Line {
    pub(crate) fault: Fault,
    pub(crate) what: &'static str,
    /// The case that must fail.
    pub(crate) case: &'static str,
    pub(crate) machine: Machine,
}

/// Makes the table and the names of the faults.
macro_rules! faults {
    ($($fault:ident $case:ident $machine:ident $what:literal,)*) => {
        /// What a store does wrong; [`TABLE`] says it in words.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub(crate) enum Fault {
            /// Nothing: the wrapper alone.
            None,
            $(#[doc = $what] $fault,)*
        }

        pub(crate) const TABLE: &[Line] = &[$(Line {
            fault: Fault::$fault,
            what: $what,
            case: stringify!($case),
            machine: Machine::$machine,
        },)*];
    };
}

faults! {
    // Creating, loading, touching, changing.
    UpsertsOnCreate         A4a   Sees  "a creation replaces what has the id",
    CreatesUnopened         B12q  Sees  "a creation opens an unknown namespace",
    DropsLastByte           A2b   Sees  "the last byte of a payload is lost",
    HonoursAtTheEnd         C15   Sees  "a session still loads at the instant at which it runs out",
    LoadsTheEnded           A5a   Sees  "an ended session still loads",
    DeletesOnExpiredLoad    C16a  Sees  "a load that finds a session run out deletes it",
    LoadIsAnAccess          D26c  Sees  "a load counts as an access",
    TouchMovesBack          D28b  Sees  "a late touch moves the last access back",
    TouchRevives            E31g  Sees  "a touch revives what ran out",
    TouchKeepsLeave         D30b  Sees  "a touch does not take a leave back",
    TouchCountsNothing      D26a  Sees  "a touch is not counted",
    TouchMakesVersion       A1f   Sees  "a touch changes the version",
    MixesAnswers            E33d  Blind "loads at once are answered with each other's sessions",
    MixesNamespaces         E33e  Blind "loads at once are answered from each other's namespaces",
    UpsertsOnUpdate         E31a  Sees  "a late update revives the ended",
    IgnoresVersion          A1d   Sees  "an update overwrites another's",
    LengtheningRevives      C18c  Sees  "a longer time-out revives what ran out",
    PassiveCounts           D29a  Sees  "a passive update counts as an access",
    ChangedForGone          E31a  Sees  "an update of the ended says Changed",

    // Logging in.
    IgnoresTheLimit         J58a  Sees  "a log-in takes no notice of its limit",
    EndsTheNewest           J58a  Blind "the newest of a principal's sessions makes room",
    DisplacesWithoutHook    J58a  Sees  "what makes room leaves no tombstone",
    WritesWhenFull          J58b  Sees  "a log-in that is refused is done all the same",
    CountsItself            J58c  Sees  "a session that is theirs already is in its own way",
    CountsWhatIsOver        J58d  Sees  "sessions that are over count",
    EndsBeforeItLooks       J58f  Sees  "room is made for an update that is then refused",
    CountsThenWrites        J58l  Blind "the sessions are counted first, and the update done later",

    // Ending.
    EndsTwice               A5d   Sees  "what ran out can be ended once more",
    EndIgnoresRotation      F39c  Blind "an end for a token that was replaced ends the session",
    EndForgetsPayload       L68   Sees  "a tombstone has no payload",
    HoldIsForgotten         A5e   Sees  "a held end is anybody's at once",
    DiscardKeeps            A5f   Sees  "a discarded end leaves a tombstone",
    StalePrincipal          J55d  Sees  "by principal, those who started as that one are ended",
    FoldsPrincipals         J55c  Sees  "principals are compared without case",
    IgnoresExcept           J55b  Sees  "by principal, the excepted session is ended too",
    ForgetsTheEpoch         J52a  Sees  "a reset leaves old sessions live",
    ResetWipes              J52b  Sees  "a reset deletes, without tombstones",
    ResetReachesVisitors    J57   Sees  "a reset of sessions resets visitors",
    ResetMatchesPrefix      B13   Sees  "a reset reaches applications whose names begin alike",
    ResetTakesAllBlame      J52b  Sees  "a reset is the reason of what had run out before",

    // Reaping.
    NewestFirst             K60b  Blind "a claim takes the newest first",
    ClaimsTheUsed           K59a  Sees  "a claim ends a session that was used meanwhile",
    ForgetsAttempts         K61b  Sees  "every attempt is the first",
    EndsWhenReaped          C25   Sees  "a session ended when the reaper came",
    ClaimsTheHeld           K61b  Sees  "a claim ignores leases",
    LeaseNeverLapses        K61b  Sees  "a lease never runs out",
    BelievesAnyClock        C23a  Blind "a claim waits for what a clock ahead put off",
    NeverMore               K60a  Sees  "a claim says that there is no more",
    IgnoresTheTicket        K62b  Sees  "a stale ticket settles",
    RenewsForNothing           K62f  Sees  "a renewed lease is over at once",
    RetriesAtOnce           K64a  Sees  "a retry does not wait for its time",
    ReleaseFails            K64b  Sees  "a release counts as a failure",
    LastOutcomeCounts       K62d  Sees  "of two outcomes for one ticket the last counts",
    DropsDeadLetters        K64c  Sees  "a dead letter is deleted",
    PurgesDespiteHooks      K67f  Sees  "a purge runs while hooks are expected",
    UnstatedWithdraws       K67f  Sees  "opening without hooks takes the expectation back",
    ClaimsUnopened          B12q  Sees  "a claim in an unknown namespace finds nothing",
    PurgesUnopened          B12q  Sees  "a purge in an unknown namespace finds nothing",
    ClaimHidesTheWord       K67h  Sees  "a claim says that hooks are expected whatever was said",
    PurgesDeadLetters       K67a  Sees  "a purge removes dead letters",
    PurgesTheHeld           K67a  Sees  "a purge removes what is held",
    RequeueKeepsFailures    K64d  Sees  "a requeued tombstone keeps its failures",
    ResolvesTheHeld         K64g  Sees  "an operator discards what is held",

    // Looking.
    InspectIsAnAccess       D26c  Sees  "an inspection counts as an access",
    SkipsTwins              I50a  Sees  "a page skips what was created with the last one before it",
    ForgetsTheLastPage      I50a  Sees  "a scan ends before its last page",
    CountsHeldAsWaiting     I51b  Sees  "what is held is counted as waiting",
    ForgetsVisitors         A9a   Sees  "the namespaces of visitors are not named",

    // Importing, isolation, closing.
    ImportOverwrites        O79e  Sees  "an import replaces what has the id",
    ImportResetsTimes       O79a  Sees  "an imported session starts anew",
    ImportRevives           O79c  Sees  "what was over is imported as live",
    ImportsAcrossResets     O79j  Sees  "what was live is imported whatever was reset meanwhile",
    ImportDistrustsTheEnded O79j  Sees  "what has ended is refused after a reset",
    SharesKinds             B11   Sees  "sessions and visitors share their ids",
    SharesApplications      B11   Sees  "applications share their ids",
    FoldsApplications       B13   Sees  "applications are compared without case",
    CloseDoesNothing        A9e   Blind "a closed store goes on",
}
