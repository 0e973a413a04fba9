//! What the day prints, and whether it came out as it said.

use std::fmt::Display;
use std::process::ExitCode;

use tenure::BoxError;

/// Counts steps that held and steps that did not.
#[derive(Default)]
pub(crate) struct Report {
    held: u32,
    broken: u32,
}

#[allow(clippy::print_stdout, reason = "printing is what the example is for")]
impl Report {
    /// One step: what was done, what was seen, and whether that is what should be seen.
    pub(crate) fn step(&mut self, what: &str, seen: impl Display, holds: bool) {
        if holds {
            self.held += 1;
        } else {
            self.broken += 1;
        }
        println!(
            "{} {what:<46} {seen}",
            if holds { "ok    " } else { "BROKEN" }
        );
    }

    /// The summary, and the exit code.
    pub(crate) fn finish(&self) -> ExitCode {
        println!(
            "\n{} steps came out as they said, {} did not",
            self.held, self.broken
        );
        if self.broken == 0 {
            ExitCode::SUCCESS
        } else {
            ExitCode::FAILURE
        }
    }

    /// The day ended early.
    pub(crate) fn fail(&mut self, error: &BoxError) -> ExitCode {
        self.broken += 1;
        println!("BROKEN the day ended early: {error}");
        let mut cause = error.source();
        while let Some(error) = cause {
            println!("       because: {error}");
            cause = error.source();
        }
        self.finish()
    }
}
