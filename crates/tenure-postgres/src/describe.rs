//! What the store says of itself, read from the server's real settings.

use tenure_store::{Description, Durability, Result};

use crate::db::Db;
use crate::job::{Needs, Single};
use crate::row::{get, time};

pub(crate) struct Describe {
    pub(crate) payload_limit: usize,
    pub(crate) expected: u32,
}

impl Single for Describe {
    type Answer = Description;
    const NEEDS: Needs = Needs::Reading;

    async fn run(&self, db: &mut Db) -> Result<Description> {
        let row = db
            .row(sqlx::query(
                "SELECT current_setting('server_version') AS version, \
                 current_setting('synchronous_commit') AS synchronous_commit, \
                 current_setting('fsync') AS fsync, \
                 current_setting('full_page_writes') AS full_page_writes, \
                 (extract(epoch FROM clock_timestamp()) * 1000)::bigint AS clock, \
                 (SELECT max(version) FROM tenure_schema_history) AS schema",
            ))
            .await?;
        let setting = |name| get::<String>(&row, name);
        let (commit, fsync) = (setting("synchronous_commit")?, setting("fsync")?);
        let full_pages = setting("full_page_writes")?;

        let mut description = Description::new("postgres", setting("version")?, self.payload_limit);
        description.clock = time(&row, "clock")?;
        description.durability = match (&*commit, &*fsync, &*full_pages) {
            // The last few hundred milliseconds are in the server's memory alone.
            ("off", ..) => Durability::Snapshot,
            (_, "off", _) | (_, _, "off") => Durability::Process,
            _ => Durability::Disk,
        };
        description.settings =
            format!("synchronous_commit={commit} fsync={fsync} full_page_writes={full_pages}");
        description.schema_applied =
            get::<Option<i32>>(&row, "schema")?.and_then(|version| version.try_into().ok());
        description.schema_expected = Some(self.expected);
        Ok(description)
    }
}
