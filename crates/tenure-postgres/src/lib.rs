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
//! Calls that read, calls that write, the work of reapers, and what operators count and list have
//! queues and connections of their own, so that none of them holds up another. A count goes by
//! 20,000 sessions at a time, a list by a thousand; what has ended is found without a look at what
//! has not.
//!
//! Queues are bounded, and every step of an operation has a
//! [deadline](PostgresOptions::deadline) that includes waiting; running out of either is
//! `Unavailable`. The server is told the same deadline, as `statement_timeout`.
//!
//! A statement that the server refused as a deadlock or a conflict, for a lock, or because it had
//! ended an idle connection, had no effect, and is sent again. A reading statement whose
//! connection broke is sent again once, on a new one. Nothing else is ever sent twice.
//!
//! # Schema
//!
//! [`connect`](PostgresStore::connect) with a URL creates the tables `tenure_namespace`,
//! `tenure_reset` and `tenure_session`, and migrates them, under a lock: any number of nodes
//! may start at once. They are made in the first schema of the connection's `search_path`, unless
//! another one of it has them already; two that have them are refused. Every connection then
//! works in that schema alone. For one of their own, which has to exist, add
//! `options=-c%20search_path%3Dsessions` to the URL, or
//! `ALTER ROLE portal SET search_path = sessions`. The database's encoding has to be UTF-8. With
//! a [pool](PostgresStore::new) the schema is only checked, never changed.
//!
//! A migration waits 30 s for another start that is migrating, and takes as long as it takes. A
//! table that others use it waits for 100 ms at a time, so that running nodes get on.
//!
//! After a migration the role needs no more than `USAGE` on the schema, `SELECT`, `INSERT`,
//! `UPDATE` and `DELETE` on these tables, `SELECT` on `tenure_schema_history`, and `EXECUTE` on
//! the function `tenure_expires_at`, which everybody has unless it was taken away.
//!
//! # pgbouncer
//!
//! In its session mode (`pool_mode = session`) pgbouncer needs no setting here, but gives each
//! of the store's connections a server connection for good. In its transaction mode
//! (`pool_mode = transaction`) say [`Pooling::Transaction`]: then nothing is kept on a
//! connection from one transaction to the next, at the price of three more round trips for
//! each statement; deadline and schema go along with each. There `options` in a URL is refused by
//! pgbouncer unless its `ignore_startup_parameters` names it, and does not reach the server, so
//! that the `search_path` has to be set with `ALTER ROLE`. Statement mode does not work.
//!
//! # Errors
//!
//! Beyond what the contract says of each kind: `Unavailable` is also a server that became
//! read-only, as after a fail-over: the next call connects anew, and may find the new primary;
//! `Misconfigured` on connecting means that the role, the database, its encoding or the server
//! is not fit; a *full* disk is `Other`, because waiting does not help and nothing was written.
//!
//! # Connections
//!
//! Each new connection is asked whether it leads to a primary of version 15 or later with a
//! database in UTF-8, in the round trip that sets it up; and one that was not used for half a
//! second is asked again before it is used, so that one that died meanwhile costs no call. While
//! the address leads to a standby every call is `Unavailable`, "the server is a standby", and the
//! next one asks again. The server is told to send keep-alive probes after a minute.
//!
//! A lock that others keep, on a row or a table, is waited for an eighth of the deadline at a
//! time. A call that met one is tried again by itself, until its deadline, and holds up no other.

mod access;
mod address;
mod batch;
mod busy;
mod claim;
mod contract;
mod create;
mod db;
mod describe;
mod due;
mod end;
mod error;
mod fields;
mod floors;
mod home;
mod inline;
mod job;
mod link;
mod log_in;
mod look;
mod migrate;
mod namespace;
mod options;
mod pool;
mod purge;
mod queue;
mod row;
mod schema;
mod settings;
mod settle;
mod store;
#[cfg(test)]
mod tests;
mod update;
mod worker;

pub use options::{Pooling, PostgresOptions};
pub use sqlx::PgPool;
pub use store::PostgresStore;
