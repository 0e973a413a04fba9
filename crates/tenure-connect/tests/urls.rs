//! What a URL gives, and that every mistake in one is the caller's to correct, in words that say
//! how, and do not repeat what may be secret.

use tenure_store::ErrorKind;

#[tokio::test]
async fn a_mistake_in_a_url_is_misconfigured_and_makes_no_file() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let file = |rest: &str| format!("sqlite:{}/{rest}", folder.path().display());
    for url in [
        "",
        "sessions.db",
        "/srv/hush/sessions.db",
        ":memory:",
        "mongodb://u:hush@localhost",
        "sqlite3:hush.db",
        "memory:hush",
        "memory:?size=hush",
        "sqlite",
        "sqlite:",
        "sqlite://",
        "sqlite:///",
        "sqlite:data/",
        "sqlite::memory:",
        "sqlite://:memory:",
        "sqlite:///:memory:",
        "sqlite:file:hush.db",
        "sqlite:hush%2.db",
        " sqlite:hush.db",
        "sqlite:hush.db\n",
        "sqlite:hush\n.db",
        "sqlite:hush.db\r\n",
        "sqlite:/no/such/folder/sessions.db",
        "redis-cluster://u:hush@a:1,b:2/3",
        "redis-sentinel://u:hush@a:1,b:2",
        "redis://u:hush@a:1?colour=blue",
        "redis://u:hush@a:1/0\n",
        "postgres://u:hush@a/b\n",
        "postgres://u:hush@a/b?pooling=swimming",
        &file("a.db?mode=rwc"),
        &file("a.db?synchronous"),
        &file("a.db?synchronous=off"),
        &file("a.db?synchronous=full&synchronous=normal"),
        &file("a.db?load_in_place=maybe"),
        &file("a.db?Synchronous=normal"),
    ] {
        let Err(error) = tenure_connect::connect(url).await else {
            panic!("{url:?} is taken");
        };
        assert_eq!(error.kind(), ErrorKind::Misconfigured, "{url:?}: {error}");
        let shown = format!("{error} {error:?}");
        assert!(!shown.contains("hush"), "{url:?}: {shown}");
    }
    let made = std::fs::read_dir(folder.path()).expect("readable").count();
    assert_eq!(made, 0, "nothing was made");
}

#[tokio::test]
async fn a_scheme_may_be_in_capitals() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    for scheme in ["sqlite", "SQLite", "SQLITE"] {
        for slashes in ["", "//"] {
            let url = format!("{scheme}:{slashes}{}/a.db", folder.path().display());
            let store = tenure_connect::connect(&url).await.expect("it opens");
            store.close().await.expect("closed");
            assert!(folder.path().join("a.db").exists());
        }
    }
    for url in ["memory:", "Memory:", "MEMORY://"] {
        tenure_connect::connect(url).await.expect("it opens");
    }
}

#[tokio::test]
async fn valkey_is_redis() {
    for (url, says) in [
        ("valkey://a:1?colour=blue", "prefix"),
        ("valkey-cluster://a:1/3", "one database"),
        ("Valkeys-Sentinel://a:1", "primary"),
    ] {
        let Err(error) = tenure_connect::connect(url).await else {
            panic!("{url:?} is taken");
        };
        assert!(error.to_string().contains(says), "{url}: {error}");
    }
}
