//! From URLs to servers.

use std::sync::Arc;

use deadpool_redis::redis::{ConnectionInfo, IntoConnectionInfo, RedisConnectionInfo};
use tenure_store::{Error, ErrorKind, Result};

use crate::cluster::Cluster;
use crate::error::from_driver;
use crate::info::Kind;
use crate::options::{RedisOptions, Urls};
use crate::sentinel::Sentinel;
use crate::server::Server;
use crate::servers::Place;

/// How the server that has the data will be found. Connects to nobody yet.
pub(crate) fn place(options: &RedisOptions) -> Result<Place> {
    #[cfg(feature = "tls")]
    choose_cryptography();
    let patience = options.patience();
    Ok(match &options.place {
        Urls::Single(url) => {
            let server = Server::new(info(url)?, Kind::Single, patience).map_err(from_driver)?;
            Place::Single(Arc::new(server))
        }
        Urls::Cluster(urls) => {
            let seeds = infos(urls)?;
            if seeds.iter().any(|seed| seed.redis_settings().db() != 0) {
                return Err(misconfigured("a Redis Cluster has no database but 0"));
            }
            Place::Cluster(Arc::new(Cluster::new(seeds, patience)))
        }
        Urls::Sentinel {
            urls,
            primary,
            login,
            database,
        } => {
            let sentinels = infos(urls)?;
            let mut settings = RedisConnectionInfo::default().set_db(i64::from(*database));
            if let Some((user, password)) = login {
                settings = settings.set_password(password);
                if let Some(user) = user {
                    settings = settings.set_username(user);
                }
            }
            let Some(first) = sentinels.first() else {
                return Err(misconfigured("no Sentinel is named"));
            };
            let node = first.clone().set_redis_settings(settings);
            let sentinel = Sentinel::new(sentinels, primary.clone(), node, patience);
            Place::Sentinel(Box::new(sentinel.map_err(from_driver)?))
        }
    })
}

/// The driver takes the process's cryptography, and panics where there is none; so this one
/// is set, unless the service has chosen.
#[cfg(feature = "tls")]
fn choose_cryptography() {
    if rustls::crypto::CryptoProvider::get_default().is_none() {
        // Somebody else may have been quicker: then it is theirs.
        let _ = rustls::crypto::ring::default_provider().install_default();
    }
}

fn infos(urls: &[String]) -> Result<Vec<ConnectionInfo>> {
    urls.iter().map(|url| info(url)).collect()
}

/// The driver's error is left out: it may show the URL, which may hold a password.
fn info(url: &str) -> Result<ConnectionInfo> {
    url.into_connection_info().map_err(|_| {
        misconfigured("a URL of Redis cannot be read: redis://user:password@host:port/database")
    })
}

fn misconfigured(message: &str) -> Error {
    Error::new(ErrorKind::Misconfigured, message)
}
