//! The layout of what is stored: a record beside the data says which it is.

use deadpool_redis::redis::Value;
use tenure_store::{Error, ErrorKind, Result};

use crate::answer;
use crate::keys::{self, SHARDS};
use crate::scripts::LAYOUT;
use crate::store::Core;

/// The layout that this code works with: names and contents of all keys.
pub(crate) const VERSION: u32 = 1;

/// Notes the layout if nobody has; refuses any other.
pub(crate) async fn require(core: &Core) -> Result<()> {
    let noting = LAYOUT
        .on_key(keys::layout(&core.prefix))
        .arg(VERSION)
        .arg(SHARDS);
    let (version, shards) = read(core.servers.ask(noting).await?)?;
    if (version, shards) == (Some(VERSION), Some(u32::from(SHARDS))) {
        return Ok(());
    }
    let shown = |number: Option<u32>| number.map_or("unknown".to_owned(), |n| n.to_string());
    let message = format!(
        "what is stored has layout {} in {} shards, this code works with layout {VERSION} in \
         {SHARDS}: run the code that wrote it, or take another prefix",
        shown(version),
        shown(shards)
    );
    Err(Error::new(ErrorKind::SchemaMismatch, message))
}

/// The version that is noted.
pub(crate) async fn applied(core: &Core) -> Result<Option<u32>> {
    let reading = crate::call::Call::plain("HMGET")
        .arg(keys::layout(&core.prefix))
        .arg(&["version", "shards"]);
    Ok(read(core.servers.ask(reading).await?)?.0)
}

fn read(noted: Value) -> Result<(Option<u32>, Option<u32>)> {
    let [version, shards] = answer::tuple(noted)?;
    let number = |value| {
        answer::number(&value)
            .ok()
            .and_then(|number| number.try_into().ok())
    };
    Ok((number(version), number(shards)))
}
