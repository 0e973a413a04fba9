//! What is counted, and under which names; `guides/observability.md` lists them.
//!
//! The handles are made once, when `Sessions` is built: counting is then one atomic
//! addition, and nothing at all where no recorder is installed.

use std::fmt;

use metrics::{Counter, Gauge, Histogram};
use tenure_store::{Claimed, Namespace, Outcome, Timestamp};

use crate::{Error, Result};

/// The counters of one namespace.
#[derive(Clone)]
pub(crate) struct Metrics {
    pub(crate) lookups: Lookups,
    pub(crate) commits: Commits,
    pub(crate) hooks: Hooks,
    pub(crate) rounds: Rounds,
    /// Ends that were asked for on this node and found a live session.
    pub(crate) ends: Counter,
}

impl Metrics {
    pub(crate) fn new(ns: &Namespace) -> Self {
        let of = Labels::new(ns);
        Self {
            lookups: Lookups::new(&of),
            commits: Commits {
                created: of.counter("tenure_commits_total", "created"),
                updated: of.counter("tenure_commits_total", "updated"),
                read: of.counter("tenure_commits_total", "read"),
                gone: of.counter("tenure_commits_total", "gone"),
                superseded: of.counter("tenure_commits_total", "superseded"),
                failed: of.counter("tenure_commits_total", "failed"),
                conflicts: metrics::counter!("tenure_conflicts_total", of.plain()),
            },
            hooks: Hooks {
                succeeded: of.counter("tenure_hooks_total", "succeeded"),
                failed: of.counter("tenure_hooks_total", "failed"),
                dead: of.counter("tenure_hooks_total", "dead"),
                released: of.counter("tenure_hooks_total", "released"),
                running: metrics::gauge!("tenure_hooks_running", of.plain()),
                seconds: metrics::histogram!("tenure_hook_seconds", of.plain()),
            },
            rounds: Rounds {
                done: of.counter("tenure_reaper_rounds_total", "done"),
                paused: of.counter("tenure_reaper_rounds_total", "paused"),
                failed: of.counter("tenure_reaper_rounds_total", "failed"),
                lag: metrics::gauge!("tenure_reaper_lag_seconds", of.plain()),
            },
            ends: metrics::counter!("tenure_ends_total", of.plain()),
        }
    }
}

impl fmt::Debug for Metrics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Metrics").finish_non_exhaustive()
    }
}

/// How tokens turned out.
#[derive(Clone)]
pub(crate) struct Lookups {
    pub(crate) live: Counter,
    pub(crate) absent: Counter,
    pub(crate) bad_token: Counter,
    pub(crate) replaced_token: Counter,
}

impl Lookups {
    fn new(of: &Labels) -> Self {
        Self {
            live: of.counter("tenure_lookups_total", "live"),
            absent: of.counter("tenure_lookups_total", "absent"),
            bad_token: of.counter("tenure_lookups_total", "bad_token"),
            replaced_token: of.counter("tenure_lookups_total", "replaced_token"),
        }
    }

    /// Those of a peeker, which does nothing else.
    pub(crate) fn of(ns: &Namespace) -> Self {
        Self::new(&Labels::new(ns))
    }
}

/// How commits came out.
#[derive(Clone)]
pub(crate) struct Commits {
    pub(crate) created: Counter,
    pub(crate) updated: Counter,
    pub(crate) read: Counter,
    gone: Counter,
    superseded: Counter,
    failed: Counter,
    pub(crate) conflicts: Counter,
}

impl Commits {
    /// Counts a commit that failed, and passes it on.
    pub(crate) fn count<T>(&self, done: Result<T>) -> Result<T> {
        match &done {
            Ok(_) => {}
            Err(Error::Gone) => self.gone.increment(1),
            Err(Error::Superseded) => self.superseded.increment(1),
            Err(_) => self.failed.increment(1),
        }
        done
    }
}

/// How end hooks came out.
#[derive(Clone)]
pub(crate) struct Hooks {
    succeeded: Counter,
    failed: Counter,
    dead: Counter,
    released: Counter,
    pub(crate) running: Gauge,
    pub(crate) seconds: Histogram,
}

impl Hooks {
    pub(crate) fn count(&self, outcome: &Outcome) {
        match outcome {
            Outcome::Done => &self.succeeded,
            Outcome::Release => &self.released,
            Outcome::Retry { .. } => &self.failed,
            Outcome::Dead { .. } => &self.dead,
        }
        .increment(1);
    }
}

/// How the reaper's rounds came out.
#[derive(Clone)]
pub(crate) struct Rounds {
    pub(crate) done: Counter,
    pub(crate) paused: Counter,
    pub(crate) failed: Counter,
    lag: Gauge,
}

impl Rounds {
    /// How far behind reapers are: how long ago the session ended that came last, of those
    /// that were claimed for the first time. A hook that is tried again was waited for.
    pub(crate) fn note_lag(&self, claimed: &Claimed, now: Timestamp) {
        let mut ended = claimed.ended.iter().rev();
        let first = ended.find(|ended| ended.tombstone.claims == 1);
        match first {
            Some(ended) => self.lag.set(now.since(ended.tombstone.end.at)),
            None if claimed.ended.is_empty() && !claimed.more => self.lag.set(0.0),
            None => {}
        }
    }
}

struct Labels {
    application: String,
    kind: String,
}

impl Labels {
    fn new(ns: &Namespace) -> Self {
        Self {
            application: ns.application().to_owned(),
            kind: ns.kind().to_string(),
        }
    }

    fn plain(&self) -> Vec<metrics::Label> {
        vec![
            metrics::Label::new("application", self.application.clone()),
            metrics::Label::new("kind", self.kind.clone()),
        ]
    }

    fn counter(&self, name: &'static str, outcome: &'static str) -> Counter {
        let mut labels = self.plain();
        labels.push(metrics::Label::from_static_parts("outcome", outcome));
        metrics::counter!(name, labels)
    }
}
