//! Starts the servers that tests need and that no environment variable names yet, runs a
//! command with their URLs, and stops them, whatever happens.
//!
//! `test-servers cargo test -- --include-ignored` runs the tests that need servers;
//! `test-servers --missing` names the packages that it would need, and does nothing.

#![allow(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a program says what it does"
)]

#[path = "mod.rs"]
#[allow(dead_code, reason = "each program uses its part")]
mod support;

use std::any::Any;
use std::process::{Command, ExitCode};
use std::thread;

use support::place::server::{self, Kind};
use support::servers::binaries;
use support::servers::cluster::Cluster;
use support::servers::postgres::Postgres;
use support::servers::redis::Redis;

fn main() -> ExitCode {
    let mut arguments = std::env::args_os().skip(1);
    let Some(program) = arguments.next() else {
        eprintln!("test-servers: say which command is to be run with servers at hand");
        return ExitCode::FAILURE;
    };
    if program == "--missing" {
        for package in binaries::missing_packages() {
            println!("{package}");
        }
        return ExitCode::SUCCESS;
    }
    let started = start_the_missing();
    let mut command = Command::new(&program);
    command.args(arguments);
    for (kind, _, url) in &started {
        command.env(kind.variable(), url);
    }
    for kind in Kind::ALL {
        let made = started.iter().find(|(made, ..)| *made == kind);
        let (url, whence) = match made {
            Some((_, _, url)) => (url.clone(), url.clone()),
            None => (kind.url(), format!("given as {}", kind.variable())),
        };
        let version = server::version(kind, &url);
        println!("test-servers: {} {version} {whence}", kind.backend());
    }
    let status = command.status();
    drop(started);
    match status {
        Ok(status) if status.success() => ExitCode::SUCCESS,
        Ok(status) => ExitCode::from(status.code().and_then(|n| n.try_into().ok()).unwrap_or(1)),
        Err(error) => {
            eprintln!("test-servers: {}: {error}", program.display());
            ExitCode::FAILURE
        }
    }
}

type Started = (Kind, Box<dyn Any + Send>, String);

/// All at once: each takes some seconds, most of which it waits.
fn start_the_missing() -> Vec<Started> {
    let missing = Kind::ALL.into_iter().filter(|kind| !kind.is_given());
    let starting: Vec<_> = missing
        .map(|kind| thread::spawn(move || start(kind)))
        .collect();
    let started = starting.into_iter().map(thread::JoinHandle::join);
    // Whoever could not start has said why.
    started
        .map(|one| one.unwrap_or_else(|_| std::process::exit(1)))
        .collect()
}

fn start(kind: Kind) -> Started {
    let (server, url): (Box<dyn Any + Send>, String) = match kind {
        Kind::Postgres => {
            let server = Postgres::start();
            let url = server.url();
            (Box::new(server), url)
        }
        Kind::Redis => {
            let server = Redis::start();
            let url = server.url();
            (Box::new(server), url)
        }
        Kind::Cluster => {
            let server = Cluster::start();
            let url = server.url();
            (Box::new(server), url)
        }
    };
    (kind, server, url)
}
