//! The cases: one file for each section of the contract, one function for each promise.
//!
//! The name of a function is the promise; where it leaves a question open, the first
//! lines above it answer that.
#![allow(
    clippy::missing_panics_doc,
    missing_docs,
    reason = "a case panics exactly if the promise in its name is broken, and the name \
              is all that there is to say of some"
)]

pub mod ahead;
pub mod cancellation;
pub mod clock;
pub mod concurrency;
pub mod create;
pub mod due;
pub mod ended;
pub mod epochs;
pub mod expiry;
pub mod hooks;
pub mod import;
pub mod isolation;
pub mod letters;
pub mod lifecycle;
pub mod limits;
pub mod log_in_races;
pub mod log_ins;
pub mod look;
pub mod names;
pub mod pages;
pub mod principal;
pub mod purge;
pub mod races;
pub mod reap;
pub mod reset;
pub mod rotation;
pub mod settle;
pub mod timeouts;
pub mod touch;
pub mod traffic;
pub mod update;
