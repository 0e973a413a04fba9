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
//! a transaction waits for it a millisecond, and is then left to a thread with a connection of its
//! own; so is what may take longer, such as a list, to others. All of these threads are the
//! store's: neither a caller that begins a call and does not poll it on, nor a runtime that goes
//! away, holds up anybody else.
//!
//! The log is carried over to the database by another thread, so that writes do not wait for
//! it. It may grow to some 100 MB beside a database that much is written to; closing the store
//! takes it away.
//!
//! Every wait is bounded, in number and by a [deadline](SqliteOptions::deadline) for each step
//! of an operation; running out of either is `Unavailable`. A write that was given up while
//! another process had a transaction is not written later.
//!
//! # The files
//!
//! Beside the database lie its log, `…-wal`, and `…-shm`. All three belong together: mount their
//! folder into a container, never the file alone; make no hard links; and while a store has it
//! open, let no other code of the same process open or copy the file, because closing it there
//! takes SQLite's locks away. What can be seen of such mistakes is refused when the store is
//! opened; a file or log that is removed or replaced later is noticed before the next write is
//! acknowledged, and from then on everything is refused until the service is started again.
//!
//! [`SqliteStore::back_up`] makes a copy while everything goes on. To restore one, stop all that
//! use the database, put the copy in its place, remove `…-wal` and `…-shm`, and start. Or restore
//! it under running processes with `sqlite3 sessions.db '.restore copy.db'`, which is a transaction
//! like any other.
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
mod backup;
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
mod identity;
mod job;
mod line;
mod log_in;
mod look;
mod migrate;
mod namespace;
mod options;
mod payload;
mod queue;
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

pub use options::{SqliteOptions, Synchronous};
pub use store::SqliteStore;
