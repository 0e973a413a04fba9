//! What can go wrong, sorted by what the caller should do about it.

/// The result of a library call.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Any error, boxed: what user code may fail with.
pub type BoxError = Box<dyn std::error::Error + Send + Sync>;

/// Why a call failed. No variant ever prints a token, key, payload or principal.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The store failed; its [kind](tenure_store::ErrorKind) says what to do. After
    /// `Unavailable` a write may or may not have happened: resume the session and look.
    #[error(transparent)]
    Store(#[from] tenure_store::Error),
    /// The session has ended, and nothing was written. Treat the request as one
    /// without a session.
    #[error("the session has ended")]
    Gone,
    /// Somebody logged in, or rotated the token, since this request's session was
    /// resumed: its changes belong to the time before and were refused. Treat the
    /// request as expired.
    #[error("the session's token was replaced meanwhile; these changes belong to the time before")]
    Superseded,
    /// The principal that logs in has as many sessions as it
    /// [may have](crate::SessionsBuilder::sessions_per_principal). Nothing was written,
    /// and the handle keeps its changes, the log-in among them: commit again when one of
    /// the others has ended, or let go of the handle and resume the session as it was.
    #[error("the principal has as many sessions as it may have; end one of them first")]
    TooManySessions,
    /// The session has had all the tokens there are, 16,777,216. Nothing was written: end
    /// it, and start another. A client that rotates that often is not a person.
    #[error("the session has used up its tokens; end it and start another")]
    RotationsExhausted,
    /// Other writers won every one of the bounded number of attempts. Nothing was
    /// written; try the request again.
    #[error("too many others changed the session at the same time")]
    Contended,
    /// The session's stored payload cannot be read: its key is not in the ring, it was
    /// damaged or moved, or a newer version wrote it. The session can still be ended.
    #[error("the session's stored attributes cannot be read: {0}")]
    Unreadable(&'static str),
    /// An attribute is over a limit; the value that was there before is kept.
    #[error(
        "{what} is {actual}, the limit is {limit}: store less, or raise the limit when building Sessions"
    )]
    Limit {
        /// What is over its limit, with its unit.
        what: &'static str,
        /// How much it is.
        actual: usize,
        /// How much is allowed.
        limit: usize,
    },
    /// An attribute's value could not be encoded, or its stored form is not of the type
    /// it was read as.
    #[error("attribute {name:?} is not of the type it is used as")]
    Attribute {
        /// The attribute's name.
        name: String,
        /// What is wrong with it; never the value.
        #[source]
        source: BoxError,
    },
    /// A key is missing, weak or ambiguous; the text says what to do.
    #[error("key ring: {0}")]
    Key(&'static str),
    /// A line of a key ring's text cannot be used. Nothing of it is shown, as it may be
    /// the secret that stands in the wrong place.
    #[error("key ring, line {line}: {why}")]
    KeyLine {
        /// Which line, the first being 1.
        line: usize,
        /// What is wrong with it, and what to do.
        why: &'static str,
    },
    /// A setting is outside its range; the text says which.
    #[error("policy: {0}")]
    Policy(&'static str),
    /// The operating system gave no random bytes. Nothing weaker is used instead.
    #[error("no random bytes")]
    Randomness(#[source] BoxError),
    /// The start hook failed, so the session was not started.
    #[error("the start hook failed")]
    StartHook(#[source] BoxError),
}
