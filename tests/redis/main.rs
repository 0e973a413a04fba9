//! What concerns Redis alone: its keys, its scripts, its settings.

mod base;
mod damage;
mod edges;
mod own_server;
mod prefixes;
mod runtimes;

#[path = "../support/mod.rs"]
#[allow(dead_code, reason = "each test uses its part")]
mod support;
