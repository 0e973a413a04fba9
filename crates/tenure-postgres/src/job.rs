//! An operation and the caller that waits for its answer; and several of them that become one
//! statement.

use std::any::Any;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use tenure_store::{Error, Namespace, Result, SessionId};
use tokio::sync::oneshot;
use tokio::time::Instant;

use crate::db::Db;

/// What an operation needs of the connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Needs {
    /// It only reads, and can be made again.
    Reading,
    /// It is one statement that writes, and so a transaction by itself.
    Statement,
    /// It is several statements in a transaction.
    Transaction,
}

/// An operation of which several callers' can be one statement.
pub(crate) trait Operation: Send + Sync + Sized + 'static {
    type Answer: Send + 'static;

    const NEEDS: Needs;

    /// Whether the same statement can do both.
    fn joins(&self, other: &Self) -> bool;

    /// How many bytes it brings along, so that a batch stays small.
    fn bytes(&self) -> usize;

    /// The one session that it writes, if there is one.
    fn session(&self) -> Option<(Namespace, SessionId)> {
        None
    }

    /// Carries them out, and answers in their order. It runs once more, for each alone, if
    /// one of them makes it fail.
    fn run_all(
        operations: &[&Self],
        db: &mut Db,
    ) -> impl Future<Output = Result<Vec<Self::Answer>>> + Send;
}

/// An operation that is not worth joining.
pub(crate) trait Single: Send + Sync + Sized + 'static {
    type Answer: Send + 'static;

    const NEEDS: Needs;

    fn run(&self, db: &mut Db) -> impl Future<Output = Result<Self::Answer>> + Send;
}

impl<S: Single> Operation for S {
    type Answer = S::Answer;
    const NEEDS: Needs = S::NEEDS;

    fn joins(&self, _: &Self) -> bool {
        false
    }

    fn bytes(&self) -> usize {
        0
    }

    async fn run_all(operations: &[&Self], db: &mut Db) -> Result<Vec<S::Answer>> {
        let mut answers = Vec::with_capacity(operations.len());
        for operation in operations {
            answers.push(operation.run(db).await?);
        }
        Ok(answers)
    }
}

/// An operation and its caller.
pub(crate) struct Call<O: Operation> {
    operation: O,
    /// How long the caller waits.
    until: Instant,
    /// Kept here until it is true: once it is committed.
    answer: Option<O::Answer>,
    caller: oneshot::Sender<Result<O::Answer>>,
}

impl<O: Operation> Call<O> {
    /// The call as a job of its own.
    pub(crate) fn job(
        operation: O,
        until: Instant,
        caller: oneshot::Sender<Result<O::Answer>>,
    ) -> Box<dyn Job> {
        let call = Self {
            operation,
            until,
            answer: None,
            caller,
        };
        Box::new(Calls(vec![call]))
    }

    fn reply(self, result: Result<O::Answer>) {
        // A caller that has gone meanwhile does not want it.
        let _ = self.caller.send(result);
    }
}

/// Calls that are carried out together.
struct Calls<O: Operation>(Vec<Call<O>>);

/// Calls of whatever operation.
#[async_trait]
pub(crate) trait Job: Send {
    /// Carries them out; the answers are kept.
    async fn run(&mut self, db: &mut Db) -> Result<()>;

    /// Takes over the calls of another job, if it is of the same kind and the same statement
    /// can do both.
    fn absorb(&mut self, other: &mut dyn Any) -> bool;

    /// Each call as a job of its own.
    fn split(self: Box<Self>) -> Vec<Box<dyn Job>>;

    fn needs(&self) -> Needs;

    /// How many callers wait for it.
    fn callers(&self) -> usize;

    /// Whether none of them does any more, so that it need not be begun.
    fn is_abandoned(&self) -> bool;

    fn bytes(&self) -> usize;

    /// The one session that a single call writes, if there is one.
    fn session(&self) -> Option<(Namespace, SessionId)>;

    /// Whether a caller waits for so long yet.
    fn has_time_for(&self, duration: Duration) -> bool;

    /// Gives every caller its answer.
    fn answer(self: Box<Self>);

    /// Tells every caller why it failed.
    fn fail(self: Box<Self>, error: Error);

    /// For [`absorb`](Self::absorb).
    fn as_any(&mut self) -> &mut dyn Any;
}

#[async_trait]
impl<O: Operation> Job for Calls<O> {
    async fn run(&mut self, db: &mut Db) -> Result<()> {
        let operations: Vec<&O> = self.0.iter().map(|call| &call.operation).collect();
        let answers = O::run_all(&operations, db).await?;
        for (call, answer) in self.0.iter_mut().zip(answers) {
            call.answer = Some(answer);
        }
        Ok(())
    }

    fn absorb(&mut self, other: &mut dyn Any) -> bool {
        let Some(Self(others)) = other.downcast_mut() else {
            return false;
        };
        let joins = |other: &Call<O>| {
            let mut mine = self.0.iter();
            mine.all(|call| call.operation.joins(&other.operation))
        };
        let all_join = others.iter().all(joins);
        if all_join {
            self.0.append(others);
        }
        all_join
    }

    fn split(self: Box<Self>) -> Vec<Box<dyn Job>> {
        let alone = |call| Box::new(Self(vec![call])) as Box<dyn Job>;
        self.0.into_iter().map(alone).collect()
    }

    fn needs(&self) -> Needs {
        O::NEEDS
    }

    fn callers(&self) -> usize {
        self.0.len()
    }

    fn is_abandoned(&self) -> bool {
        self.0.iter().all(|call| call.caller.is_closed())
    }

    fn bytes(&self) -> usize {
        self.0.iter().map(|call| call.operation.bytes()).sum()
    }

    fn session(&self) -> Option<(Namespace, SessionId)> {
        match &*self.0 {
            [call] => call.operation.session(),
            _ => None,
        }
    }

    fn has_time_for(&self, duration: Duration) -> bool {
        let then = Instant::now() + duration;
        self.0.iter().any(|call| then < call.until)
    }

    fn answer(self: Box<Self>) {
        for mut call in self.0 {
            if let Some(answer) = call.answer.take() {
                call.reply(Ok(answer));
            }
        }
    }

    fn fail(mut self: Box<Self>, error: Error) {
        if self.0.len() == 1
            && let Some(call) = self.0.pop()
        {
            return call.reply(Err(error));
        }
        let error = Arc::new(error);
        for call in self.0 {
            let shared = Error::new(error.kind(), "it failed together with others");
            call.reply(Err(shared.with_source(Arc::clone(&error))));
        }
    }

    fn as_any(&mut self) -> &mut dyn Any {
        self
    }
}
