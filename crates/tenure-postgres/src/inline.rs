//! A call that its own caller carries out, as long as the caller goes on.

use std::pin::Pin;
use std::sync::{Arc, Mutex, TryLockError};
use std::task::{Context, Poll, ready};

use crate::pool::Pool;

type Rest = Pin<Box<dyn Future<Output = ()> + Send>>;

/// What is left to do of a call. It lies where others can take it up: a connection must not
/// wait for a caller who has begun, keeps the future, and does not poll it.
pub(crate) struct InlineCall(Mutex<Option<Rest>>);

impl InlineCall {
    pub(crate) fn new(rest: impl Future<Output = ()> + Send + 'static) -> Self {
        Self(Mutex::new(Some(Box::pin(rest))))
    }

    /// Takes it from its caller; nothing if it is done, or being polled at this moment.
    pub(crate) fn take(&self) -> Option<Rest> {
        match self.0.try_lock() {
            Ok(mut rest) => rest.take(),
            // It panicked: dropped, it gives its connection back.
            Err(TryLockError::Poisoned(rest)) => {
                drop(rest.into_inner().take());
                None
            }
            Err(TryLockError::WouldBlock) => None,
        }
    }

    fn poll(&self, context: &mut Context<'_>) -> Poll<()> {
        let Ok(mut rest) = self.0.lock() else {
            return Poll::Ready(());
        };
        if let Some(going) = rest.as_mut() {
            ready!(going.as_mut().poll(context));
            *rest = None;
        }
        Poll::Ready(())
    }
}

/// The caller's hold on it. Who lets go leaves the rest to a task: a connection is never given
/// up in the middle of a statement.
pub(crate) struct Inline {
    pool: Arc<Pool>,
    call: Arc<InlineCall>,
}

impl Inline {
    pub(crate) fn new(pool: Arc<Pool>, call: Arc<InlineCall>) -> Self {
        Self { pool, call }
    }

    /// Goes on with it; ready if it is done, or somebody else's.
    pub(crate) fn poll(&self, context: &mut Context<'_>) -> Poll<()> {
        self.call.poll(context)
    }
}

impl Drop for Inline {
    fn drop(&mut self) {
        self.pool.forget(&self.call);
        if let Some(rest) = self.call.take() {
            self.pool.spawn(rest);
        }
    }
}
