//! The runtime that a connection belongs to.

use tokio::task::JoinHandle;

/// A task that waits in it, and goes with it: the driver of a connection's input and output is
/// gone then, and the connection is of no use on any other.
pub(crate) struct Home(JoinHandle<()>);

impl Home {
    /// The runtime at work here.
    pub(crate) fn here() -> Self {
        Self(tokio::spawn(std::future::pending()))
    }

    pub(crate) fn is_gone(&self) -> bool {
        self.0.is_finished()
    }
}

impl Drop for Home {
    fn drop(&mut self) {
        self.0.abort();
    }
}
