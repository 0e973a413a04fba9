//! What each operation of the hot path costs in instructions and allocations: figures that
//! are the same on a busy machine as on an idle one, so that a change can be held to them.
//!
//! `cargo bench --bench counts` compares them with `benches/counts.txt` and fails if an
//! operation got dearer; with `-- --write` it writes the file. Instructions are counted by
//! callgrind, whose processor has no SHA instructions: there a hash looks dearer than it
//! is, and a system call costs nothing. `counts <operation>` only performs it, for a
//! profiler.

#![allow(
    clippy::cast_precision_loss,
    clippy::print_stderr,
    clippy::print_stdout,
    reason = "a bench prints what it counted"
)]

use std::alloc::System;
use std::collections::BTreeMap;
use std::fmt::{self, Write as _};
use std::process::{Command, ExitCode};

use counted::{OPERATIONS, World};
use stats_alloc::{INSTRUMENTED_SYSTEM, Region, StatsAlloc};
use tokio::runtime::Runtime;

#[path = "counts/counted.rs"]
mod counted;

#[global_allocator]
static ALLOCATOR: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

const FILE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/benches/counts.txt");

/// Over how many an operation's cost is spread: maps grow now and then.
const TIMES: usize = 1_000;

/// By how much instructions may go up: hashes are seeded anew in each process.
const INSTRUCTIONS_MARGIN: f64 = 1.05;
/// By how much allocations may: less than one for each time.
const ALLOCATIONS_MARGIN: f64 = 0.5;

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let asked = OPERATIONS
        .iter()
        .find(|name| arguments.iter().any(|argument| argument == *name));
    if let Some(operation) = asked {
        println!("{}", count_allocations(operation));
        return ExitCode::SUCCESS;
    }
    let has_valgrind = Command::new("valgrind").arg("--version").output().is_ok();
    if !has_valgrind {
        eprintln!("there is no valgrind: only allocations are compared");
    }
    let now: Table = OPERATIONS
        .map(|operation| {
            let mut cost = count_allocations(operation);
            cost.instructions = has_valgrind.then(|| count_instructions(operation));
            (operation.to_owned(), cost)
        })
        .into();
    if arguments.iter().any(|argument| argument == "--write") {
        let mut text = head();
        for (operation, cost) in &now {
            writeln!(text, "{operation:16}{cost}").expect("text takes text");
        }
        std::fs::write(FILE, &text).expect("the file can be written");
        print!("{text}");
        return ExitCode::SUCCESS;
    }
    compare(&now, &read())
}

type Table = BTreeMap<String, Cost>;

/// What one operation costs.
#[derive(Clone, Copy)]
struct Cost {
    instructions: Option<f64>,
    allocations: f64,
    bytes: f64,
}

impl Cost {
    fn is_dearer_than(&self, before: &Self) -> bool {
        let instructions = self.instructions.zip(before.instructions);
        instructions.is_some_and(|(now, before)| now > before * INSTRUCTIONS_MARGIN)
            || self.allocations > before.allocations + ALLOCATIONS_MARGIN
    }
}

impl fmt::Display for Cost {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.instructions {
            Some(instructions) => write!(f, "{instructions:12.0}")?,
            None => write!(f, "{:>12}", "-")?,
        }
        write!(f, "{:12.1}{:12.0}", self.allocations, self.bytes)
    }
}

fn head() -> String {
    let [instructions, allocations, bytes] = ["instructions", "allocations", "bytes"];
    format!("# operation     {instructions:>12}{allocations:>12}{bytes:>12}\n")
}

fn count_allocations(operation: &str) -> Cost {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .build()
        .expect("a runtime can be built");
    let world = runtime.block_on(World::before(operation, TIMES));
    let region = Region::new(ALLOCATOR);
    measured(&runtime, &world, operation);
    let change = region.change();
    let each = |total: usize| total as f64 / TIMES as f64;
    Cost {
        instructions: None,
        allocations: each(change.allocations + change.reallocations),
        bytes: each(change.bytes_allocated),
    }
}

/// Callgrind counts in here and nowhere else: nothing else has this name in its own.
#[inline(never)]
fn measured(runtime: &Runtime, world: &World, operation: &str) {
    runtime.block_on(world.perform(operation));
}

/// This process once more, under callgrind.
fn count_instructions(operation: &str) -> f64 {
    let itself = std::env::current_exe().expect("a process knows its program");
    let output = Command::new("valgrind")
        .args(["--tool=callgrind", "--callgrind-out-file=/dev/null"])
        .args(["--collect-atstart=no", "--toggle-collect=*measured*"])
        .arg(itself)
        .arg(operation)
        .output()
        .expect("valgrind starts");
    let told = String::from_utf8_lossy(&output.stderr);
    let total: Option<f64> = told
        .lines()
        .find_map(|line| line.split_once("Collected :"))
        .and_then(|(_, number)| number.trim().parse().ok());
    total.unwrap_or_else(|| panic!("callgrind counted nothing: {told}")) / TIMES as f64
}

/// The figures to be held to.
fn read() -> Table {
    let text = std::fs::read_to_string(FILE).unwrap_or_default();
    let lines = text.lines().filter(|line| !line.starts_with('#'));
    lines
        .map(|line| {
            let words: Vec<_> = line.split_whitespace().collect();
            let number = |column: usize| words.get(column)?.parse().ok();
            let cost = Cost {
                instructions: number(1),
                allocations: number(2).expect("a number of allocations"),
                bytes: number(3).expect("a number of bytes"),
            };
            (words[0].to_owned(), cost)
        })
        .collect()
}

fn compare(now: &Table, before: &Table) -> ExitCode {
    let mut code = ExitCode::SUCCESS;
    print!("{}", head());
    for (operation, cost) in now {
        println!("{operation:16}{cost}");
        match before.get(operation) {
            Some(before) if cost.is_dearer_than(before) => {
                println!("  it was        {before}: dearer");
                code = ExitCode::FAILURE;
            }
            Some(before) => println!("  it was        {before}"),
            None => println!("  it is new; `-- --write` takes it up"),
        }
    }
    code
}
