//! How long one call of the library goes on: made where the call begins, handed down.

use std::time::Duration;

use crate::core::Core;

/// Until when a call may begin further steps. A step that has begun ends with the store's
/// own deadline.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Deadline {
    /// A store that fails is not asked again from here on.
    failing: Duration,
    /// Nor is one that answers, whatever other writers do.
    contended: Duration,
}

impl Deadline {
    /// As long as stores take for one operation by default.
    const SPAN: Duration = Duration::from_secs(2);

    /// How much longer a call goes on against other writers, while the store answers.
    const CONTENTION: Duration = Duration::from_secs(8);

    pub(crate) fn begin(core: &Core) -> Self {
        let failing = core.clock.running().saturating_add(Self::SPAN);
        Self {
            failing,
            contended: failing.saturating_add(Self::CONTENTION),
        }
    }

    /// The same call, which has waited for other writers so far: only now can the store fail.
    pub(crate) fn after_waiting(self, core: &Core) -> Self {
        let Self { failing, .. } = Self::begin(core);
        Self { failing, ..self }
    }

    pub(crate) fn is_over(self, core: &Core) -> bool {
        core.clock.running() >= self.failing
    }

    /// Whether even a store that answers is not asked again.
    pub(crate) fn is_long_over(self, core: &Core) -> bool {
        core.clock.running() >= self.contended
    }

    /// How long other writers are waited for.
    pub(crate) fn left_for_others(self, core: &Core) -> Duration {
        self.contended.saturating_sub(core.clock.running())
    }

    /// Waits for something of this process; `None` if it has not come by the deadline.
    pub(crate) async fn bound<T>(self, core: &Core, wait: impl Future<Output = T>) -> Option<T> {
        let left = self.failing.saturating_sub(core.clock.running());
        tokio::time::timeout(left, wait).await.ok()
    }
}
