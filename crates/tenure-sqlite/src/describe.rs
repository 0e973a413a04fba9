//! What the store says of itself, read from the connection's real settings.

use tenure_store::{Description, Durability, Result};

use crate::db::Db;
use crate::job::Operation;
use crate::migrate::applied;

pub(crate) struct Describe {
    pub(crate) payload_limit: usize,
    pub(crate) expected: u32,
}

impl Operation for Describe {
    type Answer = Description;

    fn run(&self, db: &Db) -> Result<Description> {
        let settings = db.first(
            "SELECT sqlite_version(), journal_mode, synchronous \
             FROM pragma_journal_mode, pragma_synchronous",
            [],
            |row| {
                Ok((
                    row.get::<String>()?,
                    row.get::<String>()?,
                    row.get::<i64>()?,
                ))
            },
        )?;
        let (version, journal_mode, synchronous) = settings.unwrap_or_default();
        let synchronous = match synchronous {
            0 => "off",
            1 => "normal",
            2 => "full",
            _ => "extra",
        };

        let mut description = Description::new("sqlite", version, self.payload_limit);
        description.durability = match synchronous {
            "full" | "extra" => Durability::Disk,
            _ => Durability::Process,
        };
        description.settings = format!("journal_mode={journal_mode} synchronous={synchronous}");
        description.schema_applied = Some(applied(db)?);
        description.schema_expected = Some(self.expected);
        Ok(description)
    }
}
