//! This program, run again as another process.

use std::io::{BufRead, BufReader, Lines, Write};
use std::process::{ChildStdout, Command, Stdio};

pub(crate) struct Child {
    process: std::process::Child,
    lines: Lines<BufReader<ChildStdout>>,
}

impl Child {
    pub(crate) fn start(arguments: &[&str]) -> Self {
        let program = std::env::current_exe().expect("this program has a path");
        let mut process = Command::new(program)
            .args(arguments)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()
            .expect("this program can be run again");
        let out = process.stdout.take().expect("piped");
        Self {
            process,
            lines: BufReader::new(out).lines(),
        }
    }

    /// What it says next; `None` when it is over.
    pub(crate) fn line(&mut self) -> Option<String> {
        self.lines.next().map(|line| line.expect("it writes text"))
    }

    pub(crate) fn kill(&mut self) {
        self.process.kill().expect("it is still running");
    }

    /// Waits for its end; whether it was a good one.
    pub(crate) fn succeeded(mut self) -> bool {
        self.process
            .wait()
            .expect("it is a child of ours")
            .success()
    }

    /// Waits for its end; whether that was a signal's doing.
    pub(crate) fn was_killed(mut self) -> bool {
        let status = self.process.wait().expect("it is a child of ours");
        status.code().is_none()
    }
}

/// What a child says to its parent: one write for each line, so that a line is there whole
/// or not at all.
pub(crate) fn say(line: &str) {
    let mut out = std::io::stdout().lock();
    out.write_all(format!("{line}\n").as_bytes())
        .and_then(|()| out.flush())
        .expect("the parent listens");
}
