//! What concerns PostgreSQL alone: its schema, its plans, its connections.

mod base;
mod calls;
mod connections;
mod locks;
mod many;
mod migrations;
mod neglect;
mod plans;
mod pooler;
mod quiet;
mod races;
mod rights;
mod runtimes;
mod schemas;
mod snapshots;
mod standby;

#[path = "../support/mod.rs"]
#[allow(dead_code, reason = "each test uses its part")]
mod support;
