//! The contract, on SQLite: each node is a store of its own on one file.

use std::future::{Ready, ready};
use std::sync::Arc;
use std::time::Duration;

use tempfile::TempDir;
use tenure_conformance::Fixture;
use tenure_sqlite::{SqliteOptions, SqliteStore};
use tenure_store::SessionStore;

struct Folder(TempDir);

impl Folder {
    fn fixture() -> Ready<Box<dyn Fixture>> {
        let folder = tempfile::tempdir().expect("a temporary folder");
        ready(Box::new(Self(folder)))
    }
}

#[async_trait::async_trait]
impl Fixture for Folder {
    async fn node(&self) -> Arc<dyn SessionStore> {
        let path = self.0.path().join("sessions.db");
        // Deadlines are not what these cases are about, and machines can be slow.
        let options = SqliteOptions::new(path).deadline(Duration::from_mins(2));
        Arc::new(SqliteStore::connect(options).await.expect("connects"))
    }

    async fn close(self: Box<Self>) {
        self.0.close().expect("the folder can be removed");
    }
}

mod sqlite {
    use super::Folder;

    tenure_conformance::suite!(Folder::fixture());
    tenure_conformance::state_machine!(Folder::fixture());
}
