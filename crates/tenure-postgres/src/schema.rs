//! The one schema that the store's tables are in, found once and used by every statement.

use tenure_store::{Error, ErrorKind, Result};

use crate::db::Db;
use crate::row::get;

/// Of the schemas that `search_path` names, the one that holds the store; or the first, if none
/// does. A schema that is added to the path later, as `"$user"` is by its creation, changes
/// nothing.
pub(crate) async fn find(db: &mut Db) -> Result<String> {
    let row = db
        .row(sqlx::query(
            "SELECT current_schema()::text AS first, ARRAY(SELECT p.name::text \
             FROM unnest(current_schemas(false)) WITH ORDINALITY AS p (name, place) \
             WHERE EXISTS (SELECT 1 FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace \
             WHERE n.nspname = p.name AND c.relname IN ('tenure_schema_history', \
             'tenure_namespace', 'tenure_reset', 'tenure_session')) ORDER BY p.place) AS holding",
        ))
        .await?;
    let mut holding = get::<Vec<String>>(&row, "holding")?;
    if holding.len() > 1 {
        return Err(Error::new(
            ErrorKind::Misconfigured,
            format!(
                "search_path leads to several stores, in the schemas {}: let it name the right \
                 one alone",
                holding.join(", ")
            ),
        ));
    }
    let first = get::<Option<String>>(&row, "first")?;
    holding.pop().or(first).ok_or_else(|| {
        Error::new(
            ErrorKind::Misconfigured,
            "search_path names no schema that exists: create it, or correct search_path",
        )
    })
}
