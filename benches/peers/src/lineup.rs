//! Who is measured beside whom.

use std::pin::Pin;
use std::sync::Arc;

use tempfile::TempDir;
use tenure::SessionStore;

use crate::floors::{map::Map, postgres, redis::Redis, sqlite::Sqlite};
use crate::ours::{library::Library, store::Store};
use crate::peers::{
    actix::Actix,
    axum::Axum,
    tower::{Tower, TowerRusqlite},
};
use crate::scale::weigh;
use crate::subject::{Result, Subject};
use crate::window::{Filled, Sample, Window, Work};

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
}

/// All of one backend, full of sessions.
pub(crate) struct Lineup {
    pub(crate) subjects: Vec<(&'static str, Box<dyn Measured>)>,
    /// What each one's session weighs, in bytes.
    pub(crate) sizes: Vec<(&'static str, f64)>,
    backend: Backend,
    /// Where those that keep files have them.
    folder: TempDir,
    sessions: usize,
    grain: u32,
}

/// A filled subject of whatever kind.
pub(crate) trait Measured: Send + Sync {
    fn measure(&self, work: Work, window: Window) -> Eventually<'_, Option<Sample>>;

    fn tidy(&self) -> Eventually<'_, ()>;
}

type Eventually<'a, T> = Pin<Box<dyn Future<Output = Result<T>> + Send + 'a>>;

impl<S: Subject> Measured for Arc<Filled<S>> {
    fn measure(&self, work: Work, window: Window) -> Eventually<'_, Option<Sample>> {
        Box::pin(Filled::measure(self, work, window))
    }

    fn tidy(&self) -> Eventually<'_, ()> {
        Box::pin(Filled::tidy(self))
    }
}

impl Lineup {
    pub(crate) async fn of(backend: Backend, sessions: usize) -> Result<Self> {
        let mut lineup = Self {
            subjects: Vec::new(),
            sizes: Vec::new(),
            backend,
            folder: tempfile::tempdir()?,
            sessions,
            grain: if backend == Backend::Memory { 32 } else { 1 },
        };
        match backend {
            Backend::Memory => lineup.memory().await?,
            Backend::Postgres => lineup.postgres(&server("TENURE_POSTGRES_URL")?).await?,
            Backend::Redis => lineup.redis(&server("TENURE_REDIS_URL")?).await?,
            Backend::SqliteFull => lineup.sqlite(true).await?,
            Backend::SqliteNormal => lineup.sqlite(false).await?,
        }
        Ok(lineup)
    }

    async fn memory(&mut self) -> Result<()> {
        self.tenure("memory:").await?;
        self.add("floor: sharded map", Map::default()).await?;
        self.add("tower-sessions", Tower::memory()).await?;
        self.add("tower-sessions moka", Tower::moka()).await
    }

    async fn postgres(&mut self, url: &str) -> Result<()> {
        self.tenure(url).await?;
        let held = postgres::Held::connect(url, 4).await?;
        self.add("floor: sqlx held", held).await?;
        let pipelined = postgres::Pipelined::connect(url, 2).await?;
        self.add("floor: tokio-postgres pipelined", pipelined)
            .await?;
        self.add("tower-sessions sqlx", Tower::postgres(url, 10).await?)
            .await?;
        self.add("axum_session sqlx", Axum::postgres(url, 10).await?)
            .await
    }

    async fn redis(&mut self, url: &str) -> Result<()> {
        self.tenure(url).await?;
        self.add("floor: multiplexed", Redis::connect(url).await?)
            .await?;
        self.add("tower-sessions fred", Tower::redis(url).await?)
            .await?;
        self.add("axum_session", Axum::redis(url).await?).await?;
        self.add("actix-session", Actix::plain(url).await?).await?;
        self.add("actix-session pooled", Actix::pooled(url).await?)
            .await
    }

    async fn sqlite(&mut self, full: bool) -> Result<()> {
        let synchronous = if full { "full" } else { "normal" };
        let folder = self.folder.path().to_owned();
        let file = |name: &str| folder.join(name).display().to_string();
        // A file for each, as each keeps a part of it in memory.
        let ours = |name: &str| format!("sqlite:{}?synchronous={synchronous}", file(name));
        let (library, store) = (ours("tenure.db"), ours("store.db"));
        let (sqlx, rusqlite) = (file("sqlx.db"), file("rusqlite.db"));
        let library = tenure_connect::connect(&library).await?;
        self.library(library).await?;
        let store = tenure_connect::connect(&store).await?;
        self.store(store).await?;
        let floor = Sqlite::open(&file("floor.db"), synchronous)?;
        self.add("floor: rusqlite", floor).await?;
        self.add(
            "tower-sessions rusqlite",
            TowerRusqlite::open(&rusqlite, full).await?,
        )
        .await?;
        self.add("tower-sessions sqlx", Tower::sqlite(&sqlx, full).await?)
            .await
    }

    /// The whole library, and beside it the store alone.
    async fn tenure(&mut self, url: &str) -> Result<()> {
        let store = tenure_connect::connect(url).await?;
        self.library(Arc::clone(&store)).await?;
        self.store(store).await
    }

    async fn library(&mut self, store: Arc<dyn SessionStore>) -> Result<()> {
        let library = Library::new(store, self.sessions).await?;
        self.add("tenure", library).await
    }

    async fn store(&mut self, store: Arc<dyn SessionStore>) -> Result<()> {
        self.add("tenure store", Store::new(store).await?).await
    }

    async fn add(&mut self, name: &'static str, subject: impl Subject) -> Result<()> {
        let before = weigh(self.backend, self.folder.path()).await?;
        let filled = Filled::new(subject, self.sessions, self.grain).await?;
        let grown = weigh(self.backend, self.folder.path())
            .await?
            .saturating_sub(before);
        self.sizes.push((name, grown as f64 / self.sessions as f64));
        self.subjects.push((name, Box::new(filled)));
        Ok(())
    }
}

/// The server that `scripts/bench` has started.
pub(crate) fn server(variable: &str) -> Result<String> {
    std::env::var(variable).map_err(|_| format!("{variable} is not set: run scripts/bench").into())
}
