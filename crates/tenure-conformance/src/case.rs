//! One case: its id, its name, and how it is run so that whatever happens the data is
//! cleaned up and the verdict says where the promise broke.

use std::any::Any;
use std::fmt;
use std::panic::{AssertUnwindSafe, Location};
use std::pin::Pin;
use std::time::Duration;

use futures_util::FutureExt;
use tenure_store::Error;
use tokio::runtime::Builder;
use tokio::time::timeout;

use crate::{Fixture, Stage};

/// What a case says at its end. A promise that does not hold is a panic, as in any
/// test; a store that refuses to answer is a [`Broken`].
pub type Verdict = Result<(), Broken>;

/// A case on its way.
pub type Running<'a> = Pin<Box<dyn Future<Output = Verdict> + Send + 'a>>;

/// How long a case may take before it counts as hanging: long enough for the slowest
/// store on the busiest machine.
const PATIENCE: Duration = Duration::from_mins(5);

/// One promise of the contract, and the function that sees whether a store keeps it.
#[derive(Clone, Copy)]
pub struct Case {
    /// Its stable id: a section's letter and a number, such as `E31a`.
    pub id: &'static str,
    /// The file of [`cases`](crate::cases) that it is in.
    pub section: &'static str,
    /// The promise, which is the function's name and that of the test.
    pub name: &'static str,
    /// The function.
    pub play: for<'a> fn(&'a Stage) -> Running<'a>,
}

impl Case {
    /// Runs the case on a fixture of its own, and closes that, however it ends.
    ///
    /// # Errors
    /// What broke, if the store did not keep the promise.
    pub async fn run(&self, fixture: Box<dyn Fixture>) -> Verdict {
        let stage = Stage::set(fixture).await?;
        // Not in a task of its own: so that what a panic prints is the test's output.
        let playing = AssertUnwindSafe((self.play)(&stage)).catch_unwind();
        let verdict = match timeout(PATIENCE, playing).await {
            Ok(Ok(verdict)) => verdict,
            Ok(Err(panic)) => Err(Broken(panic_text(&*panic))),
            Err(_) => Err(Broken(format!("no end within {PATIENCE:?}"))),
        };
        stage.strike().await;
        verdict
    }

    /// Runs the case as a test: on a runtime of its own, with as many threads as make
    /// races real, and a panic if the promise is broken.
    ///
    /// # Panics
    /// If the store did not keep the promise.
    pub fn test<F>(&self, fixture: F)
    where
        F: Future<Output = Box<dyn Fixture>>,
    {
        let runtime = Builder::new_multi_thread()
            .worker_threads(4)
            .enable_all()
            .build()
            .expect("a runtime can be built");
        let verdict = runtime.block_on(async { self.run(fixture.await).await });
        if let Err(broken) = verdict {
            panic!("{} {}: {broken}", self.id, self.name);
        }
    }
}

impl fmt::Debug for Case {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.id, self.name)
    }
}

/// How a promise was broken, and where the case noticed.
#[derive(Clone, PartialEq, Eq)]
pub struct Broken(String);

impl From<Error> for Broken {
    /// Lets `?` tell the line of the case in which the store failed.
    #[track_caller]
    fn from(error: Error) -> Self {
        Self(format!("{error} (at {})", Location::caller()))
    }
}

impl fmt::Display for Broken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for Broken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl std::error::Error for Broken {}

fn panic_text(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().copied();
    let text = text.or_else(|| panic.downcast_ref::<String>().map(String::as_str));
    text.unwrap_or("a panic without words").to_owned()
}
