//! A store of one's own, used for a moment. `tests/one_map.rs` runs the suite on it.

#![expect(clippy::print_stdout, reason = "an example shows what it does")]

mod store;

use store::OneMap;
use tenure_conformance::props::{at, record};
use tenure_store::{After, EndReason, Hooks, Namespace, Result, SessionStore};

#[tokio::main]
async fn main() -> Result<()> {
    let store = OneMap::default();
    let portal = Namespace::sessions("portal")?;
    store.open(&portal, Hooks::Expected).await?;

    let session = record(1);
    let created = store.create(&portal, &session, at(0)).await?;
    let reason = EndReason::Logout;
    let ended = store
        .end(&portal, session.id, None, reason, After::Queue, at(1))
        .await?;
    let again = store.touch(&portal, session.id, at(2)).await?;

    println!("created: {created:?}");
    println!("ended: {:?}", ended.map(|ended| ended.tombstone.end));
    println!("live afterwards: {again}");
    store.close().await
}
