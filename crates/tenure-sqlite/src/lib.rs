//! Sessions in a SQLite file: a [`SessionStore`](tenure_store::SessionStore) for Tenure.
//!
//! For one machine: any number of processes may share the file, a network file system
//! may not lie under it. SQLite is built in; nothing has to be installed.
//!
//! ```
//! use tenure_sqlite::{SqliteOptions, SqliteStore};
//! use tenure_store::{Namespace, SessionStore};
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> tenure_store::Result<()> {
//! # let folder = tempfile::tempdir().expect("a folder");
//! # let path = folder.path().join("sessions.db");
//! let store = SqliteStore::connect(SqliteOptions::new(&path).payload_limit(65_536)).await?;
//! assert_eq!(store.namespaces().await?, Vec::<Namespace>::new());
//! store.close().await
//! # }
//! ```
//!
//! # How it works
//!
//! One thread owns the one connection that writes. While a transaction is under way the
//! next writes queue; the thread then takes all of them as one transaction, so that they
//! share its `fsync`, and answers each caller after the commit. So a caller that goes away
//! interrupts nothing, and one that is alone waits for nobody.
//!
//! Between transactions callers load [by themselves](SqliteOptions::load_in_place), taking turns
//! on that connection; whoever has it also reads for those who came meanwhile. A load that meets
//! a transaction waits for it a millisecond, and is then read like what may take longer, such as
//! a list: on Tokio's blocking threads, with connections of their own.
//!
//! The log is carried over to the database by another thread, so that writes do not wait for
//! it. It may grow to some 100 MB beside a database that much is written to; closing the store
//! takes it away.
//!
//! Every wait is bounded, in number and by a [deadline](SqliteOptions::deadline) for each step
//! of an operation; running out of either is `Unavailable`.
//!
//! # Errors
//!
//! Beyond what the contract says of each kind: `Unavailable` is a lock that another
//! process kept too long, or a failure of the disk; a *full* disk is `Other`, because
//! waiting does not help and nothing was written: free some space and go on.

#![allow(
    clippy::redundant_closure_for_method_calls,
    reason = "a closure reads a row of any lifetime, a method's path one of a single lifetime"
)]

mod access;
mod batch;
mod checkpoint;
mod contract;
mod create;
mod db;
mod describe;
mod due;
mod end;
mod error;
mod file;
mod job;
mod log_in;
mod look;
mod migrate;
mod namespace;
mod options;
mod payload;
mod reads;
mod reap;
mod row;
mod settle;
mod shared;
mod store;
#[cfg(test)]
mod tests;
mod thread;
mod update;
mod writer;
mod writes;

pub use options::{SqliteOptions, Synchronous};
pub use store::SqliteStore;
