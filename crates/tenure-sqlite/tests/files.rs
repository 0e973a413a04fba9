//! What lies at the path: each thing that cannot be a database of sessions is refused in
//! words that say what to do, and what can is nobody else's business.

mod support;

use std::fs;

use support::{Place, at, id, portal, put, record};
use tenure_sqlite::{SqliteOptions, SqliteStore};
use tenure_store::{Error, ErrorKind, Payload, SessionStore};

async fn refusal(options: impl Into<SqliteOptions>) -> Error {
    SqliteStore::connect(options).await.expect_err("refused")
}

async fn assert_refused(options: impl Into<SqliteOptions>, kind: ErrorKind, advice: &str) {
    let error = refusal(options).await;
    assert_eq!(error.kind(), kind, "{error}");
    assert!(error.to_string().contains(advice), "{error}");
}

#[tokio::test]
async fn a_folder_is_refused() {
    let place = Place::new();
    fs::create_dir(place.path()).expect("a folder");
    assert_refused(place.options(), ErrorKind::Misconfigured, "not a file").await;
}

#[tokio::test]
async fn a_missing_folder_is_refused_and_not_made() {
    let place = Place::new();
    let path = place.file("missing/sessions.db");
    assert_refused(path.clone(), ErrorKind::Misconfigured, "does not exist").await;
    assert!(!path.parent().expect("a parent").exists());
}

#[tokio::test]
async fn a_folder_that_is_a_file_is_refused() {
    let place = Place::new();
    fs::write(place.file("file"), "").expect("written");
    let path = place.file("file/sessions.db");
    assert_refused(path, ErrorKind::Misconfigured, "not a folder").await;
}

#[tokio::test]
async fn a_text_file_is_refused_and_unharmed() {
    let place = Place::new();
    let text = "not a database\n".repeat(1000);
    fs::write(place.path(), &text).expect("written");
    assert_refused(place.options(), ErrorKind::Corrupt, "not a SQLite database").await;
    assert_eq!(fs::read_to_string(place.path()).expect("readable"), text);
}

#[tokio::test]
async fn a_read_only_file_is_refused() {
    let place = Place::new();
    place.store().await.close().await.expect("closed");
    let mut permissions = fs::metadata(place.path()).expect("there").permissions();
    permissions.set_readonly(true);
    fs::set_permissions(place.path(), permissions).expect("set");
    assert_refused(place.options(), ErrorKind::Misconfigured, "read-only").await;
}

#[tokio::test]
async fn somebody_elses_database_is_refused_and_unharmed() {
    let place = Place::new();
    let outsider = place.outsider();
    outsider
        .execute_batch("CREATE TABLE session (mine TEXT)")
        .expect("made");
    drop(outsider);
    let before = fs::read(place.path()).expect("readable");
    assert_refused(place.options(), ErrorKind::Misconfigured, "something else").await;
    assert_eq!(fs::read(place.path()).expect("readable"), before);
}

#[tokio::test]
async fn a_database_in_memory_is_refused() {
    for name in [":memory:", ""] {
        assert_refused(name, ErrorKind::Misconfigured, "memory store").await;
    }
}

#[tokio::test]
async fn settings_out_of_range_are_refused() {
    let place = Place::new();
    let options = || SqliteOptions::new(place.path());
    for (options, name) in [
        (options().readers(0), "readers"),
        (options().queue_length(0), "queue_length"),
        (options().deadline(std::time::Duration::ZERO), "deadline"),
        (options().payload_limit(usize::MAX), "payload_limit"),
    ] {
        assert_refused(options, ErrorKind::Misconfigured, name).await;
    }
    assert!(!place.path().exists());
}

#[cfg(unix)]
#[tokio::test]
async fn only_its_owner_can_read_the_database() {
    use std::os::unix::fs::PermissionsExt;

    let place = Place::new();
    let store = place.store().await;
    put(&store, &record(1)).await;
    for name in ["sessions.db", "sessions.db-wal", "sessions.db-shm"] {
        let mode = fs::metadata(place.file(name))
            .expect("there")
            .permissions()
            .mode();
        assert_eq!(mode & 0o777, 0o600, "{name}");
    }
}

#[tokio::test]
async fn a_name_that_looks_like_a_uri_is_a_name() {
    let place = Place::new();
    let path = place.file("file:a?mode=memory");
    let store = SqliteStore::connect(path.clone()).await.expect("connects");
    store.close().await.expect("closed");
    assert!(fs::metadata(path).expect("there").len() > 0);
}

#[tokio::test]
async fn a_truncated_file_is_an_error_and_no_panic() {
    let place = Place::new();
    let store = place.store().await;
    for number in 0..200 {
        put(&store, &record(number)).await;
    }
    store.close().await.expect("closed");
    let whole = fs::read(place.path()).expect("readable");
    let mut refused = 0;
    for tenths in 0..10 {
        fs::write(place.path(), &whole[..whole.len() * tenths / 10]).expect("written");
        let Ok(store) = SqliteStore::connect(place.options()).await else {
            refused += 1;
            continue;
        };
        for number in 0..200 {
            if let Err(error) = store.load(&portal(), id(number), at(1)).await {
                assert_eq!(error.kind(), ErrorKind::Corrupt, "{error}");
                refused += 1;
            }
        }
        store.close().await.expect("closed");
    }
    assert!(refused >= 9, "only an empty file is a database");
}

#[tokio::test]
async fn a_damaged_page_harms_only_what_is_on_it() {
    let place = Place::new();
    let store = place.store().await;
    // So large that each has a page of its own.
    let canary = |number: u64| format!("canary {number:04} ").repeat(200);
    for number in 0..20 {
        let mut record = record(number);
        record.payload = Payload::new(canary(number));
        put(&store, &record).await;
    }
    store.close().await.expect("closed");

    let mut bytes = fs::read(place.path()).expect("readable");
    let needle = b"canary 0007 ";
    let found = bytes
        .windows(needle.len())
        .position(|window| window == needle);
    let page = found.expect("it is there") / 4096 * 4096;
    bytes[page..page + 4096].fill(0xff);
    fs::write(place.path(), bytes).expect("written");

    let store = place.store().await;
    let loads = (0..20).map(|number| {
        let store = &store;
        async move { store.load(&portal(), id(number), at(1)).await }
    });
    let loaded = futures_util::future::join_all(loads).await;
    for (number, loaded) in loaded.into_iter().enumerate() {
        if number == 7 {
            assert_eq!(loaded.expect_err("damaged").kind(), ErrorKind::Corrupt);
        } else {
            assert!(loaded.expect("readable").is_some(), "{number}");
        }
    }
    assert!(store.touch(&portal(), id(7), at(2)).await.expect("touched"));
}
