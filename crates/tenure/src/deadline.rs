//! How long one call of the library goes on: made where the call begins, handed down.

use std::time::Duration;

use crate::core::Core;

/// Until when a call may begin further steps. A step that has begun ends with the store's
/// own deadline.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Deadline(Duration);

impl Deadline {
    /// As long as stores take for one operation by default.
    const SPAN: Duration = Duration::from_secs(2);

    /// How much longer a call goes on against other writers, while the store answers.
    const CONTENTION: Duration = Duration::from_secs(8);

    pub(crate) fn begin(core: &Core) -> Self {
        Self(core.clock.running().saturating_add(Self::SPAN))
    }

    /// Whether even a store that answers is not asked again.
    pub(crate) fn is_long_over(self, core: &Core) -> bool {
        (self.0 + Self::CONTENTION)
            .saturating_sub(core.clock.running())
            .is_zero()
    }

    fn left(self, core: &Core) -> Duration {
        self.0.saturating_sub(core.clock.running())
    }

    pub(crate) fn is_over(self, core: &Core) -> bool {
        self.left(core).is_zero()
    }

    /// Waits for something of this process; `None` if it has not come by the deadline.
    pub(crate) async fn bound<T>(self, core: &Core, wait: impl Future<Output = T>) -> Option<T> {
        tokio::time::timeout(self.left(core), wait).await.ok()
    }
}
