//! What is done to many sessions at once: resets, and the reaping of what they leave.

use std::sync::Arc;
use std::time::Instant;

use tenure::{EndedSession, Error as TenureError, KeyRing, MasterSecret, SessionStore, Sessions};
use tenure_store::{Hooks, Namespace};

use crate::floors;
use crate::lineup::{Backend, server};
use crate::ours::store::{self, now};
use crate::subject::Result;

/// What one step of reaping, or of deleting, takes at most.
const STEP: u32 = 1_000;

/// What was done, to how many, and how long it took in seconds.
pub(crate) type Done = (&'static str, usize, f64);

/// Each on this backend, so many times; `most` sessions stand for very many.
pub(crate) async fn measure(backend: Backend, most: usize, rounds: usize) -> Result<Vec<Done>> {
    let folder = tempfile::tempdir()?;
    let file = |name: &str| folder.path().join(name).display().to_string();
    let url = match backend {
        Backend::Memory => "memory:".to_owned(),
        Backend::Postgres => server("TENURE_POSTGRES_URL")?,
        Backend::Redis => server("TENURE_REDIS_URL")?,
        Backend::SqliteFull => format!("sqlite:{}?synchronous=full", file("bulk.db")),
        Backend::SqliteNormal => format!("sqlite:{}?synchronous=normal", file("bulk.db")),
    };
    let store = tenure_connect::connect(&url).await?;
    let mut done = Vec::new();
    for round in 0..rounds {
        for sessions in [10, 1_000, most] {
            let ns = Namespace::sessions(&format!("reset-{sessions}-{round}"))?;
            store.open(&ns, Hooks::Withdrawn).await?;
            store::fill(&store, &ns, sessions - 1).await?;
            // One alone, so that the crowd before it has been dealt with.
            store::fill(&store, &ns, 1).await?;
            let began = Instant::now();
            store.reset(&ns, now()).await?;
            done.push(("reset", sessions, began.elapsed().as_secs_f64()));
            let began = Instant::now();
            while store.purge(&ns, STEP, now()).await?.more {}
            done.push((
                "reap without a hook",
                sessions,
                began.elapsed().as_secs_f64(),
            ));
        }
        done.push(("reap with a hook", most, hooked(&store, most, round).await?));
        let seconds = match backend {
            Backend::Memory => floors::map::Map::emptied(most),
            Backend::Postgres => floors::postgres::emptied(&url, most, STEP).await?,
            Backend::Redis => floors::redis::emptied(&url, most, STEP as usize).await?,
            Backend::SqliteFull => floors::sqlite::emptied(&file("floor.db"), "full", most, STEP)?,
            Backend::SqliteNormal => {
                floors::sqlite::emptied(&file("floor.db"), "normal", most, STEP)?
            }
        };
        done.push(("floor: batched delete", most, seconds));
    }
    store.close().await?;
    Ok(done)
}

async fn hooked(store: &Arc<dyn SessionStore>, sessions: usize, round: usize) -> Result<f64> {
    let ring = KeyRing::new("2026-11", MasterSecret::generate()?)?;
    let application = format!("hooked-{round}");
    let service = Sessions::builder(Arc::clone(store), ring, application.clone())
        .on_end(|_: EndedSession| async { Ok::<_, TenureError>(()) })
        .build()
        .await?;
    store::fill(store, &Namespace::sessions(&application)?, sessions).await?;
    service.reset().await?;
    let reaper = service.reaper()?;
    let began = Instant::now();
    let reaped = reaper.run_once().await?;
    let seconds = began.elapsed().as_secs_f64();
    if reaped.succeeded != sessions as u64 {
        return Err(format!("{reaped:?} of {sessions}").into());
    }
    Ok(seconds)
}
