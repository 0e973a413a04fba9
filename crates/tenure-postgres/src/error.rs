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
            let (kind, advice) = from_text(&refused).unwrap_or_else(|| from_code(&refused.code));
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

/// What fails at the first connection and will fail at every other: a mistake in the settings,
/// that no waiting mends. Later the same may pass, as an address moves.
pub(crate) fn at_the_start(error: Error) -> Error {
    let advice = match cause::<sqlx::Error>(&error) {
        Some(sqlx::Error::Io(io)) if io.to_string().contains("not known") => {
            "there is no host of this name: correct the URL"
        }
        Some(sqlx::Error::Protocol(_)) => {
            "what answers there is no PostgreSQL: correct host and port"
        }
        _ => return error,
    };
    Error::new(ErrorKind::Misconfigured, advice).with_source(error)
}

/// A record that cannot be read.
pub(crate) fn corrupt(what: &'static str) -> Error {
    Error::new(ErrorKind::Corrupt, what)
}

/// Whether the server did nothing, or took back all of it, and may be asked again: others got in
/// the way, it ended the connection where nothing was under way on it, or the schema is no
/// longer the one that the statement was prepared for.
pub(crate) fn had_no_effect(error: &Error) -> bool {
    let code = code(error);
    got_in_the_way(error) || code.is_some_and(|code| matches!(code, "57P05" | "25P03" | "0A000"))
}

/// A serialization failure or a deadlock.
fn got_in_the_way(error: &Error) -> bool {
    code(error).is_some_and(|code| matches!(code, "40001" | "40P01"))
}

/// Whether somebody kept a lock for longer than `lock_timeout`, so that nothing happened.
pub(crate) fn met_a_lock(error: &Error) -> bool {
    code(error) == Some("55P03")
}

const KEEPS_A_LOCK: &str = "somebody keeps a lock on the session or its table; nothing was written: \
     look into pg_locks for who it is";

/// What a call is told that waited behind others for a lock, and has no time left to try.
pub(crate) fn keeps_a_lock() -> Error {
    Error::unavailable(KEEPS_A_LOCK)
}

/// Whether the connection is as good as before: what failed is over, the server is the right
/// one, and what it has prepared is good.
pub(crate) fn left_it_in_order(error: &Error) -> bool {
    let is_stale = code(error) == Some("0A000");
    !error.is_unavailable() && !is_stale || got_in_the_way(error) || met_a_lock(error)
}

/// Whether it was the connection that failed, rather than what was sent on it.
pub(crate) fn is_broken(error: &Error) -> bool {
    match code(error) {
        Some(code) => code.starts_with("08") || code.starts_with("57P") || code == "25P03",
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

/// A pooler has few codes and many texts; and some texts of the server say more than its code.
fn from_text(refused: &Refused) -> Option<(ErrorKind, &'static str)> {
    let says = |text: &str| refused.message.contains(text);
    let advice = match &*refused.code {
        "08P01" if says("startup parameter") => {
            "the pooler refuses a setting that the URL's options bring along: name it in its \
             ignore_startup_parameters, or leave options out of the URL and use ALTER ROLE"
        }
        "08P01" if says("no such user") || says("no such database") || says("auth") => {
            "the pooler does not know this user, password or database"
        }
        _ if says("statement pooling mode") => {
            "the pooler is in its statement mode: set its pool_mode to transaction or session"
        }
        "28000" if says("pg_hba.conf") => {
            "the server's pg_hba.conf does not let this user in from here: look at user, database \
             and sslmode"
        }
        _ => return None,
    };
    Some((ErrorKind::Misconfigured, advice))
}

/// <https://www.postgresql.org/docs/current/errcodes-appendix.html>
fn from_code(code: &str) -> (ErrorKind, &'static str) {
    match code {
        "57P01" | "57P02" | "57P03" | "57P05" | "25P03" => (
            ErrorKind::Unavailable,
            "the server is stopping or starting, or ended the connection",
        ),
        "57014" => (
            ErrorKind::Unavailable,
            "the server gave up after its time-out: it is overloaded",
        ),
        "55P03" => (ErrorKind::Unavailable, KEEPS_A_LOCK),
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
            "the server's disk is full; nothing was written: free some space. Until then only what is \
             discarded or purged goes, as every other end takes room",
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
            "the role may not do this: grant it USAGE on the schema, SELECT, INSERT, UPDATE and \
             DELETE on the store's tables, EXECUTE on tenure_expires_at, and CREATE on the schema \
             where it is to migrate",
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
            ("55P03", ErrorKind::Unavailable),
            ("25P03", ErrorKind::Unavailable),
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
