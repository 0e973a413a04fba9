//! The one place where Redis' errors get the contract's kinds, and where it is decided which
//! of them mean that nothing was done.

use deadpool_redis::redis::{ErrorKind as DriverKind, RedisError};
use tenure_store::{Error, ErrorKind};

/// The code of this crate's own word on a server that it does not work with, which says why.
pub(crate) const UNFIT: &str = "UNFIT";

/// What to do about a driver's error. Neither it nor Redis' own text holds a value that was
/// sent.
pub(crate) fn from_driver(error: RedisError) -> Error {
    let (kind, advice) = match (error.code(), error.kind()) {
        (Some(UNFIT), _) => {
            let why = error.detail().unwrap_or_default();
            return Error::new(ErrorKind::Misconfigured, why.to_owned());
        }
        (Some("ERR"), _) => from_text(error.detail().unwrap_or_default()),
        (Some(code), _) => from_code(code),
        (None, DriverKind::AuthenticationFailed) => from_code("WRONGPASS"),
        (None, DriverKind::InvalidClientConfig | DriverKind::EmptySentinelList) => (
            ErrorKind::Misconfigured,
            "these settings give no connection to Redis",
        ),
        (None, DriverKind::MasterNameNotFoundBySentinel) => (
            ErrorKind::Unavailable,
            "the Sentinels know no primary of this name: if there is no fail-over, correct it",
        ),
        (None, DriverKind::ClusterConnectionNotFound) => (
            ErrorKind::Unavailable,
            "no server of the cluster has this part of the data at the moment",
        ),
        (None, DriverKind::RESP3NotSupported) => (
            ErrorKind::Misconfigured,
            "this server speaks no RESP3: Redis 7.0 or later is needed",
        ),
        (None, DriverKind::Io) if is_unreadable(&error) => (
            ErrorKind::Misconfigured,
            "no encrypted connection can be made: the server's certificate is not trusted, or it \
             speaks no TLS",
        ),
        (None, DriverKind::Io) => (
            ErrorKind::Unavailable,
            "the connection to Redis failed or broke",
        ),
        (None, DriverKind::Client) => (ErrorKind::Other, "the Redis driver could not begin"),
        (None, _) => (ErrorKind::Unavailable, "what Redis answered cannot be read"),
    };
    Error::new(kind, advice).with_source(error)
}

/// Whether Redis refused because its memory is full.
pub(crate) fn is_full(error: &Error) -> bool {
    let source = std::error::Error::source(error);
    let said = source.and_then(|source| source.downcast_ref::<RedisError>());
    said.is_some_and(|said| said.code() == Some("OOM"))
}

/// What may be done about an error without telling the caller.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Remedy {
    /// The server does not know the script: it goes along.
    Code,
    /// The data lies on another server, for good.
    Moved,
    /// The data may lie on another server, for this once.
    Ask,
    /// The server cannot at the moment.
    Later,
    /// The server is no primary, or no longer.
    Elsewhere,
    /// None.
    Tell,
}

/// All remedies send the call again, so they are for errors after which nothing was done for
/// certain: these are found before a script begins, or by its first write. A connection that
/// broke is not among them: what it carried may have happened.
pub(crate) fn remedy(error: &RedisError) -> Remedy {
    match error.code() {
        Some("NOSCRIPT") => Remedy::Code,
        Some("MOVED") => Remedy::Moved,
        Some("ASK") => Remedy::Ask,
        Some("TRYAGAIN" | "LOADING" | "CLUSTERDOWN" | "BUSY" | "MASTERDOWN") => Remedy::Later,
        Some("READONLY") => Remedy::Elsewhere,
        _ => Remedy::Tell,
    }
}

/// Whether what came over the wire was refused, as TLS does.
fn is_unreadable(error: &RedisError) -> bool {
    let source = std::error::Error::source(error);
    let broken = source.and_then(|source| source.downcast_ref::<std::io::Error>());
    broken.is_some_and(|broken| broken.kind() == std::io::ErrorKind::InvalidData)
}

/// What has no code of its own, by Redis' words.
fn from_text(text: &str) -> (ErrorKind, &'static str) {
    let says = |words: &str| text.contains(words);
    let mistake = if says("unknown command") && says("HELLO") {
        "this server speaks no RESP3: Redis 7.0 or later is needed"
    } else if says("DB index") {
        "Redis has no database of this number: name one below its setting databases, 16 by default"
    } else if says("cluster support disabled") {
        "this server is no node of a Redis Cluster: name it in a URL that begins with redis:, or \
         in RedisOptions::single"
    } else if says("unknown command") {
        "this server lacks a command that Tenure needs: Redis 7.0 or later has them, unless one \
         was renamed"
    } else {
        return (ErrorKind::Other, "Redis refused the command");
    };
    (ErrorKind::Misconfigured, mistake)
}

fn from_code(code: &str) -> (ErrorKind, &'static str) {
    match code {
        "READONLY" => (
            ErrorKind::Unavailable,
            "the server is a replica: wait for the fail-over, or name the primary or its Sentinels",
        ),
        "LOADING" => (ErrorKind::Unavailable, "Redis is loading its data"),
        "BUSY" | "UNKILLABLE" => (
            ErrorKind::Unavailable,
            "a script of somebody else's holds Redis up: SCRIPT KILL ends it",
        ),
        "MOVED" | "ASK" | "TRYAGAIN" => (
            ErrorKind::Unavailable,
            "the cluster was moving this part of the data for too long",
        ),
        "CLUSTERDOWN" | "MASTERDOWN" => (
            ErrorKind::Unavailable,
            "a part of the data has no primary: wait for the fail-over",
        ),
        "NOREPLICAS" => (
            ErrorKind::Unavailable,
            "too few replicas follow: see to them, or ask for fewer",
        ),
        "OOM" => (
            ErrorKind::Other,
            "Redis' memory is full, nothing was written: raise maxmemory, or reap",
        ),
        "MISCONF" => (
            ErrorKind::Other,
            "Redis cannot write to its disk and takes no writes, nothing was written: see its log",
        ),
        "DENIED" => (
            ErrorKind::Misconfigured,
            "Redis is in protected mode, and lets in nobody from another machine: give it a \
             password, or set protected-mode no where only trusted machines reach it",
        ),
        "NOAUTH" | "WRONGPASS" | "NOPERM" => (
            ErrorKind::Misconfigured,
            "Redis refuses this user: give the right password, and the right to the commands and \
             keys that this crate's documentation lists",
        ),
        "CORRUPT" => (
            ErrorKind::Corrupt,
            "the session's header cannot be read: purge it, or restore a backup",
        ),
        "WRONGTYPE" => (
            ErrorKind::Corrupt,
            "a key holds something that Tenure never wrote: give it a prefix of its own",
        ),
        _ => (ErrorKind::Other, "Redis refused the command"),
    }
}

#[cfg(test)]
mod tests {
    use deadpool_redis::redis::{ServerErrorKind, make_extension_error};

    use super::*;

    fn said(code: &str) -> RedisError {
        make_extension_error(code.to_owned(), Some("details".to_owned()))
    }

    #[test]
    fn every_error_says_what_to_do() {
        for (code, kind) in [
            ("READONLY", ErrorKind::Unavailable),
            ("LOADING", ErrorKind::Unavailable),
            ("BUSY", ErrorKind::Unavailable),
            ("MOVED", ErrorKind::Unavailable),
            ("CLUSTERDOWN", ErrorKind::Unavailable),
            ("NOREPLICAS", ErrorKind::Unavailable),
            ("OOM", ErrorKind::Other),
            ("MISCONF", ErrorKind::Other),
            ("NOPERM", ErrorKind::Misconfigured),
            ("NOAUTH", ErrorKind::Misconfigured),
            ("DENIED", ErrorKind::Misconfigured),
            (UNFIT, ErrorKind::Misconfigured),
            ("CORRUPT", ErrorKind::Corrupt),
            ("WRONGTYPE", ErrorKind::Corrupt),
            ("ERR", ErrorKind::Other),
        ] {
            assert_eq!(from_driver(said(code)).kind(), kind, "{code}");
        }
        let broken = RedisError::from(std::io::Error::from(std::io::ErrorKind::BrokenPipe));
        assert!(from_driver(broken).is_unavailable());
    }

    #[test]
    fn what_may_have_happened_is_never_sent_again() {
        use std::io::ErrorKind::{BrokenPipe, ConnectionReset, TimedOut, UnexpectedEof};
        for kind in [BrokenPipe, ConnectionReset, TimedOut, UnexpectedEof] {
            let error = RedisError::from(std::io::Error::from(kind));
            assert_eq!(remedy(&error), Remedy::Tell);
        }
        for code in ["OOM", "MISCONF", "NOREPLICAS", "ERR", "CORRUPT"] {
            assert_eq!(remedy(&said(code)), Remedy::Tell, "{code}");
        }
        let unknown = RedisError::from((DriverKind::Server(ServerErrorKind::NoScript), "none"));
        assert_eq!(remedy(&unknown), Remedy::Code);
    }
}
