//! What can go wrong in a store, sorted by what the caller should do about it.

use std::error::Error as StdError;
use std::fmt;

use crate::Namespace;

/// The result of a store's operation.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// What the caller should do about an [`Error`].
///
/// Expected outcomes (exists already, changed meanwhile, gone) are values of the
/// operations, never errors.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ErrorKind {
    /// The store did not answer in time, or could not be reached. A write *may or
    /// may not have happened*. The only kind worth a retry: load, look, and go on.
    Unavailable,
    /// The payload is larger than the store takes ([`Description::payload_limit`]).
    /// Nothing was written. Store less.
    ///
    /// [`Description::payload_limit`]: crate::Description::payload_limit
    TooLarge,
    /// What is stored cannot be read. It concerns this session, or this file, only;
    /// inspect it, end it, or restore a backup.
    Corrupt,
    /// The caller passed a value outside its documented range. Nothing was written.
    /// Correct the call.
    Invalid,
    /// The store is set up wrongly for what was asked of it. The message says which
    /// setting to change.
    Misconfigured,
    /// The namespace was never [opened](crate::SessionStore::open) in this store, or the
    /// store has lost its data, or a part of it, since. Nothing was written. Open the
    /// namespace, once, and repeat the call.
    NotOpened,
    /// The schema of the stored data is not the one this code knows. Nothing was
    /// written. Migrate, or run the newer code.
    SchemaMismatch,
    /// None of the above; the source says more.
    Other,
}

impl ErrorKind {
    fn as_str(self) -> &'static str {
        match self {
            ErrorKind::Unavailable => "store unavailable",
            ErrorKind::TooLarge => "payload too large",
            ErrorKind::Corrupt => "stored data is corrupt",
            ErrorKind::Invalid => "invalid argument",
            ErrorKind::Misconfigured => "store misconfigured",
            ErrorKind::NotOpened => "namespace not opened",
            ErrorKind::SchemaMismatch => "schema mismatch",
            ErrorKind::Other => "store error",
        }
    }
}

/// Why a store's operation failed: a coarse [kind](ErrorKind), a sentence, and the
/// driver's own error as [source](StdError::source).
///
/// Neither the sentence nor its `Debug` form ever holds a token, key, payload or
/// principal.
///
/// ```
/// use tenure_store::{Error, ErrorKind};
///
/// let error = Error::new(ErrorKind::Unavailable, "no answer within 2000 ms");
/// assert!(error.is_unavailable());
/// assert_eq!(error.to_string(), "store unavailable: no answer within 2000 ms");
/// ```
pub struct Error {
    kind: ErrorKind,
    message: Box<str>,
    source: Option<Box<dyn StdError + Send + Sync>>,
}

impl Error {
    /// An error of a kind, with a sentence that says what to do about it.
    pub fn new(kind: ErrorKind, message: impl Into<String>) -> Self {
        Self {
            kind,
            message: message.into().into_boxed_str(),
            source: None,
        }
    }

    /// The same error with what caused it underneath.
    #[must_use]
    pub fn with_source(self, source: impl Into<Box<dyn StdError + Send + Sync>>) -> Self {
        Self {
            source: Some(source.into()),
            ..self
        }
    }

    /// An [`ErrorKind::Invalid`].
    pub fn invalid(message: impl Into<String>) -> Self {
        Self::new(ErrorKind::Invalid, message)
    }

    /// An [`ErrorKind::Unavailable`].
    pub fn unavailable(message: impl Into<String>) -> Self {
        Self::new(ErrorKind::Unavailable, message)
    }

    /// An [`ErrorKind::NotOpened`]: the one sentence of all stores.
    pub fn not_opened(ns: &Namespace) -> Self {
        let message = format!(
            "{ns} was never opened in this store, or the store has lost its data since: open it, \
             and repeat the call"
        );
        Self::new(ErrorKind::NotOpened, message)
    }

    /// What to do about it.
    pub fn kind(&self) -> ErrorKind {
        self.kind
    }

    /// Whether a retry may help, and whether a write may have happened all the same.
    pub fn is_unavailable(&self) -> bool {
        self.kind == ErrorKind::Unavailable
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.kind.as_str(), self.message)
    }
}

impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Error")
            .field("kind", &self.kind)
            .field("message", &self.message)
            .field("source", &self.source)
            .finish()
    }
}

impl StdError for Error {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        self.source
            .as_ref()
            .map(|source| source.as_ref() as &(dyn StdError + 'static))
    }
}
