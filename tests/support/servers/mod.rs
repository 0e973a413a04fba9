//! Throw-away servers: on free loopback ports, in folders of their own, ready when they
//! are handed out, and gone with their handle or with this process, however it ends.

pub(crate) mod binaries;
pub(crate) mod cluster;
pub(crate) mod folder;
mod guard;
mod log;
pub(crate) mod pgbouncer;
pub(crate) mod ports;
pub(crate) mod postgres;
pub(crate) mod redis;
pub(crate) mod sentinel;
pub(crate) mod server;
pub(crate) mod settings;
