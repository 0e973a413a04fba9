//! From a URL to a session store for [Tenure]: the one place that knows which backends
//! there are.
//!
//! ```
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> tenure_store::Result<()> {
//! let store = tenure_connect::connect("memory:").await?;
//! assert!(tenure_connect::connect("mongodb://localhost").await.is_err());
//! # Ok(())
//! # }
//! ```
//!
//! | URL | backend | feature |
//! |---|---|---|
//! | `memory:` | one process's memory: gone with it | `memory` |
//! | `sqlite:PATH` | a SQLite file; made if its folder exists | `sqlite` |
//! | `sqlite:PATH?synchronous=normal` | as above, surviving crashes but not power cuts | `sqlite` |
//!
//! `PATH` is relative to the working directory, or absolute: `sqlite:sessions.db`,
//! `sqlite:/var/lib/portal/sessions.db`.
//!
//! [Tenure]: https://docs.rs/tenure

use std::sync::Arc;

use tenure_store::{Error, ErrorKind, Result, SessionStore};

/// Opens the store that a URL names, and brings its schema up to date.
///
/// # Errors
/// `Misconfigured` for a URL of no backend, of one that this build does not have, or with
/// settings that the backend does not know; and whatever the backend says on opening.
pub async fn connect(url: &str) -> Result<Arc<dyn SessionStore>> {
    // Only the scheme is ever repeated in an error: the rest may hold a password.
    let Some((scheme, rest)) = url.split_once(':') else {
        return Err(misconfigured(
            "a store's URL begins with memory: or sqlite:",
        ));
    };
    match scheme {
        #[cfg(feature = "memory")]
        "memory" => memory(rest),
        #[cfg(feature = "sqlite")]
        "sqlite" => sqlite(rest).await,
        #[cfg(not(feature = "memory"))]
        "memory" => Err(not_in_this_build("memory")),
        #[cfg(not(feature = "sqlite"))]
        "sqlite" => Err(not_in_this_build("sqlite")),
        _ => Err(misconfigured(
            "no backend has this URL: use memory: or sqlite:PATH",
        )),
    }
}

fn misconfigured(message: impl Into<String>) -> Error {
    Error::new(ErrorKind::Misconfigured, message)
}

#[cfg(not(all(feature = "memory", feature = "sqlite")))]
fn not_in_this_build(backend: &str) -> Error {
    misconfigured(format!(
        "this build has no {backend} backend: turn on tenure-connect's feature {backend:?}"
    ))
}

#[cfg(feature = "memory")]
fn memory(rest: &str) -> Result<Arc<dyn SessionStore>> {
    if rest.is_empty() {
        Ok(Arc::new(tenure_memory::MemoryStore::new()))
    } else {
        Err(misconfigured(
            "the memory backend has no settings: its URL is memory:",
        ))
    }
}

#[cfg(feature = "sqlite")]
async fn sqlite(rest: &str) -> Result<Arc<dyn SessionStore>> {
    use tenure_sqlite::{SqliteOptions, SqliteStore, Synchronous};

    let (path, settings) = rest.split_once('?').unwrap_or((rest, ""));
    if path.is_empty() {
        return Err(misconfigured("a SQLite URL names a file: sqlite:PATH"));
    }
    let mut options = SqliteOptions::new(path);
    for setting in settings.split('&').filter(|setting| !setting.is_empty()) {
        options = match setting {
            "synchronous=full" => options.synchronous(Synchronous::Full),
            "synchronous=normal" => options.synchronous(Synchronous::Normal),
            _ => {
                return Err(misconfigured(
                    "a SQLite URL knows the settings synchronous=full and synchronous=normal",
                ));
            }
        };
    }
    Ok(Arc::new(SqliteStore::connect(options).await?))
}
