//! The servers that tests share, and the environment variables that name them.

use super::{postgres, redis};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Postgres,
    Redis,
    Cluster,
}

impl Kind {
    pub(crate) const ALL: [Self; 3] = [Self::Postgres, Self::Redis, Self::Cluster];

    /// What its tests are called by.
    pub(crate) fn backend(self) -> &'static str {
        match self {
            Self::Postgres => "postgres",
            Self::Redis => "redis",
            Self::Cluster => "redis_cluster",
        }
    }

    pub(crate) fn variable(self) -> &'static str {
        match self {
            Self::Postgres => "TENURE_POSTGRES_URL",
            Self::Redis => "TENURE_REDIS_URL",
            Self::Cluster => "TENURE_REDIS_CLUSTER_URL",
        }
    }

    pub(crate) fn is_given(self) -> bool {
        std::env::var(self.variable()).is_ok_and(|url| !url.is_empty())
    }

    /// # Panics
    /// If it is not there.
    pub(crate) fn url(self) -> String {
        let name = self.variable();
        assert!(self.is_given(), "{name} is not set: run scripts/test");
        std::env::var(name).expect("it is given")
    }
}

/// What the server says it is.
pub(crate) fn version(kind: Kind, url: &str) -> String {
    match kind {
        Kind::Postgres => postgres::version(url),
        Kind::Redis | Kind::Cluster => redis::version(url),
    }
}
