//! A subject at work in a process of its own, as whoever uses it has it: two in one process
//! would share its allocator, and with SQLite its one cache of pages.

use std::io::{BufRead as _, BufReader, Write as _};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::lineup::Backend;
use crate::subject::{Result, Subject};
use crate::window::{Filled, Sample, Window, Work};

/// What is asked of it, a line of JSON each.
#[derive(Serialize, Deserialize)]
enum Order {
    Measure(Work, Window),
    Tidy,
}

/// The process, seen by whoever gives orders.
pub(crate) struct Seat {
    pub(crate) name: &'static str,
    /// What one of its sessions weighs, in bytes.
    pub(crate) bytes: f64,
    process: Child,
    orders: Option<ChildStdin>,
    answers: BufReader<ChildStdout>,
}

impl Seat {
    /// Starts it, and waits until it has all its sessions.
    pub(crate) fn fill(backend: Backend, name: &'static str, sessions: usize) -> Result<Self> {
        Self::fill_through(backend, name, sessions, &[])
    }

    /// The same, with servers elsewhere.
    pub(crate) fn fill_through(
        backend: Backend,
        name: &'static str,
        sessions: usize,
        servers: &[(&str, &str)],
    ) -> Result<Self> {
        let mut process = Command::new(std::env::current_exe()?)
            .args(["seat", backend.name(), name, &sessions.to_string()])
            .envs(servers.iter().copied())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()?;
        let answers = process.stdout.take().ok_or("it has no voice")?;
        let mut seat = Self {
            name,
            bytes: 0.0,
            orders: process.stdin.take(),
            process,
            answers: BufReader::new(answers),
        };
        seat.bytes = seat.answer()?;
        Ok(seat)
    }

    /// `None` if the subject has no such work.
    pub(crate) fn measure(&mut self, work: Work, window: Window) -> Result<Option<Sample>> {
        self.order(&Order::Measure(work, window))?;
        self.answer()
    }

    /// Has it end what windows created and no window ended.
    pub(crate) fn tidy(&mut self) -> Result<()> {
        self.order(&Order::Tidy)?;
        self.answer()
    }

    fn order(&mut self, order: &Order) -> Result<()> {
        let mut orders = self.orders.as_ref().ok_or("it has no ear")?;
        Ok(writeln!(orders, "{}", serde_json::to_string(order)?)?)
    }

    fn answer<T: for<'a> Deserialize<'a>>(&mut self) -> Result<T> {
        let mut line = String::new();
        if self.answers.read_line(&mut line)? == 0 {
            return Err(format!("{} has given up", self.name).into());
        }
        Ok(serde_json::from_str(&line)?)
    }
}

impl Drop for Seat {
    /// Without orders to come, it goes.
    fn drop(&mut self) {
        drop(self.orders.take());
        let _ = self.process.wait();
    }
}

/// The process, seen from inside: says what a session weighs, then follows orders.
pub(crate) async fn work<S: Subject>(filled: &Arc<Filled<S>>, bytes: f64) -> Result<()> {
    say(&bytes)?;
    for line in std::io::stdin().lines() {
        match serde_json::from_str(&line?)? {
            Order::Measure(work, window) => say(&filled.measure(work, window).await?)?,
            Order::Tidy => say(&filled.tidy().await?)?,
        }
    }
    Ok(())
}

fn say(answer: &impl Serialize) -> Result<()> {
    let mut voice = std::io::stdout();
    writeln!(voice, "{}", serde_json::to_string(answer)?)?;
    Ok(voice.flush()?)
}
