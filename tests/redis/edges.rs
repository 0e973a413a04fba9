//! Numbers at their limits: scripts count in doubles, and must not round.

use tenure_conformance::props::{LEASE, id, passive, payload, record, version};
use tenure_conformance::story::Story as _;
use tenure_store::{
    EndReason, Entry, Imported, Record, Result, Rotation, State, Timeout, Timestamp, Updated,
};

use crate::base::{Base, portal};

fn time(millis: i64) -> Timestamp {
    Timestamp::from_millis(millis).expect("it is in range")
}

const LAST: i64 = 1 << 53;

/// Odd numbers next to the limit, where a double that is off is off by one.
fn odd(number: u64) -> Record {
    Record {
        created: time(1 - LAST),
        last_access: time(LAST - 3),
        accesses: (1 << 53) - 3,
        idle_timeout: None,
        lifetime: Timeout::from_millis(LAST - 1).ok(),
        leaves_at: Some(time(LAST - 1)),
        rotation: Rotation::new(Rotation::MAX, Some(time(1 - LAST))).expect("it is in range"),
        ..record(number)
    }
}

#[tokio::test]
#[ignore = "needs Redis: run scripts/test"]
async fn numbers_at_the_limit_are_kept_exactly() -> Result<()> {
    let base = Base::new().await;
    let (ns, store) = (portal(), base.store().await);
    let now = time(1 - LAST);
    store.put(&ns, &odd(1)).await?;
    // A change of everything's length and of nothing else rewrites the header and the rest.
    let mut change = passive(9);
    change.payload = Some(payload(7));
    let updated = store.update(&ns, id(1), version(1), &change, now).await?;
    assert_eq!(updated, Updated::Done);
    let mut expected = odd(1);
    expected.version = change.version;
    expected.payload = payload(7);
    assert_eq!(store.load(&ns, id(1), now).await?, Some(expected.clone()));
    for later in [time(2 - LAST), now] {
        assert!(store.touch(&ns, id(1), later).await?);
        expected.access(later);
        assert_eq!(store.load(&ns, id(1), now).await?, Some(expected.clone()));
    }
    assert_eq!(expected.accesses, (1 << 53) - 1);
    Ok(())
}

/// No time-out goes beyond the last instant, and there it is over.
#[tokio::test]
#[ignore = "needs Redis: run scripts/test"]
async fn the_longest_time_outs_end_with_time() -> Result<()> {
    let base = Base::new().await;
    let (ns, store) = (portal(), base.store().await);
    let endless = Timeout::MAX;
    let session = Record {
        lifetime: None,
        idle_timeout: Some(endless),
        leaves_at: None,
        ..odd(1)
    };
    store.put(&ns, &session).await?;
    assert!(store.touch(&ns, id(1), time(LAST - 1)).await?);
    assert_eq!(store.claim_all(&ns, time(LAST - 1)).await?, []);
    assert!(!store.touch(&ns, id(1), Timestamp::MAX).await?);
    let claimed = store.claim(&ns, LEASE, 10, Timestamp::MAX).await?;
    let end = claimed.ended[0].tombstone.end;
    assert_eq!(
        (end.reason, end.at),
        (EndReason::IdleTimeout, Timestamp::MAX)
    );
    Ok(())
}

#[tokio::test]
#[ignore = "needs Redis: run scripts/test"]
async fn more_accesses_than_can_be_counted_are_none_more() -> Result<()> {
    let base = Base::new().await;
    let (ns, store) = (portal(), base.store().await);
    let entry = Entry {
        record: Record {
            accesses: 1 << 53,
            ..odd(1)
        },
        state: State::Live,
    };
    let now = time(1 - LAST);
    assert_eq!(store.bring(&ns, &entry, now).await?, Imported::Done);
    assert!(store.touch(&ns, id(1), now).await?);
    let loaded = store.load(&ns, id(1), now).await?.expect("it is live");
    assert_eq!(loaded.accesses, 1 << 53);
    Ok(())
}
