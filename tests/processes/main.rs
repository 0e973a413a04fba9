//! What several processes on one store may do to each other and to themselves.
//!
//! Children are this same program, told apart by its arguments; that is why it has a main
//! function of its own.

mod child;
mod fight;
mod kill;
mod reap;

#[path = "../support/mod.rs"]
#[allow(dead_code, reason = "each test uses its part")]
mod support;

use std::process::ExitCode;

use tenure::BoxError;

/// The backends, and what is needed where there is none. Memory is one process's own.
const BACKENDS: [(&str, Option<&str>); 4] = [
    ("sqlite", None),
    ("postgres", Some("needs PostgreSQL: run scripts/test")),
    ("redis", Some("needs Redis: run scripts/test")),
    (
        "redis_cluster",
        Some("needs Redis Cluster: run scripts/test"),
    ),
];

#[allow(
    clippy::print_stdout,
    reason = "a test program of its own says how it went"
)]
fn main() -> ExitCode {
    let runtime = tokio::runtime::Runtime::new().expect("a runtime starts");
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match child(&runtime, &arguments) {
        Some(Ok(())) => return ExitCode::SUCCESS,
        Some(Err(error)) => panic!("the child failed: {error}"),
        None => {}
    }
    let wanted = Wanted::of(&arguments);
    let (mut passed, mut ignored) = (0, 0);
    // The cases panic when a promise is broken, which ends the program with a failure.
    macro_rules! cases {
        ($backend:ident, $needs:ident, $($group:ident::$case:ident)*) => {$(
            let name = format!("{}::{}::{}", $backend, stringify!($group), stringify!($case));
            match $needs {
                _ if !wanted.names(&name) => {}
                Some(needs) if !wanted.ignored => {
                    println!("test {name} ... ignored, {needs}");
                    ignored += 1;
                }
                _ => {
                    runtime.block_on($group::$case($backend));
                    println!("test {name} ... ok");
                    passed += 1;
                }
            }
        )*};
    }
    for (backend, needs) in BACKENDS {
        cases! {
            backend, needs,
            kill::nothing_acknowledged_is_lost_when_the_process_is_killed
            reap::reapers_side_by_side_run_each_hook_once
            reap::a_hook_comes_again_wherever_its_process_dies
            fight::processes_that_want_the_same_rows_wait_in_no_circle
        }
    }
    println!(
        "\ntest result: ok. {passed} passed; 0 failed; {ignored} ignored; 0 measured; \
         0 filtered out"
    );
    ExitCode::SUCCESS
}

/// What the runner's arguments ask for, as far as they concern this program.
#[derive(Default)]
struct Wanted {
    parts: Vec<String>,
    skipped: Vec<String>,
    ignored: bool,
}

impl Wanted {
    fn of(arguments: &[String]) -> Self {
        let mut wanted = Self::default();
        let mut arguments = arguments.iter();
        while let Some(argument) = arguments.next() {
            match argument.as_str() {
                "--include-ignored" | "--ignored" => wanted.ignored = true,
                "--skip" => wanted.skipped.extend(arguments.next().cloned()),
                "--test-threads" | "--format" | "--color" => drop(arguments.next()),
                flag if flag.starts_with('-') => {}
                part => wanted.parts.push(part.to_owned()),
            }
        }
        wanted
    }

    fn names(&self, case: &str) -> bool {
        let is_in = |part: &String| case.contains(part.as_str());
        (self.parts.is_empty() || self.parts.iter().any(is_in)) && !self.skipped.iter().any(is_in)
    }
}

/// Does what a parent asks for, if one does.
fn child(runtime: &tokio::runtime::Runtime, arguments: &[String]) -> Option<Result<(), BoxError>> {
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match arguments.as_slice() {
        ["write", url, seed] => {
            let seed = seed.parse().expect("a number");
            Some(runtime.block_on(kill::write(url, seed)))
        }
        ["reap", url, minutes, how] => {
            let minutes = minutes.parse().expect("a number");
            Some(runtime.block_on(reap::reap(url, minutes, how)))
        }
        ["fight", url, first] => {
            let first = first.parse().expect("a number");
            Some(runtime.block_on(fight::fight(url, first)))
        }
        _ => None,
    }
}
