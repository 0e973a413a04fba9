//! What can be set, and how each setting reaches a connection.

use std::fmt;
use std::time::Duration;

use tenure_store::{Error, ErrorKind, Result};

/// Where Redis is, and how to work with it.
///
/// URLs are the driver's: `redis://user:password@host:port/database`, or `rediss:` for an
/// encrypted connection, which needs this crate's feature `tls`. They are shown nowhere:
/// neither in `Debug` nor in an error.
///
/// ```
/// use std::time::Duration;
/// use tenure_redis::RedisOptions;
///
/// let options = RedisOptions::single("redis://127.0.0.1:6379")
///     .prefix("portal-test")
///     .deadline(Duration::from_millis(500));
/// # let _ = options;
/// ```
#[derive(Clone)]
pub struct RedisOptions {
    pub(crate) place: Urls,
    pub(crate) prefix: String,
    pub(crate) deadline: Duration,
    pub(crate) payload_limit: usize,
    pub(crate) queue_length: u32,
    pub(crate) replicas: u32,
}

/// Whom to connect to.
#[derive(Clone)]
pub(crate) enum Urls {
    Single(String),
    Cluster(Vec<String>),
    Sentinel {
        urls: Vec<String>,
        primary: String,
        /// As what one logs in at the primary: user, if any, and password.
        login: Option<(Option<String>, String)>,
        database: u32,
    },
}

impl RedisOptions {
    /// One server, the default settings.
    pub fn single(url: impl Into<String>) -> Self {
        Self::new(Urls::Single(url.into()))
    }

    /// A Redis Cluster, of which these are some nodes; the others are found through them,
    /// with the first one's user, password and encryption.
    pub fn cluster<U: Into<String>>(node_urls: impl IntoIterator<Item = U>) -> Self {
        Self::new(Urls::Cluster(
            node_urls.into_iter().map(Into::into).collect(),
        ))
    }

    /// The server that these Sentinels name as the primary called so. User and password in
    /// their URLs are for the Sentinels; for the primary, say [`login`](Self::login).
    /// Its connection is encrypted if the first Sentinel's is.
    pub fn sentinel<U: Into<String>>(
        sentinel_urls: impl IntoIterator<Item = U>,
        master_name: impl Into<String>,
    ) -> Self {
        Self::new(Urls::Sentinel {
            urls: sentinel_urls.into_iter().map(Into::into).collect(),
            primary: master_name.into(),
            login: None,
            database: 0,
        })
    }

    fn new(place: Urls) -> Self {
        Self {
            place,
            prefix: "t".to_owned(),
            deadline: Duration::from_secs(2),
            payload_limit: 1_048_576,
            queue_length: 1024,
            replicas: 0,
        }
    }

    /// The user, if any, and the password at a primary that Sentinels name. Elsewhere they
    /// stand in the URL, and this means nothing.
    #[must_use]
    pub fn login(mut self, user: Option<&str>, password: &str) -> Self {
        if let Urls::Sentinel { login, .. } = &mut self.place {
            *login = Some((user.map(str::to_owned), password.to_owned()));
        }
        self
    }

    /// The database at a primary that Sentinels name; 0 unless set. Elsewhere it stands in
    /// the URL, and this means nothing.
    #[must_use]
    pub fn database(mut self, number: u32) -> Self {
        if let Urls::Sentinel { database, .. } = &mut self.place {
            *database = number;
        }
        self
    }

    /// What every key begins with; `t` unless set: 1 to 64 of `A-Z a-z 0-9 . _ -`. Stores
    /// of different prefixes share a server and nothing else.
    #[must_use]
    pub fn prefix(self, prefix: impl Into<String>) -> Self {
        Self {
            prefix: prefix.into(),
            ..self
        }
    }

    /// How long each step of an operation may take, its wait for a connection included,
    /// before it is `Unavailable`; 2 s unless set, at most a day.
    #[must_use]
    pub fn deadline(self, deadline: Duration) -> Self {
        Self { deadline, ..self }
    }

    /// The largest payload, in bytes; 1,048,576 unless set, at most 268,435,456. A larger
    /// one is `TooLarge`.
    #[must_use]
    pub fn payload_limit(self, bytes: usize) -> Self {
        Self {
            payload_limit: bytes,
            ..self
        }
    }

    /// How many operations may be under way at once; 1024 unless set. One more is
    /// `Unavailable` at once.
    #[must_use]
    pub fn queue_length(self, operations: usize) -> Self {
        Self {
            queue_length: u32::try_from(operations).unwrap_or(u32::MAX),
            ..self
        }
    }

    /// How many replicas have to have an end before it is acknowledged; 0 unless set. What
    /// that gives, the [crate's documentation](crate#what-an-acknowledged-write-survives)
    /// says.
    #[must_use]
    pub fn wait_for_replicas(self, replicas: u32) -> Self {
        Self { replicas, ..self }
    }

    pub(crate) fn validate(&self) -> Result<()> {
        let urls: Vec<&String> = match &self.place {
            Urls::Single(url) => vec![url],
            Urls::Cluster(urls) | Urls::Sentinel { urls, .. } => urls.iter().collect(),
        };
        let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"._-".contains(&byte);
        let encrypted = |url: &&String| url.starts_with("rediss:") || url.starts_with("valkeys:");
        let fault = if urls.is_empty() {
            "no URL is given: name at least one server"
        } else if cfg!(not(feature = "tls")) && urls.iter().any(encrypted) {
            "this build has no encrypted connections to Redis: turn on the feature \"tls\""
        } else if self.prefix.is_empty()
            || self.prefix.len() > 64
            || !self.prefix.bytes().all(allowed)
        {
            "a prefix has 1 to 64 characters of A-Z a-z 0-9 . _ -"
        } else if self.queue_length == 0 {
            "queue_length is 0: let at least one operation in"
        } else if self.deadline.is_zero() || self.deadline > Duration::from_hours(24) {
            "deadline is not between nothing and a day: give operations time, 2 s by default"
        } else if self.payload_limit > 1 << 28 {
            "payload_limit is more than Redis takes: set at most 268,435,456 bytes"
        } else {
            return Ok(());
        };
        Err(Error::new(ErrorKind::Misconfigured, fault))
    }

    /// How long a connection may take to be made: half of the time, so that something else
    /// can still be tried.
    pub(crate) fn patience(&self) -> Duration {
        self.deadline / 2
    }
}

impl fmt::Debug for RedisOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let place = match &self.place {
            Urls::Single(_) => "single",
            Urls::Cluster(_) => "cluster",
            Urls::Sentinel { .. } => "sentinel",
        };
        f.debug_struct("RedisOptions")
            .field("place", &place)
            .field("prefix", &self.prefix)
            .field("deadline", &self.deadline)
            .field("payload_limit", &self.payload_limit)
            .field("queue_length", &self.queue_length)
            .field("wait_for_replicas", &self.replicas)
            .finish_non_exhaustive()
    }
}

impl From<&str> for RedisOptions {
    fn from(url: &str) -> Self {
        Self::single(url)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn settings_out_of_range_are_refused() {
        let good = || RedisOptions::single("redis://127.0.0.1");
        assert!(good().validate().is_ok());
        assert!(good().prefix("A.b_c-9".repeat(9)).validate().is_ok());
        for bad in [
            good().prefix(""),
            good().prefix("a:b"),
            good().prefix("{a}"),
            good().prefix("a".repeat(65)),
            good().queue_length(0),
            good().deadline(Duration::ZERO),
            good().deadline(Duration::from_hours(25)),
            good().payload_limit((1 << 28) + 1),
            RedisOptions::cluster(Vec::<String>::new()),
            RedisOptions::sentinel(Vec::<String>::new(), "mymaster"),
        ] {
            let error = bad.validate().expect_err("out of range");
            assert_eq!(error.kind(), ErrorKind::Misconfigured, "{error}");
        }
    }

    #[test]
    #[cfg(not(feature = "tls"))]
    fn an_encrypted_connection_needs_its_feature() {
        let error = RedisOptions::from("rediss://127.0.0.1").validate();
        let error = error.expect_err("not in this build");
        assert!(error.to_string().contains("tls"), "{error}");
    }

    #[test]
    fn debug_shows_no_password() {
        let single = RedisOptions::single("redis://user:opensesame@127.0.0.1");
        let cluster = RedisOptions::cluster(["redis://:opensesame@127.0.0.1"]);
        let sentinel = RedisOptions::sentinel(["redis://:opensesame@127.0.0.1"], "mymaster")
            .login(None, "opensesame");
        for options in [single, cluster, sentinel] {
            assert!(!format!("{options:?}").contains("opensesame"));
        }
    }
}
