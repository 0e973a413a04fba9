//! The contract between [Tenure] and its session stores.
//!
//! A store keeps [records](Record) of sessions by ([`Namespace`], [`SessionId`]), ends
//! them for good, and hands out what ended until its end hook has run. [`SessionStore`]
//! says what that means, clause by clause; the crate `tenure-conformance` is the same
//! contract as tests, for anyone who writes a backend.
//!
//! This crate knows no runtime, no driver, no serialisation and no cryptography.
//!
//! # One life
//!
//! ```text
//!  create          end · time-out · reset · leave
//! ────────▶ live ──────────────────────────────▶ tombstone ──claim──▶ held ──Done──▶ gone
//!           ▲  │ touch, update                       ▲                 │
//!           └──┘                                     └─Retry, lapse────┤
//!                                                      requeue ▲       │ Dead
//!                                                              └── dead letter
//! ```
//!
//! [Tenure]: https://docs.rs/tenure

mod change;
mod end;
mod error;
mod id;
mod look;
mod namespace;
mod reap;
mod record;
mod store;
mod time;

pub use change::{Access, Change, Created, Excess, Field, Imported, PrincipalLimit, Updated};
pub use end::{After, End, EndReason, Ended, Failure, Outcome, Phase, Ticket, Tombstone};
pub use error::{Error, ErrorKind, Result};
pub use id::{Principal, SessionId};
pub use look::{
    Counts, Cursor, Description, Durability, Entry, Eviction, Filter, Page, State, Status,
};
pub use namespace::{Epoch, Kind, Namespace};
pub use reap::{Claimed, Hooks, Purged, Resolve};
pub use record::{Payload, Record, Rotation, Version};
pub use store::SessionStore;
pub use time::{Timeout, Timestamp};
