//! Sessions in Redis: a [`SessionStore`](tenure_store::SessionStore) for Tenure.

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
mod keys;
mod layout;
mod link;
mod log_in;
mod look;
mod namespace;
mod notes;
mod options;
mod place;
mod places;
mod queue;
mod reap;
mod record;
mod scripts;
mod sentinel;
mod server;
mod servers;
mod settle;
mod store;
mod update;

pub use options::RedisOptions;
pub use store::RedisStore;
