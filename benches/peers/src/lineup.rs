//! Who is measured beside whom.

use std::path::Path;

use crate::floors::{map::Map, postgres, redis::Redis, sqlite::Sqlite};
use crate::ours::{library::Library, store::Store};
use crate::peers::{
    actix::Actix,
    axum::Axum,
    tower::{Tower, TowerRusqlite},
};
use crate::scale::weigh;
use crate::seat;
use crate::subject::{Result, Subject};
use crate::window::Filled;

/// Where sessions are kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Backend {
    Memory,
    Postgres,
    Redis,
    SqliteFull,
    SqliteNormal,
}

impl Backend {
    pub(crate) const ALL: [Self; 5] = [
        Self::Memory,
        Self::Postgres,
        Self::Redis,
        Self::SqliteFull,
        Self::SqliteNormal,
    ];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Memory => "memory",
            Self::Postgres => "postgres",
            Self::Redis => "redis",
            Self::SqliteFull => "sqlite_full",
            Self::SqliteNormal => "sqlite_normal",
        }
    }

    /// The variable that says where its server is, if it has one.
    pub(crate) fn server(self) -> Option<&'static str> {
        match self {
            Self::Postgres => Some("TENURE_POSTGRES_URL"),
            Self::Redis => Some("TENURE_REDIS_URL"),
            Self::Memory | Self::SqliteFull | Self::SqliteNormal => None,
        }
    }

    /// Everybody's name, in the order of their turns.
    pub(crate) async fn names(self) -> Result<Vec<&'static str>> {
        let mut names = Vec::new();
        let call = Call {
            backend: self,
            folder: Path::new(""),
            sessions: 0,
            answers: |name| {
                names.push(name);
                false
            },
        };
        call.everybody().await?;
        Ok(names)
    }

    /// Seats one of them, with so many sessions, and lets it work until nobody asks any more.
    pub(crate) async fn seat(self, wanted: &str, sessions: usize) -> Result<()> {
        let folder = tempfile::tempdir()?;
        let call = Call {
            backend: self,
            folder: folder.path(),
            sessions,
            answers: |name| name == wanted,
        };
        call.everybody().await
    }
}

/// Calls out names, and seats those who answer.
struct Call<'a, F> {
    backend: Backend,
    /// Where those that keep files have them.
    folder: &'a Path,
    sessions: usize,
    answers: F,
}

impl<F: FnMut(&'static str) -> bool> Call<'_, F> {
    async fn everybody(mut self) -> Result<()> {
        match self.backend {
            Backend::Memory => self.memory().await,
            Backend::Postgres => self.postgres(&server("TENURE_POSTGRES_URL")?).await,
            Backend::Redis => self.redis(&server("TENURE_REDIS_URL")?).await,
            Backend::SqliteFull => self.sqlite(true).await,
            Backend::SqliteNormal => self.sqlite(false).await,
        }
    }

    async fn memory(&mut self) -> Result<()> {
        self.tenure("memory:").await?;
        let map = async { Ok(Map::default()) };
        self.one("floor: sharded map", map).await?;
        let tower = async { Ok(Tower::memory()) };
        self.one("tower-sessions", tower).await?;
        let moka = async { Ok(Tower::moka()) };
        self.one("tower-sessions moka", moka).await
    }

    async fn postgres(&mut self, url: &str) -> Result<()> {
        self.tenure(url).await?;
        let held = postgres::Held::connect(url, 4);
        self.one("floor: sqlx held", held).await?;
        let pipelined = postgres::Pipelined::connect(url, 2);
        self.one("floor: tokio-postgres pipelined", pipelined)
            .await?;
        let tower = Tower::postgres(url, 10);
        self.one("tower-sessions sqlx", tower).await?;
        let axum = Axum::postgres(url, 10);
        self.one("axum_session sqlx", axum).await
    }

    async fn redis(&mut self, url: &str) -> Result<()> {
        self.tenure(url).await?;
        self.one("floor: multiplexed", Redis::connect(url)).await?;
        self.one("tower-sessions fred", Tower::redis(url)).await?;
        self.one("axum_session", Axum::redis(url)).await?;
        self.one("actix-session", Actix::plain(url)).await?;
        self.one("actix-session pooled", Actix::pooled(url)).await
    }

    async fn sqlite(&mut self, full: bool) -> Result<()> {
        let synchronous = if full { "full" } else { "normal" };
        let file = self.folder.join("sessions.db").display().to_string();
        let url = format!("sqlite:{file}?synchronous={synchronous}");
        self.tenure(&url).await?;
        let floor = async { Sqlite::open(&file, synchronous) };
        self.one("floor: rusqlite", floor).await?;
        let rusqlite = TowerRusqlite::open(&file, full);
        self.one("tower-sessions rusqlite", rusqlite).await?;
        let sqlx = Tower::sqlite(&file, full);
        self.one("tower-sessions sqlx", sqlx).await
    }

    /// The whole library, and beside it the store alone.
    async fn tenure(&mut self, url: &str) -> Result<()> {
        let sessions = self.sessions;
        let library = async { Library::new(tenure_connect::connect(url).await?, sessions).await };
        self.one("tenure", library).await?;
        let store = async { Store::new(tenure_connect::connect(url).await?).await };
        self.one("tenure store", store).await
    }

    async fn one<S: Subject>(
        &mut self,
        name: &'static str,
        subject: impl Future<Output = Result<S>>,
    ) -> Result<()> {
        if !(self.answers)(name) {
            return Ok(());
        }
        let subject = subject.await?;
        // Memory answers so soon that the clock is not asked each time.
        let grain = if self.backend == Backend::Memory {
            32
        } else {
            1
        };
        let before = weigh(self.backend, self.folder).await?;
        let filled = Filled::new(subject, self.sessions, grain).await?;
        let grown = weigh(self.backend, self.folder)
            .await?
            .saturating_sub(before);
        seat::work(&filled, grown as f64 / self.sessions as f64).await
    }
}

/// The server that `scripts/bench` has started.
pub(crate) fn server(variable: &str) -> Result<String> {
    std::env::var(variable).map_err(|_| format!("{variable} is not set: run scripts/bench").into())
}
