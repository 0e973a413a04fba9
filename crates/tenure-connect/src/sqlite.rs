//! `sqlite:PATH?synchronous=normal`

use std::sync::Arc;

use tenure_sqlite::{SqliteOptions, SqliteStore, Synchronous};
use tenure_store::{Result, SessionStore};

use crate::misconfigured;
use crate::settings::{Settings, decoded};

pub(crate) async fn connect(rest: &str) -> Result<Arc<dyn SessionStore>> {
    Ok(Arc::new(SqliteStore::connect(options(rest)?).await?))
}

fn options(rest: &str) -> Result<SqliteOptions> {
    let (address, mut settings) = Settings::split(rest);
    let mut options = SqliteOptions::new(path(address)?);
    options = match settings.take("synchronous") {
        None | Some("full") => options.synchronous(Synchronous::Full),
        Some("normal") => options.synchronous(Synchronous::Normal),
        Some(_) => return Err(misconfigured("synchronous is full or normal")),
    };
    options = match settings.take("load_in_place") {
        None | Some("yes") => options.load_in_place(true),
        Some("no") => options.load_in_place(false),
        Some(_) => return Err(misconfigured("load_in_place is yes or no")),
    };
    settings.are_all_known("synchronous and load_in_place, each once")?;
    Ok(options)
}

/// `sessions.db`, `/srv/sessions.db`, or either behind `//`, where other programs have no host.
fn path(address: &str) -> Result<String> {
    let path = decoded(address.strip_prefix("//").unwrap_or(address))?;
    let name = path.rsplit('/').next().unwrap_or_default();
    if name == ":memory:" {
        return Err(misconfigured(
            "a database in memory is lost with its process: give a file, or use memory:",
        ));
    }
    if path.starts_with("file:") {
        return Err(misconfigured(
            "a SQLite URL has the path itself, without file: in front: sqlite:PATH",
        ));
    }
    if name.is_empty() {
        return Err(misconfigured("a SQLite URL names a file: sqlite:PATH"));
    }
    Ok(path)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_is_read_as_other_programs_read_it() {
        for (address, expected) in [
            ("sessions.db", "sessions.db"),
            ("//sessions.db", "sessions.db"),
            ("data/sessions.db", "data/sessions.db"),
            ("//data/sessions.db", "data/sessions.db"),
            ("/srv/sessions.db", "/srv/sessions.db"),
            ("///srv/sessions.db", "/srv/sessions.db"),
            ("./sessions.db", "./sessions.db"),
            ("my%20sessions.db", "my sessions.db"),
            ("100%25.db", "100%.db"),
        ] {
            assert_eq!(path(address).expect(address), expected, "{address}");
        }
    }

    #[test]
    fn every_setting_is_known_and_given_once() {
        for rest in [
            "a.db?synchronous=normal",
            "a.db?synchronous=full&load_in_place=no",
            "a.db?",
        ] {
            assert!(options(rest).is_ok(), "{rest}");
        }
    }
}
