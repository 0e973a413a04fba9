//! Sessions in one process's memory: a store for [Tenure].
//!
//! For tests, and for services of one process that may lose their sessions with it:
//! nothing outlives the [`MemoryStore`]. In all else it is a store like any other, with
//! tombstones, tickets, resets and lists.
//!
//! ```
//! use std::sync::Arc;
//! use tenure_memory::MemoryStore;
//! use tenure_store::{Hooks, Namespace, SessionStore};
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> tenure_store::Result<()> {
//! let store: Arc<dyn SessionStore> = Arc::new(MemoryStore::new());
//! let portal = Namespace::sessions("portal")?;
//! store.open(&portal, Hooks::Expected).await?;
//! assert_eq!(store.namespaces().await?, [portal]);
//! # Ok(())
//! # }
//! ```
//!
//! # Cost
//!
//! Among 100,000 sessions, one with a payload of 512 bytes takes 755 bytes in all, and
//! 847 with a principal of 20 bytes: record, maps, queues and index included, as asked
//! from the allocator. `tests/footprint.rs` measures it.
//!
//! A call on one session locks one of the namespace's 64 shards for less than a
//! microsecond, a load for as long as the payload's bytes take to copy. Calls on many lock
//! one shard after the other; only a log-in with a limit on its principal's sessions locks
//! all of them, for a few microseconds. None ever waits for anything else: no future of this
//! store is ever pending.
//!
//! [Tenure]: https://docs.rs/tenure

mod epoch;
mod index;
mod limits;
mod log_in;
mod look;
mod merge;
mod queue;
mod reap;
mod record;
mod session;
mod shard;
mod space;
mod store;
mod table;
#[cfg(test)]
mod tests;
mod time;

pub use store::MemoryStore;
