//! A backup of an older day is restored under running processes: nobody's sessions become
//! anybody else's, and nothing is said to be done that is not.

mod support;

use rusqlite::Connection;
use support::{Place, at, id, record, store};
use tenure_sqlite::SqliteStore;
use tenure_store::{
    After, Created, EndReason, Filter, Hooks, Namespace, Principal, Resolve, SessionStore,
};

const TABLES: [&str; 4] = ["namespace", "reset", "session", "payload"];

/// A copy as it is now.
fn back_up(place: &Place, name: &str) {
    let copy = place.file(name);
    let copy = copy.to_str().expect("a path of this test");
    place
        .outsider()
        .execute("VACUUM INTO ?1", [copy])
        .expect("copied");
}

/// The copy's content in place of the database's, as an ordinary transaction.
fn restore(place: &Place, name: &str) {
    let outsider: Connection = place.outsider();
    let copy = place.file(name);
    let copy = copy.to_str().expect("a path of this test");
    outsider.execute("ATTACH ?1 AS old", [copy]).expect("there");
    outsider.execute_batch("BEGIN IMMEDIATE").expect("begun");
    for table in TABLES.iter().rev() {
        let delete = format!("DELETE FROM main.{table}");
        outsider.execute(&delete, []).expect("emptied");
    }
    for table in TABLES {
        let columns = "SELECT group_concat(name) FROM pragma_table_info(?1)";
        let columns: String = outsider
            .query_row(columns, [table], |row| row.get(0))
            .expect("columns");
        let fill =
            format!("INSERT INTO main.{table} ({columns}) SELECT {columns} FROM old.{table}");
        outsider.execute(&fill, []).expect("filled");
    }
    outsider.execute_batch("COMMIT").expect("restored");
}

fn application(name: &str) -> Namespace {
    Namespace::sessions(name).expect("a good name")
}

async fn lists(store: &SqliteStore, ns: &Namespace) -> usize {
    let page = store.list(ns, &Filter::all(10), at(1)).await;
    page.expect("listed").entries.len()
}

#[tokio::test]
async fn after_a_restore_no_application_has_anothers_sessions() {
    for in_place in [true, false] {
        let place = Place::new();
        let first = store(place.options().load_in_place(in_place)).await;
        back_up(&place, "old.db");
        let (shop, admin) = (application("shop"), application("admin"));
        first.open(&shop, Hooks::Unstated).await.expect("opened");
        let created = first.create(&shop, &record(1), at(0)).await;
        assert_eq!(created.expect("created"), Created::Done);
        // It knows the shop by all of its connections.
        assert!(
            first
                .load(&shop, id(1), at(1))
                .await
                .expect("loads")
                .is_some()
        );
        assert_eq!(lists(&first, &shop).await, 1);

        restore(&place, "old.db");
        let second = store(place.options()).await;
        second.open(&admin, Hooks::Unstated).await.expect("opened");
        let created = second.create(&admin, &record(2), at(0)).await;
        assert_eq!(created.expect("created"), Created::Done);

        // What was opened since the backup was never opened, for the running process too.
        let now = at(1);
        let refused = first.create(&shop, &record(3), now).await;
        refused.expect_err("it was never opened");
        first
            .reset(&shop, now)
            .await
            .expect_err("it was never opened");
        first
            .epoch(&shop, id(2))
            .await
            .expect_err("it was never opened");
        assert_eq!(first.load(&shop, id(2), now).await.expect("loads"), None);
        assert_eq!(first.inspect(&shop, id(2), now).await.expect("looks"), None);
        assert!(!first.touch(&shop, id(2), now).await.expect("touches"));
        let ended = first.end(&shop, id(2), None, EndReason::Logout, After::Queue, now);
        assert_eq!(ended.await.expect("ends"), None);
        let alice = Principal::new("alice").expect("a good name");
        let ended = first.end_principal(&shop, &alice, None, After::Queue, now);
        assert_eq!(ended.await.expect("ends"), 0);
        assert_eq!(lists(&first, &shop).await, 0);
        assert_eq!(first.count(&shop, now).await.expect("counts").live, 0);
        let resolved = first.resolve(&shop, id(2), Resolve::Discard, now);
        assert!(!resolved.await.expect("resolves"));
        // And the other application's session has seen nothing of it.
        let loaded = second.load(&admin, id(2), now).await.expect("loads");
        assert_eq!(loaded, Some(record(2)));

        // Opened again it is as good as new.
        first.open(&shop, Hooks::Unstated).await.expect("opened");
        let created = first.create(&shop, &record(3), now).await;
        assert_eq!(created.expect("created"), Created::Done);
        assert_eq!(lists(&second, &shop).await, 1);
        assert_eq!(lists(&second, &admin).await, 1);
    }
}

#[tokio::test]
async fn after_a_restore_from_before_the_first_start_nothing_is_said_to_be_done() {
    let place = Place::new();
    let empty = SqliteStore::connect(place.options())
        .await
        .expect("connects");
    back_up(&place, "empty.db");
    let portal = application("portal");
    empty.open(&portal, Hooks::Expected).await.expect("opened");
    let created = empty.create(&portal, &record(1), at(0)).await;
    assert_eq!(created.expect("created"), Created::Done);
    restore(&place, "empty.db");
    empty
        .create(&portal, &record(1), at(0))
        .await
        .expect_err("it was never opened");
    empty
        .reset(&portal, at(1))
        .await
        .expect_err("it was never opened");
    empty.open(&portal, Hooks::Expected).await.expect("opened");
    let created = empty.create(&portal, &record(1), at(0)).await;
    assert_eq!(created.expect("created"), Created::Done);
}
