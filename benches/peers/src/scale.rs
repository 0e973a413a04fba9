//! What all of a backend's data weighs, in bytes: before a subject's sessions and after.

use std::fs;
use std::path::Path;

use deadpool_redis::redis::{self, Client};
use sqlx::{Connection, PgConnection};

use crate::lineup::{Backend, server};
use crate::subject::Result;

/// Of memory what this process holds, of a database what is on disk or what the server says.
pub(crate) async fn weigh(backend: Backend, folder: &Path) -> Result<u64> {
    match backend {
        Backend::Memory => {
            let pages = fs::read_to_string("/proc/self/statm")?;
            let resident = pages.split_whitespace().nth(1).ok_or("no resident pages")?;
            Ok(resident.parse::<u64>()? * 4096)
        }
        Backend::Postgres => {
            let mut connection = PgConnection::connect(&server("TENURE_POSTGRES_URL")?).await?;
            let size: i64 = sqlx::query_scalar("SELECT pg_database_size(current_database())")
                .fetch_one(&mut connection)
                .await?;
            Ok(size.unsigned_abs())
        }
        Backend::Redis => {
            let client = Client::open(server("TENURE_REDIS_URL")?)?;
            let mut connection = client.get_multiplexed_async_connection().await?;
            let info: String = redis::cmd("INFO")
                .arg("memory")
                .query_async(&mut connection)
                .await?;
            let used = info
                .lines()
                .find_map(|line| line.strip_prefix("used_memory:"));
            Ok(used.ok_or("no used memory")?.trim().parse()?)
        }
        Backend::SqliteFull | Backend::SqliteNormal => {
            let mut bytes = 0;
            for file in fs::read_dir(folder)? {
                bytes += file?.metadata()?.len();
            }
            Ok(bytes)
        }
    }
}
