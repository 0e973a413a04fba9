//! Readers at once: loads take turns where they are asked for; other reads, and loads that
//! are left to other threads, wait for a connection, and no more of them than may.

mod support;

use futures_util::future::join_all;
use support::{Place, at, id, portal, put, record, store};
use tenure_sqlite::SqliteStore;
use tenure_store::{Filter, Result, SessionStore};

/// One connection for what is read aside, and room for one that waits.
async fn narrow(place: &Place, load_in_place: bool) -> SqliteStore {
    let options = place.options().queue_length(1).readers(1);
    let store = store(options.load_in_place(load_in_place)).await;
    put(&store, &record(1)).await;
    store
}

/// So many at once that no thread serves all of them before the last one comes.
const MANY: usize = 100;

/// How many of them were served; the others were told at once that they cannot be.
async fn served<T>(reads: impl IntoIterator<Item = impl Future<Output = Result<T>>>) -> usize {
    let results = join_all(reads).await;
    let served = results.iter().filter(|result| result.is_ok()).count();
    for error in results.into_iter().filter_map(Result::err) {
        assert!(error.is_unavailable(), "{error}");
    }
    served
}

#[tokio::test]
async fn more_readers_than_may_wait_are_unavailable_at_once() {
    let place = Place::new();
    let store = narrow(&place, true).await;
    let (portal, all) = (portal(), Filter::all(10));
    let lists = (0..MANY).map(|_| store.list(&portal, &all, at(1)));
    // One reads and one waits; another if the first was done by then.
    assert!((2..MANY).contains(&served(lists).await));
    let loaded = store.load(&portal, id(1), at(1)).await.expect("answers");
    assert_eq!(loaded, Some(record(1)));
}

#[tokio::test]
async fn loads_need_a_connection_of_their_own_only_where_they_are_left_to_other_threads() {
    for (in_place, expected) in [(true, MANY..MANY + 1), (false, 2..MANY)] {
        let place = Place::new();
        let store = narrow(&place, in_place).await;
        let portal = portal();
        let loads = (0..MANY).map(|_| store.load(&portal, id(1), at(1)));
        let served = served(loads).await;
        assert!(expected.contains(&served), "{served}, in place: {in_place}");
        let loaded = store.load(&portal, id(1), at(1)).await.expect("answers");
        assert_eq!(loaded, Some(record(1)));
        store.close().await.expect("closed");
        let closed = store.load(&portal, id(1), at(1)).await;
        assert!(closed.expect_err("closed").is_unavailable());
    }
}
