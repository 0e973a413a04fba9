//! `redis://host:port/database`, `redis-cluster://host:port,host:port` and
//! `redis-sentinel://host:port,host:port/primary`

use std::sync::Arc;

use tenure_redis::{RedisOptions, RedisStore};
use tenure_store::{Result, SessionStore};

use crate::misconfigured;
use crate::settings::{Settings, decoded};

pub(crate) async fn connect(scheme: &str, rest: &str) -> Result<Arc<dyn SessionStore>> {
    Ok(Arc::new(RedisStore::connect(options(scheme, rest)?).await?))
}

fn options(scheme: &str, rest: &str) -> Result<RedisOptions> {
    let (address, mut settings) = Settings::split(rest);
    let (plain, kind) = scheme.split_once('-').unwrap_or((scheme, ""));
    let mut options = match kind {
        "cluster" => cluster(plain, address)?,
        "sentinel" => sentinel(plain, address, &mut settings)?,
        _ => RedisOptions::single(format!("{plain}:{address}")),
    };
    if let Some(prefix) = settings.take("prefix") {
        options = options.prefix(prefix);
    }
    if let Some(deadline) = settings.deadline()? {
        options = options.deadline(deadline);
    }
    if let Some(bytes) = settings.number("payload_limit")? {
        options = options.payload_limit(bytes);
    }
    if let Some(replicas) = settings.number("wait_for_replicas")? {
        options = options.wait_for_replicas(replicas);
    }
    settings.are_all_known(
        "prefix, deadline_ms, payload_limit, wait_for_replicas and, with Sentinel, database, \
         sentinel_user and sentinel_password",
    )?;
    Ok(options)
}

/// `//user:password@host:port,host:port`
fn cluster(plain: &str, address: &str) -> Result<RedisOptions> {
    let (login, hosts, path) = parts(address)?;
    if !path.is_empty() {
        return Err(misconfigured(
            "a Redis Cluster has one database: its URL ends with the last host",
        ));
    }
    let login = login.map_or(String::new(), |login| format!("{login}@"));
    let nodes = hosts
        .split(',')
        .map(|host| format!("{plain}://{login}{host}"));
    Ok(RedisOptions::cluster(nodes))
}

/// `//user:password@host:port,host:port/primary`
fn sentinel(plain: &str, address: &str, settings: &mut Settings<'_>) -> Result<RedisOptions> {
    let (login, hosts, primary) = parts(address)?;
    if primary.is_empty() || primary.contains('/') {
        return Err(misconfigured(
            "the URL names the primary as its Sentinels do: redis-sentinel://host:port/primary",
        ));
    }
    // The Sentinels' own, in the URL's own encoding.
    let user = settings.take("sentinel_user").unwrap_or_default();
    let own = match settings.take("sentinel_password") {
        Some(password) => format!("{user}:{password}@"),
        None => String::new(),
    };
    let sentinels = hosts
        .split(',')
        .map(|host| format!("{plain}://{own}{host}"));
    let mut options = RedisOptions::sentinel(sentinels, primary);
    if let Some(login) = login {
        let (user, password) = login.split_once(':').unwrap_or(("", login));
        let (user, password) = (decoded(user)?, decoded(password)?);
        options = options.login(
            Some(user.as_str()).filter(|user| !user.is_empty()),
            &password,
        );
    }
    if let Some(number) = settings.number("database")? {
        options = options.database(number);
    }
    Ok(options)
}

/// User and password if they are there, hosts, and what comes behind a slash.
fn parts(address: &str) -> Result<(Option<&str>, &str, &str)> {
    let Some(address) = address.strip_prefix("//") else {
        return Err(misconfigured("a Redis URL goes on with // and a host"));
    };
    let (place, path) = address.split_once('/').unwrap_or((address, ""));
    let (login, hosts) = match place.rsplit_once('@') {
        Some((login, hosts)) => (Some(login), hosts),
        None => (None, place),
    };
    Ok((login, hosts, path))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_url_that_cannot_be_meant_is_refused_and_not_repeated() {
        for (scheme, rest) in [
            ("redis-cluster", "//u:hush@a:1,b:2/3"),
            ("redis-sentinel", "//u:hush@a:1,b:2"),
            ("redis-sentinel", "//u:hush@a:1/one/two"),
            ("redis-sentinel", "//u:hush%2@a:1/one"),
            ("redis-sentinel", "u:hush@a:1/one"),
            (
                "redis-sentinel",
                "//a:1/one?sentinel_password=hush&colour=blue",
            ),
            ("redis", "//u:hush@a:1?colour=blue"),
            ("redis", "//u:hush@a:1?deadline_ms=soon"),
        ] {
            let error = options(scheme, rest).expect_err(rest);
            assert!(!format!("{error:?} {error}").contains("hush"), "{error:?}");
        }
    }

    #[test]
    fn every_kind_of_url_is_understood() {
        for (scheme, rest) in [
            ("redis", "//127.0.0.1:6379/1?prefix=a&payload_limit=1000"),
            ("redis-cluster", "//u:p@a:1,b:2?deadline_ms=500"),
            (
                "redis-sentinel",
                "//p@a:1,b:2/one?database=3&wait_for_replicas=1",
            ),
            (
                "redis-sentinel",
                "//a:1,b:2/one?sentinel_user=watcher&sentinel_password=hush%40",
            ),
        ] {
            assert!(options(scheme, rest).is_ok(), "{scheme}:{rest}");
        }
    }
}
