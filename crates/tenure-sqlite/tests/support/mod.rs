//! What the tests of this crate share: a folder, a store in it, and sessions.

#![allow(
    dead_code,
    unreachable_pub,
    reason = "each test file uses a part of it"
)]

use std::path::PathBuf;
use std::time::Duration;

use rusqlite::Connection;
use tempfile::TempDir;
use tenure_sqlite::{SqliteOptions, SqliteStore};
use tenure_store::{
    Created, Hooks, Namespace, Payload, Principal, Record, Rotation, SessionId, SessionStore,
    Timeout, Timestamp, Version,
};

/// A folder that goes with the test.
pub struct Place(TempDir);

impl Place {
    pub fn new() -> Self {
        Self(tempfile::tempdir().expect("a temporary folder"))
    }

    pub fn path(&self) -> PathBuf {
        self.file("sessions.db")
    }

    pub fn file(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    /// Options that no slow machine makes fail.
    pub fn options(&self) -> SqliteOptions {
        SqliteOptions::new(self.path()).deadline(Duration::from_mins(2))
    }

    /// A store with [`portal`] opened.
    pub async fn store(&self) -> SqliteStore {
        store(self.options()).await
    }

    /// A connection of somebody else's.
    pub fn outsider(&self) -> Connection {
        Connection::open(self.path()).expect("SQLite opens it")
    }
}

pub async fn store(options: SqliteOptions) -> SqliteStore {
    let store = SqliteStore::connect(options).await.expect("connects");
    store
        .open(&portal(), Hooks::Unstated)
        .await
        .expect("the namespace opens");
    store
}

pub fn portal() -> Namespace {
    Namespace::sessions("portal").expect("a good name")
}

pub fn at(millis: i64) -> Timestamp {
    Timestamp::from_millis(millis).expect("within the bounds")
}

pub fn id(number: u64) -> SessionId {
    let mut digest = [0; 16];
    digest[..8].copy_from_slice(&number.to_be_bytes());
    SessionId::from_digest(digest)
}

/// How long [`record`]s may be idle, in milliseconds.
pub const IDLE: i64 = 60_000;

pub fn record(number: u64) -> Record {
    Record {
        id: id(number),
        created: at(0),
        last_access: at(0),
        accesses: 1,
        idle_timeout: Some(Timeout::from_millis(IDLE).expect("long enough")),
        lifetime: None,
        leaves_at: None,
        principal: Some(Principal::new("alice").expect("a good name")),
        rotation: Rotation::default(),
        version: Version::new(number),
        payload: Payload::new(format!("payload {number}")),
    }
}

pub async fn put(store: &SqliteStore, record: &Record) {
    let created = store.create(&portal(), record, record.created).await;
    assert_eq!(created.expect("stored"), Created::Done);
}
