//! What the store says of itself, read from its servers' real settings; and which servers
//! it does not work with.

use std::collections::HashMap;

use deadpool_redis::redis::{Value, cmd};
use tenure_store::{Description, Durability, Error, ErrorKind, Eviction, Result, Timestamp};

use crate::answer;
use crate::layout;
use crate::servers::Servers;
use crate::store::Core;

/// `INFO`, field by field.
struct Info(HashMap<String, String>);

/// Settings that decide how durable a write is; `None` where `CONFIG GET` is forbidden.
type Config = Option<HashMap<String, String>>;

/// Refuses servers that are too old, and those that may drop sessions to make room.
pub(crate) async fn require(servers: &Servers) -> Result<()> {
    for info in infos(servers).await? {
        let version = info.get("redis_version");
        let major = version
            .split('.')
            .next()
            .and_then(|major| major.parse().ok());
        if major.is_none_or(|major: u32| major < 7) {
            return Err(misconfigured(format!(
                "Redis 7.0 or later is needed, this is {version}"
            )));
        }
        if info.eviction() == Eviction::Possible {
            let policy = info.get("maxmemory_policy");
            return Err(misconfigured(format!(
                "maxmemory-policy {policy} drops sessions to make room, acknowledged ones too: \
                 set noeviction"
            )));
        }
    }
    Ok(())
}

pub(crate) async fn describe(core: &Core) -> Result<Description> {
    let servers = &core.servers;
    let infos = infos(servers).await?;
    let configs = configs(servers).await?;
    let version = infos.first().map_or("", |info| info.get("redis_version"));
    let mut description = Description::new("redis", version, core.payload_limit);
    description.clock = clock(servers).await?;
    if infos
        .iter()
        .any(|info| info.eviction() == Eviction::Possible)
    {
        description.eviction = Eviction::Possible;
    }
    // A cluster is as durable as its weakest server.
    let weakest = infos
        .iter()
        .zip(&configs)
        .map(|(info, config)| {
            (
                info.durability(config.as_ref()),
                info.settings(config.as_ref()),
            )
        })
        .min_by_key(|(durability, _)| *durability);
    if let Some((durability, settings)) = weakest {
        description.durability = durability;
        description.settings = format!("{settings} wait_for_replicas={}", servers.replicas);
    }
    description.schema_applied = layout::applied(core).await?;
    description.schema_expected = Some(layout::VERSION);
    Ok(description)
}

async fn infos(servers: &Servers) -> Result<Vec<Info>> {
    let answers = servers.ask_each(cmd("INFO")).await?;
    answers.iter().map(Info::from_value).collect()
}

async fn configs(servers: &Servers) -> Result<Vec<Config>> {
    let mut asking = cmd("CONFIG");
    asking
        .arg("GET")
        .arg(&["appendfsync", "no-appendfsync-on-rewrite", "save"]);
    match servers.ask_each(asking).await {
        Ok(answers) => answers
            .into_iter()
            .map(|answer| pairs(answer).map(Some))
            .collect(),
        // Many a hosted Redis forbids it.
        Err(error) if !error.is_unavailable() => {
            Ok(infos(servers).await?.iter().map(|_| None).collect())
        }
        Err(error) => Err(error),
    }
}

/// The first server's.
async fn clock(servers: &Servers) -> Result<Option<Timestamp>> {
    let Some(time) = servers.ask_each(cmd("TIME")).await?.into_iter().next() else {
        return Ok(None);
    };
    let [seconds, micros] = answer::tuple(time)?;
    let millis = answer::number(&seconds)?.saturating_mul(1000);
    let millis = millis.saturating_add(answer::number(&micros)? / 1000);
    Ok(Some(Timestamp::from_millis_clamped(millis)))
}

fn pairs(value: Value) -> Result<HashMap<String, String>> {
    let mut pairs = HashMap::new();
    for pair in answer::array(value)?.chunks_exact(2) {
        if let [name, value] = pair {
            pairs.insert(
                answer::text(name)?.to_owned(),
                answer::text(value)?.to_owned(),
            );
        }
    }
    Ok(pairs)
}

impl Info {
    fn from_value(value: &Value) -> Result<Self> {
        let lines = answer::text(value)?.lines();
        let fields = lines.filter_map(|line| line.split_once(':'));
        Ok(Self(
            fields
                .map(|(name, value)| (name.to_owned(), value.to_owned()))
                .collect(),
        ))
    }

    fn get(&self, name: &str) -> &str {
        self.0.get(name).map_or("unknown", String::as_str)
    }

    fn eviction(&self) -> Eviction {
        // What only evicts keys with a time-to-live evicts nothing here.
        if self.get("maxmemory_policy").starts_with("allkeys-") {
            Eviction::Possible
        } else {
            Eviction::Never
        }
    }

    /// What a write survives once it is acknowledged.
    fn durability(&self, config: Option<&HashMap<String, String>>) -> Durability {
        let set = |name| {
            config
                .and_then(|config| config.get(name))
                .map(String::as_str)
        };
        if self.get("aof_enabled") == "1" {
            return match set("appendfsync") {
                // With the other setting, nothing is flushed while the file is rewritten.
                Some("always") if set("no-appendfsync-on-rewrite") == Some("no") => {
                    Durability::Disk
                }
                // The operating system has each write before it is acknowledged.
                Some("always" | "no") => Durability::Process,
                // While a flush is under way, up to two seconds of writes are in Redis'
                // memory alone.
                _ => Durability::Snapshot,
            };
        }
        match set("save") {
            None | Some("") => Durability::Volatile,
            Some(_) => Durability::Snapshot,
        }
    }

    fn settings(&self, config: Option<&HashMap<String, String>>) -> String {
        let set = |name| match config {
            Some(config) => config.get(name).map_or("unknown", String::as_str),
            None => "unknown (CONFIG GET is forbidden)",
        };
        format!(
            "appendonly={} appendfsync={} no-appendfsync-on-rewrite={} save={:?} \
             maxmemory-policy={} replicas={}",
            if self.get("aof_enabled") == "1" {
                "yes"
            } else {
                "no"
            },
            set("appendfsync"),
            set("no-appendfsync-on-rewrite"),
            set("save"),
            self.get("maxmemory_policy"),
            self.get("connected_slaves"),
        )
    }
}

fn misconfigured(message: String) -> Error {
    Error::new(ErrorKind::Misconfigured, message)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn durability(aof: &str, config: Option<[&str; 3]>) -> Durability {
        let info =
            Value::BulkString(format!("# Persistence\r\naof_enabled:{aof}\r\n").into_bytes());
        let names = ["appendfsync", "no-appendfsync-on-rewrite", "save"].map(str::to_owned);
        let config: Config =
            config.map(|values| names.into_iter().zip(values.map(str::to_owned)).collect());
        let info = Info::from_value(&info).expect("it can be read");
        info.durability(config.as_ref())
    }

    #[test]
    fn durability_is_what_the_settings_give_and_no_more() {
        let always = ["always", "no", ""];
        assert_eq!(durability("1", Some(always)), Durability::Disk);
        let rewriting = ["always", "yes", ""];
        assert_eq!(durability("1", Some(rewriting)), Durability::Process);
        assert_eq!(durability("1", Some(["no", "no", ""])), Durability::Process);
        let each_second = ["everysec", "no", "3600 1"];
        assert_eq!(durability("1", Some(each_second)), Durability::Snapshot);
        assert_eq!(durability("1", None), Durability::Snapshot);
        let saved = ["always", "no", "3600 1"];
        assert_eq!(durability("0", Some(saved)), Durability::Snapshot);
        assert_eq!(durability("0", Some(always)), Durability::Volatile);
        assert_eq!(durability("0", None), Durability::Volatile);
    }
}
