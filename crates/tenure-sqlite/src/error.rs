//! The one place where SQLite's errors get the contract's kinds.

use std::error::Error as _;

use tenure_store::{Error, ErrorKind};

/// Primary result codes, <https://www.sqlite.org/rescode.html>.
mod code {
    pub(super) const ERROR: i32 = 1;
    pub(super) const PERM: i32 = 3;
    pub(super) const BUSY: i32 = 5;
    pub(super) const LOCKED: i32 = 6;
    pub(super) const NOMEM: i32 = 7;
    pub(super) const READONLY: i32 = 8;
    pub(super) const INTERRUPT: i32 = 9;
    pub(super) const IOERR: i32 = 10;
    pub(super) const CORRUPT: i32 = 11;
    pub(super) const FULL: i32 = 13;
    pub(super) const CANTOPEN: i32 = 14;
    pub(super) const PROTOCOL: i32 = 15;
    pub(super) const TOOBIG: i32 = 18;
    pub(super) const AUTH: i32 = 23;
    pub(super) const NOTADB: i32 = 26;
}

/// What a driver's error means to the caller. Neither it nor SQLite's own text holds a
/// value that was bound.
pub(crate) fn from_driver(error: rusqlite::Error) -> Error {
    let (kind, advice) = match (primary_code(&error), &error) {
        (Some(code), _) => from_code(code),
        (
            None,
            rusqlite::Error::FromSqlConversionFailure(..)
            | rusqlite::Error::IntegralValueOutOfRange(..)
            | rusqlite::Error::InvalidColumnIndex(_)
            | rusqlite::Error::InvalidColumnType(..)
            | rusqlite::Error::QueryReturnedNoRows
            | rusqlite::Error::Utf8Error(..),
        ) => (
            ErrorKind::Corrupt,
            "the database holds something that Tenure never wrote",
        ),
        (None, rusqlite::Error::NulError(_) | rusqlite::Error::InvalidPath(_)) => (
            ErrorKind::Misconfigured,
            "SQLite cannot use this path: it has to be UTF-8 without NUL",
        ),
        (None, _) => (ErrorKind::Other, "the SQLite driver failed"),
    };
    Error::new(kind, advice).with_source(error)
}

/// A record that cannot be read.
pub(crate) fn corrupt(what: &'static str) -> Error {
    Error::new(ErrorKind::Corrupt, what)
}

/// Whether somebody else's lock was in the way.
pub(crate) fn is_busy(error: &rusqlite::Error) -> bool {
    primary_code(error) == Some(code::BUSY)
}

/// The same, of an error that has its kind already.
pub(crate) fn was_busy(error: &Error) -> bool {
    error
        .source()
        .and_then(|source| source.downcast_ref())
        .is_some_and(is_busy)
}

/// Whether SQLite understood the statement, but not against this schema.
pub(crate) fn is_refused_statement(error: &rusqlite::Error) -> bool {
    primary_code(error) == Some(code::ERROR)
}

fn from_code(code: i32) -> (ErrorKind, &'static str) {
    match code {
        code::BUSY | code::LOCKED | code::PROTOCOL => (
            ErrorKind::Unavailable,
            "another process held the database's lock for too long",
        ),
        code::IOERR => (ErrorKind::Unavailable, "the disk failed"),
        code::NOMEM | code::INTERRUPT => (ErrorKind::Unavailable, "SQLite had to give up"),
        code::FULL => (
            ErrorKind::Other,
            "the disk is full, or the database is as large as max_page_count allows; nothing was \
             written: free some space",
        ),
        code::CORRUPT => (
            ErrorKind::Corrupt,
            "a part of the database is damaged: restore a backup, or recover what is left with \
             sqlite3's .recover",
        ),
        code::NOTADB => (
            ErrorKind::Corrupt,
            "this file is not a SQLite database: correct the path, or restore a backup",
        ),
        code::READONLY | code::CANTOPEN | code::PERM | code::AUTH => (
            ErrorKind::Misconfigured,
            "the database cannot be opened for writing: let the service write the file and its \
             folder",
        ),
        code::TOOBIG => (ErrorKind::TooLarge, "SQLite takes no value of this size"),
        _ => (ErrorKind::Other, "SQLite refused the statement"),
    }
}

/// SQLite's code, without what only details it; `None` if the driver itself failed.
fn primary_code(error: &rusqlite::Error) -> Option<i32> {
    let code = match error {
        rusqlite::Error::SqliteFailure(error, _) | rusqlite::Error::SqlInputError { error, .. } => {
            error.extended_code
        }
        _ => return None,
    };
    Some(code & 0xff)
}
