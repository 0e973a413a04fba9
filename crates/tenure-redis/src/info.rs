//! `INFO`: which servers this store works with, asked of each connection when it is made.

use std::collections::HashMap;

use deadpool_redis::redis::{RedisError, RedisResult, Value, make_extension_error};
use tenure_store::{Durability, Eviction};

use crate::answer;
use crate::error::UNFIT;

/// What a server is taken for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// A server that has everything.
    Single,
    /// A node of a cluster. Which of them is a primary its map says, and each by itself.
    Node,
}

/// What a server says of itself, field by field.
pub(crate) struct Info(HashMap<String, String>);

/// Settings that decide how durable a write is; `None` where `CONFIG GET` is forbidden.
pub(crate) type Config = Option<HashMap<String, String>>;

impl Info {
    pub(crate) fn from_value(value: &Value) -> Self {
        let lines = answer::text(value).unwrap_or_default().lines();
        let fields = lines.filter_map(|line| line.split_once(':'));
        let owned = fields.map(|(name, value)| (name.to_owned(), value.to_owned()));
        Self(owned.collect())
    }

    pub(crate) fn get(&self, name: &str) -> &str {
        self.0.get(name).map_or("unknown", String::as_str)
    }

    /// Refuses servers that are too old, that may drop sessions to make room, that are of
    /// another kind, and those that are no primary at the moment.
    pub(crate) fn require(&self, kind: Kind) -> RedisResult<()> {
        let version = self.get("redis_version");
        let major = version.split('.').next();
        let major = major.and_then(|major| major.parse().ok());
        if major.is_none_or(|major: u32| major < 7) {
            return Err(unfit(format!(
                "Redis 7.0 or later is needed, this is {version}"
            )));
        }
        if self.eviction() == Eviction::Possible {
            let policy = self.get("maxmemory_policy");
            return Err(unfit(format!(
                "maxmemory-policy {policy} drops sessions to make room, acknowledged ones too: \
                 set noeviction"
            )));
        }
        match (kind, self.get("redis_mode")) {
            (_, "sentinel") => Err(unfit(
                "this is a Sentinel, not a Redis: name it in a URL that begins with \
                 redis-sentinel:"
                    .to_owned(),
            )),
            (Kind::Single, "cluster") => Err(unfit(
                "this server is a node of a Redis Cluster: name its nodes in a URL that begins \
                 with redis-cluster:, or in RedisOptions::cluster"
                    .to_owned(),
            )),
            (Kind::Node, "standalone") => Err(unfit(
                "this server is no node of a Redis Cluster: name it in a URL that begins with \
                 redis:, or in RedisOptions::single"
                    .to_owned(),
            )),
            // What it shows may be behind, and it takes no writes.
            (Kind::Single, _) if self.get("role") == "slave" => Err(make_extension_error(
                "READONLY".to_owned(),
                Some("the server says that it is a replica".to_owned()),
            )),
            _ => Ok(()),
        }
    }

    pub(crate) fn eviction(&self) -> Eviction {
        // What only evicts keys with a time-to-live evicts nothing here.
        if self.get("maxmemory_policy").starts_with("allkeys-") {
            Eviction::Possible
        } else {
            Eviction::Never
        }
    }

    /// What a write survives once it is acknowledged.
    pub(crate) fn durability(&self, config: &Config) -> Durability {
        let set = |name| {
            let config = config.as_ref();
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

    pub(crate) fn settings(&self, config: &Config) -> String {
        let set = |name| match config {
            Some(config) => config.get(name).map_or("unknown", String::as_str),
            None => "unknown (CONFIG GET is forbidden)",
        };
        let appendonly = if self.get("aof_enabled") == "1" {
            "yes"
        } else {
            "no"
        };
        format!(
            "appendonly={appendonly} appendfsync={} no-appendfsync-on-rewrite={} save={:?} \
             maxmemory-policy={} replicas={}",
            set("appendfsync"),
            set("no-appendfsync-on-rewrite"),
            set("save"),
            self.get("maxmemory_policy"),
            self.get("connected_slaves"),
        )
    }
}

/// A server that this store does not work with, and why.
fn unfit(why: String) -> RedisError {
    make_extension_error(UNFIT.to_owned(), Some(why))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn info(text: &str) -> Info {
        Info::from_value(&Value::BulkString(text.as_bytes().to_vec()))
    }

    fn durability(aof: &str, config: Option<[&str; 3]>) -> Durability {
        let info = info(&format!("# Persistence\r\naof_enabled:{aof}\r\n"));
        let names = ["appendfsync", "no-appendfsync-on-rewrite", "save"].map(str::to_owned);
        let config: Config =
            config.map(|values| names.into_iter().zip(values.map(str::to_owned)).collect());
        info.durability(&config)
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

    #[test]
    fn a_server_of_another_kind_is_refused_and_a_replica_is_waited_for() {
        let code = |info: &Info, kind| match info.require(kind) {
            Ok(()) => String::new(),
            Err(error) => error.code().unwrap_or_default().to_owned(),
        };
        let is = |mode: &str, role: &str| {
            info(&format!(
                "redis_version:7.0.15\r\nredis_mode:{mode}\r\nrole:{role}\r\n"
            ))
        };
        assert_eq!(code(&is("standalone", "master"), Kind::Single), "");
        assert_eq!(code(&is("standalone", "slave"), Kind::Single), "READONLY");
        assert_eq!(code(&is("cluster", "master"), Kind::Single), UNFIT);
        assert_eq!(code(&is("standalone", "master"), Kind::Node), UNFIT);
        assert_eq!(code(&is("cluster", "slave"), Kind::Node), "");
        assert_eq!(code(&is("sentinel", "master"), Kind::Single), UNFIT);
        assert_eq!(code(&info("redis_version:6.2.1\r\n"), Kind::Single), UNFIT);
        assert_eq!(code(&info(""), Kind::Single), UNFIT);
    }
}
