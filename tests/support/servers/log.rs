//! What a server prints: the way to know that it is ready, and why if it never is.

use std::collections::VecDeque;
use std::io::{BufRead as _, BufReader, Read};
use std::sync::{Arc, Condvar, Mutex};
use std::time::Duration;

/// Longer than any server takes to start, or to recover, on a busy machine.
const PATIENCE: Duration = Duration::from_mins(1);

/// How many lines are kept, and how many of them are shown.
const KEPT: usize = 1_000;
const SHOWN: usize = 60;

/// Read by a thread of its own, so that no server ever waits for its reader.
pub(crate) struct Log(Arc<Shared>);

#[derive(Default)]
struct Shared {
    pages: Mutex<Pages>,
    turned: Condvar,
}

#[derive(Default)]
struct Pages {
    lines: VecDeque<String>,
    ended: bool,
}

impl Log {
    pub(crate) fn of(output: impl Read + Send + 'static) -> Self {
        let shared = Arc::<Shared>::default();
        let writer = Arc::clone(&shared);
        std::thread::spawn(move || {
            let mut output = BufReader::new(output);
            let mut line = Vec::new();
            while output.read_until(b'\n', &mut line).is_ok_and(|n| n > 0) {
                let text = String::from_utf8_lossy(&line).trim_end().to_owned();
                line.clear();
                writer.turn(|pages| {
                    pages.lines.push_back(text);
                    if pages.lines.len() > KEPT {
                        pages.lines.pop_front();
                    }
                });
            }
            writer.turn(|pages| pages.ended = true);
        });
        Self(shared)
    }

    /// Waits for a line with this text, and takes it out: so that the next one to wait for
    /// the same waits for the next such line.
    ///
    /// # Panics
    /// With the last lines, if the server ends first or nothing comes for too long.
    pub(crate) fn wait_for(&self, text: &str) {
        let found = self.wait_until(|pages| {
            let at = pages.lines.iter().position(|line| line.contains(text));
            at.and_then(|at| pages.lines.remove(at)).is_some()
        });
        assert!(found, "the server did not say {text:?}:\n{}", self.last());
    }

    /// Waits until no process of the server is left.
    ///
    /// # Panics
    /// With the last lines, if that takes too long.
    pub(crate) fn wait_for_the_end(&self) {
        let ended = self.wait_until(|pages| pages.ended);
        assert!(ended, "the server does not end:\n{}", self.last());
    }

    /// Whether it happened before the server ended and patience did.
    fn wait_until(&self, mut happened: impl FnMut(&mut Pages) -> bool) -> bool {
        let mut found = false;
        let pages = self.0.pages.lock().expect("no reader panics");
        let waited = self.0.turned.wait_timeout_while(pages, PATIENCE, |pages| {
            found = happened(pages);
            !found && !pages.ended
        });
        drop(waited.expect("no reader panics"));
        found
    }

    /// What it printed last.
    pub(crate) fn last(&self) -> String {
        let pages = self.0.pages.lock().expect("no reader panics");
        let last = pages.lines.iter().rev().take(SHOWN).rev();
        last.fold(String::new(), |text, line| text + "  | " + line + "\n")
    }
}

impl Shared {
    fn turn(&self, change: impl FnOnce(&mut Pages)) {
        change(&mut self.pages.lock().expect("no reader panics"));
        self.turned.notify_all();
    }
}
