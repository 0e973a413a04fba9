//! Where a payload lies. A small one is in its session's row: one page of the file has both.
//! A large one is apart, because SQLite rewrites a whole row, and a touch would copy it.

use rusqlite::params;
use tenure_store::{Payload, Result};

use crate::db::Db;

/// The largest that is in the row, in bytes: two such rows fill a page.
const INLINE: usize = 1800;

/// What belongs into the row.
pub(crate) fn inline(payload: &Payload) -> Option<&[u8]> {
    Some(payload.as_bytes()).filter(|bytes| bytes.len() <= INLINE)
}

/// Stores what does not belong into the row of a session that has no payload yet.
pub(crate) fn store_apart(number: i64, payload: &Payload, db: &Db) -> Result<()> {
    if inline(payload).is_none() {
        db.execute(
            "INSERT INTO payload (number, bytes) VALUES (?1, ?2)",
            params![number, payload.as_bytes()],
        )?;
    }
    Ok(())
}

/// The same in place of another payload.
pub(crate) fn replace_apart(number: i64, payload: &Payload, db: &Db) -> Result<()> {
    db.execute("DELETE FROM payload WHERE number = ?1", [number])?;
    store_apart(number, payload, db)
}
