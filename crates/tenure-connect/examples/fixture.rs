//! Writes a session of every kind, under the present schema, to the empty store whose URL it
//! is given. Each backend's tests keep what came of it, for each schema there ever was.

use std::time::Duration;

use tenure_store::{
    After, EndReason, Failure, Hooks, Namespace, Outcome, Payload, Principal, Record, Rotation,
    SessionId, Timeout, Timestamp, Version,
};

/// Long ago, so that only what cannot run out is live.
const CREATED: i64 = 1_767_268_800_000;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let url = std::env::args().nth(1).ok_or("give a store's URL")?;
    let store = tenure_connect::connect(&url).await?;
    let ns = Namespace::sessions("portal")?;
    let now = Timestamp::from_millis(CREATED)?;
    let later = now.plus(Duration::from_mins(1));
    store.open(&ns, Hooks::Expected).await?;

    let reset_under = record(1, None)?;
    let _ = store.create(&ns, &reset_under, now).await?;
    store.reset(&ns, later).await?;

    let anonymous = record(2, None)?;
    let logged_in = record(3, Some("alice"))?;
    let ended = record(4, Some("alice"))?;
    let given_up = record(5, None)?;
    let ran_out = Record {
        idle_timeout: Some(Timeout::new(Duration::from_mins(20))?),
        ..record(6, None)?
    };
    for record in [anonymous, logged_in, ended, given_up, ran_out] {
        let _ = store.create(&ns, &record, now).await?;
    }
    store.touch(&ns, id(3), later).await?;
    store
        .end(&ns, id(4), None, EndReason::Logout, After::Queue, later)
        .await?;
    let lease = After::Hold(Duration::from_mins(1));
    let held = store
        .end(&ns, id(5), None, EndReason::Administrator, lease, later)
        .await?;
    let ticket = held.ok_or("it was live")?.ticket();
    let why = Failure::new("the mail server said no");
    store
        .settle(&ns, &[(ticket, Outcome::Dead { why })], later)
        .await?;
    store.close().await?;
    Ok(())
}

fn id(number: u8) -> SessionId {
    SessionId::from_digest([number; 16])
}

fn record(number: u8, principal: Option<&str>) -> tenure_store::Result<Record> {
    Ok(Record {
        id: id(number),
        created: Timestamp::from_millis(CREATED)?,
        last_access: Timestamp::from_millis(CREATED)?,
        accesses: 1,
        idle_timeout: None,
        lifetime: None,
        leaves_at: None,
        principal: principal.map(Principal::new).transpose()?,
        rotation: Rotation::new(u32::from(number), None)?,
        version: Version::new(u64::MAX - u64::from(number)),
        payload: Payload::new(vec![number; 100]),
    })
}
