//! One empty store of a named backend, and nothing left of it afterwards.

pub(crate) mod loss;
pub(crate) mod postgres;
pub(crate) mod redis;
pub(crate) mod server;

use std::collections::hash_map::RandomState;
use std::hash::{BuildHasher as _, Hasher as _};
use std::thread;

use tempfile::TempDir;

use server::Kind;

/// Dropped after the stores on it; what they left is removed then, whoever drops it and
/// wherever.
pub(crate) struct Place {
    url: String,
    remains: Remains,
}

/// What is to be removed.
enum Remains {
    /// It goes with its process.
    Nothing,
    Folder(TempDir),
    /// A server's URL, and a name that nothing else in it has.
    Schema(String, String),
    /// The same, where the name is how all keys begin.
    Keys(String, String),
}

/// No case is about deadlines unless it says so, and machines can be slow.
const SETTINGS: &str = "deadline_ms=120000";

impl Place {
    /// # Panics
    /// If there is no such backend; or no server of it, and says what to do.
    pub(crate) async fn on(backend: &str) -> Self {
        match backend {
            "memory" => Self {
                url: "memory:".to_owned(),
                remains: Remains::Nothing,
            },
            "sqlite" => Self::in_a_file(),
            "postgres" => Self::in_a_schema(Kind::Postgres.url()).await,
            "redis" => Self::under_a_prefix(Kind::Redis.url()),
            "redis_cluster" => Self::under_a_prefix(Kind::Cluster.url()),
            other => panic!("no backend is called {other}"),
        }
    }

    fn in_a_file() -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder can be made");
        Self {
            url: format!("sqlite:{}", folder.path().join("sessions.db").display()),
            remains: Remains::Folder(folder),
        }
    }

    /// In a schema of this server's.
    pub(crate) async fn in_a_schema(server: String) -> Self {
        let schema = unused_name();
        postgres::run(&server, &format!("CREATE SCHEMA {schema}")).await;
        let path =
            format!("application_name={schema}&options=-c%20search_path%3D{schema}&{SETTINGS}");
        Self {
            url: with(&server, &path),
            remains: Remains::Schema(server, schema),
        }
    }

    /// Under a prefix of this server's, or these servers'.
    pub(crate) fn under_a_prefix(server: String) -> Self {
        let prefix = unused_name();
        Self {
            url: with(&server, &format!("prefix={prefix}&{SETTINGS}")),
            remains: Remains::Keys(server, prefix),
        }
    }

    pub(crate) fn url(&self) -> &str {
        &self.url
    }

    /// Its URL with one more setting.
    pub(crate) fn url_with(&self, setting: &str) -> String {
        with(&self.url, setting)
    }

    /// Whether a store on it forgets everything when it is closed.
    pub(crate) fn is_forgetful(&self) -> bool {
        matches!(self.remains, Remains::Nothing)
    }

    /// All that the backend has written to files of its own.
    pub(crate) fn files(&self) -> Vec<u8> {
        let Remains::Folder(folder) = &self.remains else {
            return Vec::new();
        };
        let files = std::fs::read_dir(folder.path()).expect("a folder");
        files
            .flat_map(|file| std::fs::read(file.expect("a file").path()).expect("readable"))
            .collect()
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let remains = std::mem::replace(&mut self.remains, Remains::Nothing);
        // On a thread of its own: this one may be driving a runtime, or none.
        let removed = thread::spawn(move || match remains {
            Remains::Nothing | Remains::Folder(_) => {}
            Remains::Schema(server, schema) => postgres::remove(&server, &schema),
            Remains::Keys(server, prefix) => redis::remove(&server, &prefix),
        });
        // A second panic would hide the first.
        assert!(
            removed.join().is_ok() || thread::panicking(),
            "something was left in the server"
        );
    }
}

/// A URL with one more setting.
pub(crate) fn with(url: &str, setting: &str) -> String {
    let sign = if url.contains('?') { '&' } else { '?' };
    format!("{url}{sign}{setting}")
}

/// One that no other test has, in this process or another; all are of one length, so that
/// none is another's beginning.
fn unused_name() -> String {
    // The standard library's own randomness.
    format!("t{:016x}", RandomState::new().build_hasher().finish())
}
