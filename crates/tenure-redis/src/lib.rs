//! Sessions in Redis: a [`SessionStore`](tenure_store::SessionStore) for Tenure.
//!
//! For Redis 7.0 or later, and what speaks like it: a [single](RedisOptions::single) server,
//! one that [Sentinels](RedisOptions::sentinel) watch over, or a Redis
//! [Cluster](RedisOptions::cluster), by one code.
//!
//! ```no_run
//! use tenure_redis::{RedisOptions, RedisStore};
//! use tenure_store::{Hooks, Namespace, SessionStore};
//!
//! # async fn example() -> tenure_store::Result<()> {
//! let options = RedisOptions::single("redis://127.0.0.1:6379").prefix("t");
//! let store = RedisStore::connect(options).await?;
//! store.open(&Namespace::sessions("portal")?, Hooks::Unstated).await?;
//! store.close().await
//! # }
//! ```
//!
//! # How it works
//!
//! A namespace is spread over 16 shards; all keys of one have the same hash tag, so they lie
//! on one server. Every operation on a session is one script on its shard, sent by its hash,
//! and a load is one `MGET`, for all loads that wait: one atomic step, one round trip. An
//! operation on many asks all shards at once and puts together what they say. Every operation
//! runs in a task of its own, so a caller that goes away, or that does not poll its future,
//! interrupts nothing and delays no other caller.
//!
//! Each runtime that uses a store has four connections to each server: for requests, for
//! reapers, for operators, and for what waits for replicas. Calls share them, one behind the
//! other. When a connection breaks or falls silent, the next call makes a new one; after a
//! second in which nothing was heard the first call sends a `PING` before anything that could
//! get lost. Each new connection asks the server for its version, role, mode and eviction
//! policy, in the round trip that hands over the scripts, so that what
//! [`connect`](RedisStore::connect) requires holds for every server that is used later.
//! **What may have happened is never sent twice**: only reads, and what Redis refused before it
//! began (a script it does not know, data that has moved, a server that is loading), are sent
//! again, until the [deadline](RedisOptions::deadline). For this the cluster's map is kept
//! here, and not by the driver, which would send again what it lost the answer of.
//!
//! The number of operations under way is [bounded](RedisOptions::queue_length), and every step
//! of an operation has a deadline; running out of either is `Unavailable`. Closing waits for
//! one deadline at most.
//!
//! # Keys
//!
//! `T` is `t:{1:portal:7}`: the [prefix](RedisOptions::prefix), then as the hash tag the kind's
//! code, the application, and the shard, which is the id's first byte modulo 16. Ids are 16
//! bytes, nothing has a time-to-live, and every key that a script uses is in its `KEYS`.
//!
//! | key | type | what it holds |
//! |---|---|---|
//! | `T:e` | string | the shard's epoch; there if the namespace was opened |
//! | `T:n` | hash | `hooks`, `stamp`; `r<epoch>` for each older epoch that has sessions left: when it was reset |
//! | `T:s:<id>` | string | a record: a header of 112 bytes, principal, failure, payload |
//! | `T:d` | sorted set | not ended, of the present epoch: id by the instant before which no reaper need look |
//! | `T:o:<epoch>` | sorted set | the same of an older epoch |
//! | `T:w`, `T:h`, `T:x` | sorted sets | tombstones: id by when it is due, by the end of its lease; dead letters |
//! | `T:c` | sorted set | every session, in byte order: created (sign bit flipped), id |
//! | `T:p` | sorted set | in byte order: principal, NUL, created, id |
//! | `T:m` | hash | principal: the mark of the log-in with a limit that came by last, and when |
//! | `t:namespaces` | hash | for each namespace, whether hooks are expected, and a stamp |
//! | `t:layout` | hash | version of this layout, number of shards; any other is `SchemaMismatch` |
//!
//! A session with a payload of 512 bytes takes 994 bytes of Redis' memory, all keys, queues
//! and lists included, and a principal of ten (Redis 7.0.15, 2,000 sessions).
//!
//! A user of Redis of its own needs no more than this:
//!
//! ```text
//! ACL SETUSER tenure on >password ~t:* +@read +@write +@scripting +@connection +info +time
//!     +wait +config|get +cluster|slots
//! ```
//!
//! Without `CONFIG GET` everything works, but how durable a write is remains unknown.
//!
//! # What an acknowledged write survives
//!
//! [`describe`](tenure_store::SessionStore::describe) reads it from the server's settings:
//!
//! | settings | durability | what may be lost |
//! |---|---|---|
//! | `appendonly yes`, `appendfsync always` | `Disk` | nothing |
//! | `appendonly yes`, `appendfsync no` | `Process` | what the operating system had not written, in a power cut |
//! | `appendonly yes`, `appendfsync everysec` | `Snapshot` | the last two seconds, also when only Redis dies: while it flushes, it holds writes back |
//! | `save …` | `Snapshot` | what came after the latest snapshot |
//! | neither | `Volatile` | everything |
//!
//! `no-appendfsync-on-rewrite yes` makes `Process` of `Disk`. A policy that evicts keys
//! without a time-to-live (`allkeys-…`) is refused, as acknowledged sessions would vanish.
//!
//! **Fail-over.** Replicas follow Redis a little later. When one takes over from a primary that
//! died, through Sentinel or in a Cluster, it may lack the last writes that were acknowledged:
//! a session may be back at an earlier state, one that was just created missing, and one that
//! was just *ended* live again. [`wait_for_replicas`](RedisOptions::wait_for_replicas) is
//! against the last: an end, of one session or of many, and a reset are acknowledged when so
//! many replicas have them; if they do not in three quarters of the deadline, the answer is
//! `Unavailable`, though it is done on the primary: no work waits for the confirmation of other
//! work, and one confirmation is for all ends that wait. It does not make Redis consistent: a replica that has it must
//! also be the one that takes over. A primary that is cut off and does not know it yet takes
//! writes that will be lost; `min-replicas-to-write` on the servers ends that after a while.
//!
//! # Errors
//!
//! Beyond what the contract says of each kind: `Unavailable` is a connection that failed,
//! broke or fell silent, a server that is loading, busy or a replica, a cluster without a
//! primary for a part of the data. A server whose memory is *full* (`OOM`) or that cannot write
//! to its disk (`MISCONF`) is `Other`: waiting does not help, nothing was written. Refused
//! credentials and rights are `Misconfigured`, and so is a server that evicts, or that is of
//! another kind than the URL says.
//!
//! A full server refuses what takes more memory: new sessions, larger payloads, log-ins. Ends,
//! resets, touches, changes that are no larger, and all that reapers do are let in, so that
//! reaping empties it.
//!
//! If a part of a Cluster is away or takes no writes, reapers go on with the rest; operations
//! on sessions of that part, and on all sessions, are `Unavailable`.
//!
//! A record whose header cannot be read is `Corrupt` to whoever asks for it; lists leave it
//! out, claims put it off, a purge removes it.
//!
//! # Features
//!
//! `tls`: encrypted connections, `rediss:` URLs, with the operating system's certificates.

mod access;
mod answer;
mod call;
mod cluster;
mod contract;
mod count;
mod create;
mod describe;
mod due;
mod end;
mod error;
mod fetch;
mod gather;
mod header;
mod info;
mod joint;
mod keys;
mod layout;
mod link;
mod log_in;
mod look;
mod namespace;
mod notes;
mod options;
mod others;
mod place;
mod places;
mod queue;
mod reap;
mod record;
mod replicas;
mod runtimes;
mod scripts;
mod sentinel;
mod server;
mod servers;
mod settle;
mod store;
mod update;

pub use options::RedisOptions;
pub use store::RedisStore;
