//! What several processes on one SQLite file may do to each other and to themselves.
//!
//! Children are this same program, told apart by its arguments; that is why it has a main
//! function of its own.

mod child;
mod kill;
mod reap;

#[path = "../support/mod.rs"]
#[allow(dead_code, reason = "each test uses its part")]
mod support;

use std::path::Path;
use std::process::ExitCode;

use tenure::BoxError;

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
    let wanted = arguments.iter().find(|argument| !argument.starts_with('-'));
    let mut passed = 0;
    // The cases panic when a promise is broken, which ends the program with a failure.
    macro_rules! cases {
        ($($group:ident::$case:ident)*) => {$(
            if wanted.is_none_or(|wanted| stringify!($case).contains(wanted.as_str())) {
                runtime.block_on($group::$case());
                println!("test {} ... ok", stringify!($case));
                passed += 1;
            }
        )*};
    }
    cases! {
        kill::nothing_acknowledged_is_lost_when_the_process_is_killed
        reap::reapers_side_by_side_run_each_hook_once
        reap::a_hook_comes_again_wherever_its_process_dies
    }
    println!("\ntest result: ok. {passed} passed; 0 failed; 0 ignored; 0 measured; 0 filtered out");
    ExitCode::SUCCESS
}

/// Does what a parent asks for, if one does.
fn child(runtime: &tokio::runtime::Runtime, arguments: &[String]) -> Option<Result<(), BoxError>> {
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match arguments.as_slice() {
        ["write", path, seed] => {
            let seed = seed.parse().expect("a number");
            Some(runtime.block_on(kill::write(Path::new(path), seed)))
        }
        ["reap", path, minutes, how] => {
            let minutes = minutes.parse().expect("a number");
            Some(runtime.block_on(reap::reap(Path::new(path), minutes, how)))
        }
        _ => None,
    }
}
