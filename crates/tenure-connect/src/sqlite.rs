//! `sqlite:PATH?synchronous=normal`

use std::sync::Arc;

use tenure_sqlite::{SqliteOptions, SqliteStore, Synchronous};
use tenure_store::{Result, SessionStore};

use crate::misconfigured;

pub(crate) async fn connect(rest: &str) -> Result<Arc<dyn SessionStore>> {
    let (path, settings) = rest.split_once('?').unwrap_or((rest, ""));
    if path.is_empty() {
        return Err(misconfigured("a SQLite URL names a file: sqlite:PATH"));
    }
    let mut options = SqliteOptions::new(path);
    for setting in settings.split('&').filter(|setting| !setting.is_empty()) {
        options = match setting {
            "synchronous=full" => options.synchronous(Synchronous::Full),
            "synchronous=normal" => options.synchronous(Synchronous::Normal),
            "load_in_place=yes" => options.load_in_place(true),
            "load_in_place=no" => options.load_in_place(false),
            _ => {
                return Err(misconfigured(
                    "a SQLite URL knows the settings synchronous=full, synchronous=normal, \
                     load_in_place=yes and load_in_place=no",
                ));
            }
        };
    }
    Ok(Arc::new(SqliteStore::connect(options).await?))
}
