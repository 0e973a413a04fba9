//! An operation, and the caller who waits for its answer.

use std::sync::Arc;

use tenure_store::{Error, Result};
use tokio::sync::oneshot;

use crate::db::Db;
use crate::queue::closed;

/// What is done with a connection.
pub(crate) trait Operation: Send + 'static {
    type Answer: Send + 'static;

    /// How many bytes it brings along, so that a batch stays small.
    fn bytes(&self) -> usize {
        0
    }

    /// Carries it out. What it writes is undone if it, or one that shares its transaction,
    /// fails; then it runs once more, alone.
    fn run(&self, db: &Db) -> Result<Self::Answer>;
}

/// An operation and its caller.
pub(crate) struct Call<O: Operation> {
    operation: O,
    /// Kept here until it is true: a write's is, once it is committed.
    answer: Option<O::Answer>,
    caller: oneshot::Sender<Result<O::Answer>>,
}

impl<O: Operation> Call<O> {
    pub(crate) fn new(operation: O, caller: oneshot::Sender<Result<O::Answer>>) -> Self {
        Self {
            operation,
            answer: None,
            caller,
        }
    }
}

/// The call of whatever operation.
pub(crate) trait Job: Send {
    /// Carries it out; the answer is kept.
    fn run(&mut self, db: &Db) -> Result<()>;

    /// Whether nobody waits for it any more, so that it need not be begun.
    fn is_abandoned(&self) -> bool;

    fn bytes(&self) -> usize;

    /// Gives the caller the answer.
    fn answer(self: Box<Self>);

    /// Tells the caller why there is none.
    fn fail(self: Box<Self>, error: Error);

    /// Tells the caller that it failed together with others.
    fn fail_together(self: Box<Self>, error: &Arc<Error>) {
        let shared = Error::new(error.kind(), "it failed together with others");
        self.fail(shared.with_source(Arc::clone(error)));
    }
}

/// Carries out what needs no commit, and tells its caller.
pub(crate) fn carry_out(mut job: Box<dyn Job>, db: Option<&Db>) {
    match db.ok_or_else(closed).and_then(|db| job.run(db)) {
        Ok(()) => job.answer(),
        Err(error) => job.fail(error),
    }
}

impl<O: Operation> Job for Call<O> {
    fn run(&mut self, db: &Db) -> Result<()> {
        self.answer = Some(self.operation.run(db)?);
        Ok(())
    }

    fn is_abandoned(&self) -> bool {
        self.caller.is_closed()
    }

    fn bytes(&self) -> usize {
        self.operation.bytes()
    }

    // In both, a caller who has gone meanwhile does not want it.

    fn answer(self: Box<Self>) {
        if let Some(answer) = self.answer {
            let _ = self.caller.send(Ok(answer));
        }
    }

    fn fail(self: Box<Self>, error: Error) {
        let _ = self.caller.send(Err(error));
    }
}
