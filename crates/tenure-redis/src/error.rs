//! The one place where Redis' errors get the contract's kinds, and where it is decided which
//! of them mean that nothing was done.

use deadpool_redis::PoolError;
use deadpool_redis::redis::{ErrorKind as DriverKind, RedisError};
use tenure_store::{Error, ErrorKind};

/// What to do about a driver's error. Neither it nor Redis' own text holds a value that was
/// sent.
pub(crate) fn from_driver(error: RedisError) -> Error {
    let (kind, advice) = match (error.code(), error.kind()) {
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
        (None, DriverKind::Io) => (
            ErrorKind::Unavailable,
            "the connection to Redis failed or broke",
        ),
        (None, DriverKind::Client) => (ErrorKind::Other, "the Redis driver could not begin"),
        (None, _) => (ErrorKind::Unavailable, "what Redis answered cannot be read"),
    };
    Error::new(kind, advice).with_source(error)
}

/// The same of an error on the way to a connection.
pub(crate) fn from_pool(error: PoolError) -> RedisError {
    match error {
        PoolError::Backend(error) => error,
        error => (DriverKind::Io, "no connection", error.to_string()).into(),
    }
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
