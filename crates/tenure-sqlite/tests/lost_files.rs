//! The files under an open database are removed, replaced, or not where another process looks:
//! nothing is acknowledged that the next process does not find.

#![cfg(unix)]

mod support;

use std::fs;
use std::path::Path;
use std::process::Command;

use support::{Place, at, id, portal, put, record};
use tenure_sqlite::{SqliteOptions, SqliteStore};
use tenure_store::{Error, ErrorKind, Filter, SessionStore};

/// Makes sessions until one is refused; gives the number of that one.
async fn until_refused(store: &SqliteStore, from: u64) -> (u64, Error) {
    for number in from..from + 10 {
        let created = store.create(&portal(), &record(number), at(0)).await;
        if let Err(error) = created {
            return (number, error);
        }
    }
    panic!("nobody noticed");
}

/// What the next process finds has all that was acknowledged; then everything is refused.
async fn assert_noticed(place: &Place, store: SqliteStore, kept: u64) {
    let (number, error) = until_refused(&store, 100).await;
    assert_eq!(number, 100, "the first is noticed");
    assert!(error.is_unavailable(), "{error}");
    assert!(error.to_string().contains("may be lost"), "{error}");
    for refused in [
        store.load(&portal(), id(1), at(1)).await.map(drop),
        store.touch(&portal(), id(1), at(1)).await.map(drop),
        store
            .list(&portal(), &Filter::all(10), at(1))
            .await
            .map(drop),
        store.back_up(place.file("copy.db")).await,
    ] {
        let refused = refused.expect_err("it is lost");
        assert_eq!(refused.kind(), ErrorKind::Misconfigured, "{refused}");
        assert!(refused.to_string().contains("start the service again"));
    }
    store.close().await.expect("closed");
    // As the error says.
    for end in ["wal", "shm"] {
        let _ = fs::remove_file(place.file(&format!("sessions.db-{end}")));
    }

    let next = place.store().await;
    for number in 0..kept {
        let loaded = next
            .load(&portal(), id(number), at(1))
            .await
            .expect("loads");
        assert_eq!(loaded, Some(record(number)));
    }
    let loaded = next.load(&portal(), id(100), at(1)).await.expect("loads");
    assert_eq!(loaded, None, "it was not acknowledged");
}

async fn filled(place: &Place) -> SqliteStore {
    let store = place.store().await;
    for number in 0..5 {
        put(&store, &record(number)).await;
    }
    store
}

#[tokio::test]
async fn a_database_that_was_removed_is_noticed_before_the_next_write_is_acknowledged() {
    let place = Place::new();
    let store = filled(&place).await;
    fs::remove_file(place.path()).expect("removed");
    assert_noticed(&place, store, 0).await;
}

#[tokio::test]
async fn a_database_that_was_replaced_is_noticed_before_the_next_write_is_acknowledged() {
    let place = Place::new();
    let store = filled(&place).await;
    let copy = place.file("copy.db");
    store.back_up(&copy).await.expect("copied");
    fs::rename(copy, place.path()).expect("replaced");
    assert_noticed(&place, store, 5).await;
}

#[tokio::test]
async fn a_log_that_was_removed_is_noticed_before_the_next_write_is_acknowledged() {
    let place = Place::new();
    let store = filled(&place).await;
    // As another program does that does not see this process's locks.
    let outsider = place.outsider();
    outsider
        .execute_batch("PRAGMA wal_checkpoint(FULL)")
        .expect("carried over");
    for end in ["wal", "shm"] {
        fs::remove_file(place.file(&format!("sessions.db-{end}"))).expect("removed");
    }
    drop(outsider);
    assert_noticed(&place, store, 5).await;
}

#[tokio::test]
async fn a_link_that_leads_elsewhere_is_noticed_before_the_next_write_is_acknowledged() {
    let place = Place::new();
    let (real, other) = (place.file("real.db"), place.file("other.db"));
    for path in [&real, &other] {
        support::store(SqliteOptions::new(path))
            .await
            .close()
            .await
            .expect("closed");
    }
    std::os::unix::fs::symlink(&real, place.path()).expect("linked");
    let store = filled(&place).await;
    fs::remove_file(place.path()).expect("removed");
    std::os::unix::fs::symlink(&other, place.path()).expect("linked");
    assert_noticed(&place, store, 0).await;
}

#[tokio::test]
async fn a_file_with_a_second_name_is_refused() {
    let place = Place::new();
    filled(&place).await.close().await.expect("closed");
    fs::hard_link(place.path(), place.file("second.db")).expect("linked");
    let refused = SqliteStore::connect(place.options())
        .await
        .expect_err("two");
    assert_eq!(refused.kind(), ErrorKind::Misconfigured, "{refused}");
    assert!(refused.to_string().contains("hard link"), "{refused}");
    fs::remove_file(place.file("second.db")).expect("removed");
    let store = place.store().await;
    let loaded = store.load(&portal(), id(1), at(1)).await.expect("loads");
    assert_eq!(loaded, Some(record(1)));
}

/// Mounts one file over another as long as it lives; `None` where nobody may.
struct Mounted<'a>(&'a Path);

impl<'a> Mounted<'a> {
    fn file(from: &Path, over: &'a Path) -> Option<Self> {
        let mount = Command::new("mount")
            .arg("--bind")
            .args([from, over])
            .output();
        mount.ok()?.status.success().then_some(Self(over))
    }
}

impl Drop for Mounted<'_> {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg(self.0).output();
    }
}

#[tokio::test]
async fn a_file_that_is_mounted_without_its_folder_is_refused() {
    let (host, container) = (Place::new(), Place::new());
    filled(&host).await.close().await.expect("closed");
    let path = container.path();
    fs::write(&path, "").expect("something to mount over");
    let Some(_mounted) = Mounted::file(&host.path(), &path) else {
        // Only who may mount can see it.
        return;
    };
    let refused = SqliteStore::connect(&*path).await.expect_err("alone");
    assert_eq!(refused.kind(), ErrorKind::Misconfigured, "{refused}");
    assert!(
        refused.to_string().contains("mount its folder"),
        "{refused}"
    );
}

#[tokio::test]
async fn a_backup_has_what_was_acknowledged_and_takes_no_path_that_is_in_use() {
    use std::os::unix::fs::PermissionsExt;

    let place = Place::new();
    let store = filled(&place).await;
    let copy = place.file("copy.db");
    store.back_up(&copy).await.expect("copied");
    let mode = fs::metadata(&copy).expect("there").permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    put(&store, &record(50)).await;
    let refused = store.back_up(&copy).await.expect_err("in use");
    assert_eq!(refused.kind(), ErrorKind::Misconfigured, "{refused}");
    let refused = store.back_up(place.path()).await.expect_err("in use");
    assert_eq!(refused.kind(), ErrorKind::Misconfigured, "{refused}");
    let refused = store.back_up(place.file("no/copy.db")).await;
    assert_eq!(
        refused.expect_err("no folder").kind(),
        ErrorKind::Misconfigured
    );
    put(&store, &record(51)).await;

    let restored = support::store(SqliteOptions::new(copy)).await;
    for number in 0..5 {
        let loaded = restored.load(&portal(), id(number), at(1)).await;
        assert_eq!(loaded.expect("loads"), Some(record(number)));
    }
    let later = restored.load(&portal(), id(50), at(1)).await;
    assert_eq!(later.expect("loads"), None);
}
