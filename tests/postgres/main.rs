//! What concerns PostgreSQL alone: its schema, its plans, its connections.

mod base;
mod connections;
mod migrations;
mod plans;
mod pooler;
mod races;

#[path = "../support/mod.rs"]
#[allow(dead_code, reason = "each test uses its part")]
mod support;
