//! Many callers at once: their operations are carried out together, and each gets an
//! answer of its own.

mod support;

use std::time::Duration;

use futures_util::future::join_all;
use support::{Place, at, id, portal, put, record, store};
use tenure_sqlite::{SqliteOptions, Synchronous};
use tenure_store::{
    Access, Change, Created, Durability, ErrorKind, Namespace, Payload, SessionStore, Updated,
    Version,
};

#[tokio::test]
async fn nobody_fails_for_anothers_write() {
    let place = Place::new();
    let store = place.store().await;
    put(&store, &record(1)).await;
    let unknown = Namespace::sessions("unknown").expect("a good name");
    let (portal, first, third) = (portal(), record(2), record(3));
    let change = Change::new(Version::new(100), Access::Counts);
    // One runtime thread: all five are in the queue before the writer looks.
    let (created, refused, touched, updated, also_created) = tokio::join!(
        store.create(&portal, &first, at(0)),
        store.create(&unknown, &third, at(0)),
        store.touch(&portal, id(1), at(1)),
        store.update(&portal, id(1), Version::new(1), &change, at(2)),
        store.create(&portal, &third, at(0)),
    );
    assert_eq!(created.expect("stored"), Created::Done);
    assert_eq!(refused.expect_err("unknown").kind(), ErrorKind::NotOpened);
    assert!(touched.expect("touched"));
    assert_eq!(updated.expect("updated"), Updated::Done);
    assert_eq!(also_created.expect("stored"), Created::Done);

    let loaded = store.load(&portal, id(1), at(3)).await.expect("answers");
    let accesses = loaded.expect("it is live").accesses;
    assert_eq!(
        accesses, 3,
        "what was undone was done once more, and only once"
    );
}

#[tokio::test]
async fn nobody_fails_for_anothers_damage() {
    let place = Place::new();
    let store = place.store().await;
    for number in 1..=3 {
        put(&store, &record(number)).await;
    }
    place
        .outsider()
        .execute_batch("UPDATE session SET bytes = NULL WHERE number = 2")
        .expect("damaged");

    let portal = portal();
    let (first, second, third) = tokio::join!(
        store.load(&portal, id(1), at(1)),
        store.load(&portal, id(2), at(1)),
        store.load(&portal, id(3), at(1)),
    );
    assert_eq!(first.expect("readable"), Some(record(1)));
    assert_eq!(second.expect_err("damaged").kind(), ErrorKind::Corrupt);
    assert_eq!(third.expect("readable"), Some(record(3)));

    // It can be shown and listed all the same, and a new payload heals it.
    let entry = store.inspect(&portal, id(2), at(1)).await.expect("answers");
    assert!(entry.expect("it is there").record.payload.is_empty());
    let mut change = Change::new(Version::new(9), Access::Passive);
    change.payload = Some(record(2).payload);
    let healed = store
        .update(&portal, id(2), Version::new(2), &change, at(1))
        .await;
    assert_eq!(healed.expect("updated"), Updated::Done);
    let loaded = store.load(&portal, id(2), at(1)).await.expect("readable");
    assert_eq!(loaded.expect("it is live").payload, record(2).payload);
}

#[tokio::test]
async fn a_payload_of_any_size_takes_the_place_of_any_other() {
    let place = Place::new();
    let store = place.store().await;
    put(&store, &record(1)).await;
    let (portal, sizes) = (portal(), [100, 100_000, 50_000, 0, 1800, 1801, 1]);
    for (version, size) in (1..).zip(sizes) {
        let mut change = Change::new(Version::new(version + 1), Access::Passive);
        change.payload = Some(Payload::new(vec![7; size]));
        let expected = Version::new(version);
        let updated = store.update(&portal, id(1), expected, &change, at(1)).await;
        assert_eq!(updated.expect("updated"), Updated::Done);
        let loaded = store.load(&portal, id(1), at(1)).await.expect("answers");
        assert_eq!(loaded.expect("it is live").payload.len(), size);
    }
    let apart = "SELECT count(*) FROM payload";
    let apart = place.outsider().query_row(apart, [], |row| row.get(0));
    assert_eq!(apart, Ok(0), "what was replaced is gone");
}

#[tokio::test]
async fn touches_of_one_session_at_once_all_count() {
    let place = Place::new();
    let store = place.store().await;
    put(&store, &record(1)).await;
    let portal = portal();
    let touches = (0..50).map(|millis| store.touch(&portal, id(1), at(millis)));
    for touched in join_all(touches).await {
        assert!(touched.expect("touched"));
    }
    let loaded = store.load(&portal, id(1), at(60)).await.expect("answers");
    let loaded = loaded.expect("it is live");
    assert_eq!((loaded.accesses, loaded.last_access), (51, at(49)));
}

#[tokio::test]
async fn a_full_queue_is_unavailable_at_once() {
    let place = Place::new();
    let store = store(place.options().queue_length(1)).await;
    put(&store, &record(1)).await;
    let portal = portal();
    // So many that the writer cannot have taken each before the next one comes.
    let touches = join_all((0..100).map(|_| store.touch(&portal, id(1), at(1)))).await;
    let (done, refused): (Vec<_>, Vec<_>) = touches.into_iter().partition(Result::is_ok);
    assert!(!done.is_empty() && !refused.is_empty());
    for error in refused.into_iter().filter_map(Result::err) {
        assert!(error.is_unavailable(), "{error}");
    }
    assert!(store.touch(&portal, id(1), at(1)).await.expect("touched"));
}

#[tokio::test]
async fn a_lock_that_is_kept_too_long_is_unavailable_and_no_more() {
    let place = Place::new();
    let patient = place.store().await;
    put(&patient, &record(1)).await;
    let hasty = store(SqliteOptions::new(place.path()).deadline(Duration::from_millis(50))).await;

    let outsider = place.outsider();
    outsider.execute_batch("BEGIN IMMEDIATE").expect("locked");
    let error = hasty
        .touch(&portal(), id(1), at(1))
        .await
        .expect_err("locked");
    assert!(error.is_unavailable(), "{error}");
    let loaded = hasty
        .load(&portal(), id(1), at(1))
        .await
        .expect("readers need no lock");
    assert_eq!(loaded, Some(record(1)));
    hasty.close().await.expect("closed");

    let portal = portal();
    let unlock = async {
        outsider.execute_batch("ROLLBACK").expect("unlocked");
    };
    let (touched, ()) = tokio::join!(patient.touch(&portal, id(1), at(1)), unlock);
    assert!(touched.expect("it waited"));
    // What nobody waited for any more was not done later.
    let loaded = patient.load(&portal, id(1), at(2)).await.expect("answers");
    assert_eq!(loaded.expect("it is live").accesses, 2);
}

#[tokio::test]
async fn what_was_given_up_behind_a_lock_is_not_written_when_the_lock_goes() {
    let place = Place::new();
    let patient = place.store().await;
    put(&patient, &record(1)).await;
    let hasty = store(place.options().deadline(Duration::from_millis(20))).await;
    let outsider = place.outsider();
    for number in 2..52 {
        outsider.execute_batch("BEGIN IMMEDIATE").expect("locked");
        let refused = hasty.create(&portal(), &record(number), at(0)).await;
        assert!(refused.expect_err("locked").is_unavailable());
        outsider.execute_batch("ROLLBACK").expect("unlocked");
        // Behind it in the same queue.
        while hasty.touch(&portal(), id(1), at(1)).await.is_err() {}
        let loaded = patient.load(&portal(), id(number), at(1)).await;
        assert_eq!(loaded.expect("answers"), None, "{number}");
    }
}

#[tokio::test]
async fn closing_finishes_what_was_accepted_and_takes_nothing_more() {
    let place = Place::new();
    let store = place.store().await;
    let portal = portal();
    let records: Vec<_> = (0..100).map(record).collect();
    let writes = join_all(
        records
            .iter()
            .map(|record| store.create(&portal, record, at(0))),
    );
    // Polled in this order: the writes are in the queue when the store closes.
    let (created, closed) = tokio::join!(writes, store.close());
    closed.expect("closed");
    for created in created {
        assert_eq!(created.expect("stored"), Created::Done);
    }
    store.close().await.expect("closed again");
    assert!(
        store
            .load(&portal, id(1), at(1))
            .await
            .expect_err("closed")
            .is_unavailable()
    );
    assert!(
        store
            .touch(&portal, id(1), at(1))
            .await
            .expect_err("closed")
            .is_unavailable()
    );
    assert!(
        !place.file("sessions.db-wal").exists(),
        "all is in one file"
    );

    let store = place.store().await;
    assert_eq!(
        store.count(&portal, at(1)).await.expect("counted").live,
        100
    );
}

#[tokio::test]
async fn closing_one_node_of_two_empties_the_log() {
    let place = Place::new();
    let (first, second) = (place.store().await, place.store().await);
    put(&first, &record(1)).await;
    let log = || {
        std::fs::metadata(place.file("sessions.db-wal"))
            .expect("there")
            .len()
    };
    assert!(log() > 0);
    first.close().await.expect("closed");
    assert_eq!(log(), 0);
    assert!(
        second
            .touch(&portal(), id(1), at(1))
            .await
            .expect("touched")
    );
}

#[tokio::test]
async fn a_store_that_is_dropped_keeps_what_it_acknowledged() {
    let place = Place::new();
    put(&place.store().await, &record(1)).await;
    let store = place.store().await;
    let loaded = store.load(&portal(), id(1), at(1)).await.expect("answers");
    assert_eq!(loaded, Some(record(1)));
}

#[tokio::test]
async fn a_description_shows_the_settings_that_are_in_force() {
    let place = Place::new();
    let full = place
        .store()
        .await
        .describe(at(0))
        .await
        .expect("described");
    assert_eq!(
        (full.backend, full.durability),
        ("sqlite", Durability::Disk)
    );
    assert_eq!(full.settings, "journal_mode=wal synchronous=full");
    assert_eq!(
        (full.schema_applied, full.schema_expected),
        (Some(1), Some(1))
    );
    assert_eq!(full.payload_limit, 1_048_576);
    let version: Vec<u32> = full
        .version
        .split('.')
        .filter_map(|part| part.parse().ok())
        .collect();
    assert!(
        version >= vec![3, 51, 3],
        "older ones can lose writes: {}",
        full.version
    );

    let options = place.options().synchronous(Synchronous::Normal);
    let normal = store(options)
        .await
        .describe(at(0))
        .await
        .expect("described");
    assert_eq!(normal.durability, Durability::Process);
    assert_eq!(normal.settings, "journal_mode=wal synchronous=normal");
}
