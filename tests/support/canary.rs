//! Listens to everything that is traced, at the finest level, for what must never be
//! printed.

use std::collections::BTreeSet;
use std::io::{self, Write};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock};

use tracing_subscriber::fmt::MakeWriter;
use tracing_subscriber::fmt::format::FmtSpan;

/// What the tests store, send and log in as; where one of these is printed, a secret
/// would be.
const CANARIES: [&str; 4] = ["dark", "alice", "mallory", "bob"];

/// Counts the lines that show a secret.
#[derive(Clone, Default)]
pub(crate) struct Canary {
    found: Arc<AtomicU64>,
    lines: Arc<AtomicU64>,
    /// How tokens begin, and other texts that only tests know.
    more: Arc<Mutex<BTreeSet<String>>>,
}

impl Canary {
    /// The one that listens to this whole process, from now on.
    pub(crate) fn of_this_process() -> &'static Self {
        static LISTENING: OnceLock<Canary> = OnceLock::new();
        LISTENING.get_or_init(|| {
            let canary = Self::default();
            tracing::subscriber::set_global_default(canary.subscriber())
                .expect("nobody else listens");
            canary
        })
    }

    /// This must not be printed either.
    pub(crate) fn watch_for(&self, secret: &str) {
        self.more().insert(secret.to_owned());
    }

    pub(crate) fn subscriber(&self) -> impl tracing::Subscriber + Send + Sync + use<> {
        tracing_subscriber::fmt()
            .with_max_level(tracing::Level::TRACE)
            .with_span_events(FmtSpan::FULL)
            .with_ansi(false)
            .with_writer(self.clone())
            .finish()
    }

    /// Whether something that is printed, or would be, shows a secret.
    pub(crate) fn is_in(&self, text: &str) -> bool {
        CANARIES.iter().any(|canary| text.contains(canary))
            || self
                .more()
                .iter()
                .any(|secret| text.contains(secret.as_str()))
    }

    fn more(&self) -> MutexGuard<'_, BTreeSet<String>> {
        self.more.lock().expect("no test panics while it looks")
    }

    /// How many lines showed a secret so far.
    pub(crate) fn found(&self) -> u64 {
        self.found.load(Ordering::SeqCst)
    }

    /// How many lines were looked at.
    pub(crate) fn lines(&self) -> u64 {
        self.lines.load(Ordering::SeqCst)
    }
}

impl Write for Canary {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        self.lines.fetch_add(1, Ordering::SeqCst);
        if self.is_in(&String::from_utf8_lossy(line)) {
            self.found.fetch_add(1, Ordering::SeqCst);
        }
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl<'a> MakeWriter<'a> for Canary {
    type Writer = Self;

    fn make_writer(&'a self) -> Self {
        self.clone()
    }
}
