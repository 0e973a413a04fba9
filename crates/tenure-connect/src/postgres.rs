//! `postgres://user@host/database?sslmode=require`

use std::sync::Arc;

use tenure_postgres::{Pooling, PostgresOptions, PostgresStore};
use tenure_store::{Result, SessionStore};

use crate::misconfigured;
use crate::settings::Settings;

pub(crate) async fn connect(rest: &str) -> Result<Arc<dyn SessionStore>> {
    Ok(Arc::new(PostgresStore::connect(options(rest)?).await?))
}

fn options(rest: &str) -> Result<PostgresOptions> {
    let (address, mut settings) = Settings::split(rest);
    let pooling = match settings.take("pooling") {
        None | Some("session") => Pooling::Session,
        Some("transaction") => Pooling::Transaction,
        Some(_) => {
            return Err(misconfigured("pooling is session or transaction"));
        }
    };
    let deadline = settings.deadline()?;
    let payload_limit = settings.number("payload_limit")?;
    let (readers, writers) = (settings.number("readers")?, settings.number("writers")?);
    let url = format!("postgres:{address}?{}", settings.rest());
    let mut options = PostgresOptions::new(url).pooling(pooling);
    if let Some(deadline) = deadline {
        options = options.deadline(deadline);
    }
    if let Some(bytes) = payload_limit {
        options = options.payload_limit(bytes);
    }
    if let Some(connections) = readers {
        options = options.readers(connections);
    }
    if let Some(connections) = writers {
        options = options.writers(connections);
    }
    Ok(options)
}
