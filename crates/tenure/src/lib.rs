//! Sessions for services: durable or in memory, with ids that are encrypted wherever they
//! leave the service, ends that are really ends, end hooks that are really called, and one
//! write that ends all sessions of an application.
#![doc = "\n"]
#![doc = include_str!("../README.md")]

mod access;
mod attempt;
mod attributes;
mod builder;
mod cipher;
mod clock;
mod commit;
mod core;
mod deadline;
mod delta;
mod ending;
mod error;
mod find;
mod first_commit;
pub mod guides;
mod handle;
mod hook;
mod jump;
mod key_ring;
mod key_set;
mod keys;
mod leaving;
mod looking;
mod master_secret;
mod metrics;
mod migrating;
mod pace;
mod payload;
mod peek_right;
mod peeker;
mod policy;
mod queue;
mod random;
mod reaper;
mod reopening;
mod ring_text;
mod runner;
mod seal;
mod secret;
mod secret_text;
mod session;
mod session_info;
mod sessions;
mod settling;
#[cfg(test)]
mod test_support;
mod token;
#[cfg(test)]
mod vectors;
mod visitor;
mod visitors;

pub use attributes::{AnyAttribute, Attribute, AttributeName, Limits};
pub use builder::SessionsBuilder;
pub use clock::{Clock, ManualClock, SystemClock};
pub use error::{BoxError, Error, Result};
pub use hook::{EndHook, EndedSession};
pub use key_ring::KeyRing;
pub use looking::SessionPage;
pub use master_secret::MasterSecret;
pub use migrating::{CopyOptions, CopyReport, MigratingStore, Verification, copy, verify};
pub use peek_right::PeekRight;
pub use peeker::Peeker;
pub use policy::OnExcess;
pub use random::{OsRandomness, Randomness};
pub use reaper::{Reaped, Reaper, ReaperHandle};
pub use session::Session;
pub use session_info::SessionInfo;
pub use sessions::{Peek, Sessions};
pub use token::Token;
pub use visitor::Visitor;
pub use visitors::{Visitors, VisitorsBuilder};

/// What the library's own calls mention of the contract with its stores.
pub use tenure_store::{
    Counts, Cursor, End, EndReason, Error as StoreError, ErrorKind, Filter, Namespace, Principal,
    SessionId, SessionStore, Status, Timestamp,
};
