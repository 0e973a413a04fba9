//! A shell between this process and a server, which outlives both if it must.

use std::io::Write as _;
use std::os::unix::process::CommandExt as _;
use std::process::{Child, ChildStdin, Command, Stdio};

use super::folder::Folder;
use super::log::Log;

const SCRIPT: &str = include_str!("guard.sh");

/// Its input is a pipe that only this process holds, and that the system closes for it:
/// that is how the guard learns of an end that no code of ours can see.
pub(crate) struct Guard {
    shell: Child,
    /// Taken when the guard is to end.
    input: Option<ChildStdin>,
    pub(crate) log: Log,
}

impl Guard {
    /// Runs a command in a folder, as the folder's owner; `last` is the signal that ends it.
    pub(crate) fn run(folder: &Folder, last: &str, command: &[String]) -> Self {
        let mut shell = folder.owner().command("sh");
        shell
            .args(["-c", SCRIPT, "guard"])
            .arg(folder.path())
            .arg(last)
            .args(command)
            .current_dir(folder.path())
            .env("LC_ALL", "C")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            // A key that ends this process must not end the guard before it has cleaned up.
            .process_group(0);
        let mut shell = shell.spawn().expect("there is a shell");
        let output = shell.stdout.take().expect("piped");
        Self {
            input: shell.stdin.take(),
            shell,
            log: Log::of(output),
        }
    }

    /// Sends the server a signal; after `KILL` returns when no process of it is left.
    pub(crate) fn signal(&mut self, name: &str) {
        self.say(name);
        if name == "KILL" {
            self.log.wait_for_the_end();
        }
    }

    /// Ends without removing the folder, of a server that was killed.
    pub(crate) fn leave(mut self) {
        self.say("leave");
        self.end();
    }

    fn say(&mut self, word: &str) {
        let input = self.input.as_mut().expect("it has not ended");
        writeln!(input, "{word}").expect("the guard listens");
    }

    fn end(&mut self) {
        drop(self.input.take());
        // Nothing is left when it has ended, and nothing can be done if it cannot.
        drop(self.shell.wait());
    }
}

impl Drop for Guard {
    fn drop(&mut self) {
        self.end();
    }
}

/// Runs a command to its end.
///
/// # Panics
/// With what it said, if it fails.
pub(crate) fn run_to_the_end(command: &mut Command) {
    let output = command.output().expect("the program can be run");
    let text = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{command:?} failed:\n{text}");
}
