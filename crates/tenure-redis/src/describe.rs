//! What the store says of itself, read from its servers' real settings.

use std::collections::HashMap;

use deadpool_redis::redis::{Value, cmd};
use tenure_store::{Description, ErrorKind, Eviction, Result, Timestamp};

use crate::answer;
use crate::info::{Config, Info};
use crate::layout;
use crate::servers::Servers;
use crate::store::Core;

/// Connects to every server, and refuses those that this store does not work with. One that is
/// away is looked at when it is back.
pub(crate) async fn require(servers: &Servers) -> Result<()> {
    match servers.ask_primaries(cmd("PING")).await {
        Err(error) if error.kind() != ErrorKind::Unavailable => Err(error),
        _ => Ok(()),
    }
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
        .map(|(info, config)| (info.durability(config), info.settings(config)))
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
    let answers = servers.ask_primaries(cmd("INFO")).await?;
    Ok(answers.iter().map(Info::from_value).collect())
}

async fn configs(servers: &Servers) -> Result<Vec<Config>> {
    let mut asking = cmd("CONFIG");
    asking
        .arg("GET")
        .arg(&["appendfsync", "no-appendfsync-on-rewrite", "save"]);
    match servers.ask_primaries(asking).await {
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
    let Some(time) = servers.ask_primaries(cmd("TIME")).await?.into_iter().next() else {
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
