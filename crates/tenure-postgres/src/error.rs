//! The one place where PostgreSQL's errors get the contract's kinds.

use std::error::Error as StdError;
use std::fmt;

use sqlx::postgres::PgDatabaseError;
use tenure_store::{Error, ErrorKind};

/// What a driver's error means to the caller.
pub(crate) fn from_driver(error: sqlx::Error) -> Error {
    let (kind, advice) = match &error {
        sqlx::Error::Database(database) => {
            let refused = Refused::new(database.try_downcast_ref::<PgDatabaseError>());
            let (kind, advice) = from_code(&refused.code);
            return Error::new(kind, advice).with_source(refused);
        }
        // So the driver says that it does not trust the server's certificate.
        sqlx::Error::Io(io) if io.kind() == std::io::ErrorKind::InvalidData => (
            ErrorKind::Misconfigured,
            "the server's certificate is not trusted: look at sslmode and sslrootcert",
        ),
        sqlx::Error::Io(_) | sqlx::Error::Protocol(_) | sqlx::Error::WorkerCrashed => (
            ErrorKind::Unavailable,
            "the connection to the server broke, or there was none",
        ),
        sqlx::Error::PoolTimedOut => (
            ErrorKind::Unavailable,
            "the pool had no connection to spare: make it larger, or find who keeps them",
        ),
        sqlx::Error::PoolClosed => (ErrorKind::Unavailable, "the pool is closed"),
        sqlx::Error::Tls(_) => (
            ErrorKind::Misconfigured,
            "no encrypted connection could be made: look at sslmode and the certificates, and turn \
             on the feature \"tls\"",
        ),
        sqlx::Error::Configuration(_) => (
            ErrorKind::Misconfigured,
            "the server cannot be reached with these settings",
        ),
        sqlx::Error::ColumnDecode { .. }
        | sqlx::Error::Decode(_)
        | sqlx::Error::ColumnNotFound(_)
        | sqlx::Error::RowNotFound => (
            ErrorKind::Corrupt,
            "the database holds something that Tenure never wrote",
        ),
        _ => (ErrorKind::Other, "the PostgreSQL driver failed"),
    };
    Error::new(kind, advice).with_source(error)
}

/// A record that cannot be read.
pub(crate) fn corrupt(what: &'static str) -> Error {
    Error::new(ErrorKind::Corrupt, what)
}

/// Whether the server took back all of it, because others got in the way: a serialization
/// failure or a deadlock.
pub(crate) fn had_no_effect(error: &Error) -> bool {
    code(error).is_some_and(|code| matches!(code, "40001" | "40P01"))
}

/// Whether it was the connection that failed, rather than what was sent on it.
pub(crate) fn is_broken(error: &Error) -> bool {
    match code(error) {
        Some(code) => code.starts_with("08") || code.starts_with("57P"),
        None => cause::<sqlx::Error>(error)
            .is_some_and(|error| matches!(error, sqlx::Error::Io(_) | sqlx::Error::Protocol(_))),
    }
}

/// The server's code for it, if it was the server that refused.
pub(crate) fn code(error: &Error) -> Option<&str> {
    cause::<Refused>(error).map(|refused| &*refused.code)
}

fn cause<T: StdError + 'static>(error: &Error) -> Option<&T> {
    error.source().and_then(|source| source.downcast_ref())
}

/// <https://www.postgresql.org/docs/current/errcodes-appendix.html>
fn from_code(code: &str) -> (ErrorKind, &'static str) {
    match code {
        "57P01" | "57P02" | "57P03" | "57P05" => (
            ErrorKind::Unavailable,
            "the server is stopping or starting, or ended the connection",
        ),
        "57014" | "55P03" => (
            ErrorKind::Unavailable,
            "the server gave up after its time-out: it is overloaded, or somebody keeps a lock",
        ),
        "40001" | "40P01" => (
            ErrorKind::Unavailable,
            "others got in the way again and again",
        ),
        "25006" => (
            ErrorKind::Unavailable,
            "the server is read-only, as after a fail-over: try again, and if it stays so, give \
             the URL of the primary",
        ),
        "53300" => (
            ErrorKind::Unavailable,
            "the server takes no more connections: raise its max_connections, or let services \
             keep fewer",
        ),
        "53100" => (
            ErrorKind::Other,
            "the server's disk is full; nothing was written: free some space",
        ),
        "54000" => (
            ErrorKind::TooLarge,
            "PostgreSQL takes no value of this size",
        ),
        "42P01" | "42703" | "42883" => (
            ErrorKind::SchemaMismatch,
            "a table of the store is missing or another than this version's: connect once with a \
             URL to migrate, and look at search_path",
        ),
        "26000" | "42P05" => (
            ErrorKind::Misconfigured,
            "a pooler changes connections between transactions: set Pooling::Transaction",
        ),
        "42501" => (
            ErrorKind::Misconfigured,
            "the role may not do this: grant it SELECT, INSERT, UPDATE and DELETE on the store's \
             tables, and CREATE on the schema where it is to migrate",
        ),
        "3D000" => (ErrorKind::Misconfigured, "there is no such database"),
        "3F000" => (
            ErrorKind::Misconfigured,
            "search_path names no schema that exists: create it, or correct search_path",
        ),
        _ => from_class(code.get(..2).unwrap_or_default()),
    }
}

fn from_class(class: &str) -> (ErrorKind, &'static str) {
    match class {
        "08" => (ErrorKind::Unavailable, "the connection broke"),
        "53" | "58" => (
            ErrorKind::Unavailable,
            "the server is out of memory or has trouble with its disk",
        ),
        "22" | "23" => (
            ErrorKind::Invalid,
            "PostgreSQL refused a value; nothing was written",
        ),
        "28" => (
            ErrorKind::Misconfigured,
            "the server refused user or password",
        ),
        "XX" => (
            ErrorKind::Corrupt,
            "a part of the database is damaged: look into the server's log",
        ),
        _ => (ErrorKind::Other, "PostgreSQL refused the statement"),
    }
}

/// What the server said, but for its details: these repeat values of the row.
#[derive(Debug)]
struct Refused {
    code: Box<str>,
    message: Box<str>,
}

impl Refused {
    fn new(error: Option<&PgDatabaseError>) -> Self {
        let code = error.map_or("", PgDatabaseError::code);
        let message = match error {
            // Messages on data, too, repeat it.
            Some(error) if !code.starts_with("22") => error.message(),
            _ => "",
        };
        Self {
            code: code.into(),
            message: message.into(),
        }
    }
}

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} (SQLSTATE {})", self.message, self.code)
    }
}

impl StdError for Refused {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_code_says_what_to_do() {
        for (code, kind) in [
            ("08006", ErrorKind::Unavailable),
            ("57P01", ErrorKind::Unavailable),
            ("57014", ErrorKind::Unavailable),
            ("25006", ErrorKind::Unavailable),
            ("53300", ErrorKind::Unavailable),
            ("53200", ErrorKind::Unavailable),
            ("40P01", ErrorKind::Unavailable),
            ("53100", ErrorKind::Other),
            ("54000", ErrorKind::TooLarge),
            ("23514", ErrorKind::Invalid),
            ("22021", ErrorKind::Invalid),
            ("28P01", ErrorKind::Misconfigured),
            ("3D000", ErrorKind::Misconfigured),
            ("42501", ErrorKind::Misconfigured),
            ("26000", ErrorKind::Misconfigured),
            ("42P01", ErrorKind::SchemaMismatch),
            ("XX001", ErrorKind::Corrupt),
            ("", ErrorKind::Other),
        ] {
            assert_eq!(from_code(code).0, kind, "{code}");
        }
    }
}
