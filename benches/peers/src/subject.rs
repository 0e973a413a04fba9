//! What all that is measured can do.

use crate::visit::Visit;

pub(crate) type Error = Box<dyn std::error::Error + Send + Sync>;
pub(crate) type Result<T> = std::result::Result<T, Error>;

/// One way of keeping sessions. Each call is what one request costs.
pub(crate) trait Subject: Send + Sync + 'static {
    /// What a client sends to be known again.
    type Key: Clone + Send + Sync + 'static;

    /// A new session with all attributes of a visit.
    fn create(&self, visit: &Visit) -> impl Future<Output = Result<Self::Key>> + Send;

    /// Finds a live session and reads who it is. Writes nothing.
    fn load(&self, key: &Self::Key) -> impl Future<Output = Result<u64>> + Send;

    /// The same, and the session lives for a whole idle time-out from now: written before the
    /// answer.
    fn touch(&self, key: &Self::Key) -> impl Future<Output = Result<u64>> + Send;

    /// Finds a live session, takes so many of the first item into the cart, and saves.
    fn change(&self, key: &Self::Key, count: u32) -> impl Future<Output = Result<u64>> + Send;

    /// Ends a session.
    fn end(&self, key: Self::Key) -> impl Future<Output = Result<()>> + Send;

    /// Asks for a session that was never there, by a key of the right form. Whether it was
    /// found.
    fn unknown(&self, number: u64) -> impl Future<Output = Result<bool>> + Send;

    /// Asks with what no client ever got. Whether anything was found.
    fn forged(&self) -> impl Future<Output = Result<bool>> + Send;

    /// As `touch` where accesses that change little need no write, while each session is used
    /// twenty times in the span that counts as little. `None` if there is no such thing.
    fn touch_now_and_then(
        &self,
        _key: &Self::Key,
    ) -> impl Future<Output = Result<Option<u64>>> + Send {
        async { Ok(None) }
    }
}
