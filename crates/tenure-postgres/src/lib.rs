//! Sessions in PostgreSQL: a [`SessionStore`](tenure_store::SessionStore) for Tenure.
//!
//! For PostgreSQL 15 and later, and any number of nodes.
//!
//! ```no_run
//! use tenure_postgres::{PostgresOptions, PostgresStore};
//! use tenure_store::SessionStore;
//!
//! # async fn example() -> tenure_store::Result<()> {
//! let options = PostgresOptions::new("postgres://portal@db.example.com/portal?sslmode=require");
//! let store = PostgresStore::connect(options.payload_limit(65_536)).await?;
//! println!("{:?}", store.namespaces().await?);
//! store.close().await
//! # }
//! ```
//!
//! # How it works
//!
//! There are a few connections, and they are kept. A caller who finds one free uses it, and
//! nobody has to be woken. While none is, calls queue; who is through then takes all that
//! wait, in a task, and those of one kind become one statement, which is one transaction, one
//! round trip and one flush of the log for all of them. A caller that goes away interrupts
//! nothing: a task finishes what it began. What writes goes along with others though a
//! connection is free, unless that takes more than 5 ms.
//! Calls that read, calls that write, and the work of reapers and operators have queues and
//! connections of their own, so that none of them holds up another.
//!
//! Queues are bounded, and every step of an operation has a
//! [deadline](PostgresOptions::deadline) that includes waiting; running out of either is
//! `Unavailable`. The server is told the same deadline, as `statement_timeout`.
//!
//! A statement that the server refused as a deadlock or a conflict had no effect, and is sent
//! again, up to three times. A reading statement whose connection broke is sent again once, on
//! a new one. Nothing else is ever sent twice.
//!
//! # Schema
//!
//! [`connect`](PostgresStore::connect) with a URL creates the tables `tenure_namespace`,
//! `tenure_reset` and `tenure_session`, and migrates them, under a lock: any number of nodes
//! may start at once. They are made in, and found by, the `search_path` of the connection: for
//! a schema of their own, which has to exist, add `options=-c%20search_path%3Dsessions` to the
//! URL, or `ALTER ROLE portal SET search_path = sessions`. The database's encoding has to be
//! UTF-8. With a [pool](PostgresStore::new) the schema is only checked, never changed.
//!
//! After a migration the role needs no more than `SELECT`, `INSERT`, `UPDATE` and `DELETE` on
//! these tables, and `SELECT` on `tenure_schema_history`.
//!
//! # pgbouncer
//!
//! In its session mode (`pool_mode = session`) pgbouncer needs no setting here, but gives each
//! of the store's connections a server connection for good. In its transaction mode
//! (`pool_mode = transaction`) say [`Pooling::Transaction`]: then nothing is kept on a
//! connection from one transaction to the next, at the price of three more round trips for
//! each statement. There `options` in a URL does not reach the server, so that the
//! `search_path` has to be set with `ALTER ROLE`. Statement mode does not work.
//!
//! # Errors
//!
//! Beyond what the contract says of each kind: `Unavailable` is also a server that became
//! read-only, as after a fail-over: the next call connects anew, and may find the new primary;
//! `Misconfigured` on connecting means that the role, the database, its encoding or the server
//! is not fit; a *full* disk is `Other`, because waiting does not help and nothing was written.

mod access;
mod batch;
mod claim;
mod contract;
mod create;
mod db;
mod describe;
mod due;
mod end;
mod error;
mod fields;
mod job;
mod link;
mod log_in;
mod look;
mod migrate;
mod namespace;
mod options;
mod purge;
mod queue;
mod row;
mod settle;
mod store;
#[cfg(test)]
mod tests;
mod update;
mod worker;

pub use options::{Pooling, PostgresOptions};
pub use sqlx::PgPool;
pub use store::PostgresStore;
