//! What the store says of itself, read from the connection's real settings.

use sqlx::SqliteConnection;
use tenure_store::{Description, Durability, Result};

use crate::error::from_driver;
use crate::job::Single;
use crate::migrate::applied;
use crate::row::get;

#[derive(Debug)]
pub(crate) struct Describe {
    pub(crate) payload_limit: usize,
    pub(crate) expected: u32,
}

impl Single for Describe {
    type Answer = Description;

    async fn run(&self, db: &mut SqliteConnection) -> Result<Description> {
        let row = sqlx::query(
            "SELECT sqlite_version() AS version, journal_mode, synchronous \
             FROM pragma_journal_mode, pragma_synchronous",
        )
        .fetch_one(&mut *db)
        .await
        .map_err(from_driver)?;
        let synchronous = match get::<i64>(&row, "synchronous")? {
            0 => "off",
            1 => "normal",
            2 => "full",
            _ => "extra",
        };
        let journal_mode: String = get(&row, "journal_mode")?;
        let version: String = get(&row, "version")?;

        let mut description = Description::new("sqlite", version, self.payload_limit);
        description.durability = match synchronous {
            "full" | "extra" => Durability::Disk,
            _ => Durability::Process,
        };
        description.settings = format!("journal_mode={journal_mode} synchronous={synchronous}");
        description.schema_applied = Some(applied(db).await?);
        description.schema_expected = Some(self.expected);
        Ok(description)
    }
}
