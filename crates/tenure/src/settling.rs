//! How hooks came out, on its way to the store: kept, and told again, until the store has
//! taken it or its lease is over.

use std::sync::Arc;
use std::time::Duration;

use tenure_store::{Outcome, Ticket};
use tokio::time::Instant;

use crate::core::Core;

/// So many outcomes are settled together at once, and fewer when they have waited so long.
const TOGETHER: usize = 100;
const LINGER: Duration = Duration::from_millis(200);
/// After a refusal, the wait for the next try: this, doubled each time up to the longest.
const FIRST_PAUSE: Duration = Duration::from_millis(100);
const LONGEST_PAUSE: Duration = Duration::from_secs(5);

/// Outcomes that the store has not taken yet.
pub(crate) struct Settling {
    core: Arc<Core>,
    outcomes: Vec<(Ticket, Outcome)>,
    /// For each of them, until when its lease runs.
    good_until: Vec<Instant>,
    /// How often in a row the store refused.
    refusals: u32,
    next: Instant,
}

impl Settling {
    pub(crate) fn new(core: Arc<Core>) -> Self {
        Self {
            core,
            outcomes: Vec::new(),
            good_until: Vec::new(),
            refusals: 0,
            next: Instant::now(),
        }
    }

    /// Takes one more.
    pub(crate) fn push(&mut self, ticket: Ticket, outcome: Outcome, good_until: Instant) {
        if self.outcomes.is_empty() {
            self.next = Instant::now() + LINGER;
        }
        self.outcomes.push((ticket, outcome));
        self.good_until.push(good_until);
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.outcomes.is_empty()
    }

    /// When to settle, if nothing comes up before.
    pub(crate) fn next(&self) -> Instant {
        self.next
    }

    /// Whether to settle now; at once if nothing more will come.
    pub(crate) fn is_due(&self, is_last: bool) -> bool {
        let is_full = is_last || self.outcomes.len() >= TOGETHER;
        !self.is_empty() && (self.refusals == 0 && is_full || self.next <= Instant::now())
    }

    /// Tells the store. What it refuses is kept for another try, unless its lease is over by
    /// then: others may run those hooks again.
    pub(crate) async fn settle(&mut self) {
        let core = Arc::clone(&self.core);
        let told = self.outcomes.len();
        let settled = core.store.settle(&core.ns, &self.outcomes, core.now());
        match settled.await {
            Ok(settled) => {
                // After a refusal some may have been settled before, though nobody heard.
                if settled < told as u64 && self.refusals == 0 {
                    tracing::warn!(
                        namespace = %core.ns,
                        lost = told as u64 - settled,
                        "leases were overrun: other nodes have claimed these end hooks meanwhile"
                    );
                }
                self.outcomes.clear();
                self.good_until.clear();
                self.refusals = 0;
            }
            Err(error) => {
                if self.refusals == 0 {
                    tracing::warn!(
                        namespace = %core.ns,
                        %error,
                        hooks = told,
                        "end hooks could not be settled; it is tried again while their leases run"
                    );
                }
                let pause = FIRST_PAUSE.saturating_mul(2_u32.saturating_pow(self.refusals));
                self.refusals = self.refusals.saturating_add(1);
                self.next = Instant::now() + pause.min(LONGEST_PAUSE);
                self.let_go();
            }
        }
    }

    /// Gives up those whose lease is over.
    fn let_go(&mut self) {
        let now = Instant::now();
        let outcomes = std::mem::take(&mut self.outcomes).into_iter();
        let kept = outcomes.zip(std::mem::take(&mut self.good_until));
        let before = kept.len();
        (self.outcomes, self.good_until) = kept.filter(|(_, until)| now < *until).unzip();
        let hooks = before - self.outcomes.len();
        if hooks > 0 {
            tracing::warn!(
                namespace = %self.core.ns,
                hooks,
                "end hooks could not be settled within their leases; they run again"
            );
        }
        if self.outcomes.is_empty() {
            self.refusals = 0;
        }
    }
}
