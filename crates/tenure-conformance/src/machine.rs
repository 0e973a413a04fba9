//! The contract as one test: random sequences of every method but `close`, with clocks
//! that jump and differ, on several nodes, against a simple model.
//!
//! All sequences of a run share one store and play in namespaces of their own, so that a
//! backend whose store is slow to set up is tested as thoroughly as the others. A
//! sequence that fails is shrunk, and is printed with the seed of the run: the same seed
//! finds it again. Nothing is written to the source tree.

mod act;
mod draft;
mod draw;
mod plan;
mod reap;

use std::collections::hash_map::RandomState;
use std::fmt::Write as _;
use std::hash::{BuildHasher, Hasher};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use proptest::test_runner::{Config, RngSeed, TestCaseError, TestError, TestRunner};
use tenure_store::{Filter, Namespace, Outcome, Result, SessionStore};
use tokio::runtime::Builder;

use crate::Fixture;
use crate::model::{Judgement, Model};
use act::{Epochs, Machine};
use draw::plans;
use plan::{NODES, Plan};

/// More calls than any store needs to page through, or to drain, the handful of sessions
/// of one sequence.
const MANY: usize = 100;

/// How much a [`run`] tries.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Effort {
    /// How many sequences.
    pub sequences: u32,
    /// How many steps the longest of them has.
    pub steps: usize,
    /// How many variations of a failed sequence are tried in search of a shorter one.
    pub shrinks: u32,
    /// Where the random numbers start: the same seed, the same sequences.
    pub seed: u64,
}

impl Effort {
    /// 256 sequences of up to 60 steps from a seed of their own: or as many as the
    /// environment variable `TENURE_SEQUENCES` says, from the seed `TENURE_SEED`.
    pub fn from_env() -> Self {
        let number = |name| std::env::var(name).ok().and_then(|text| text.parse().ok());
        let sequences = number("TENURE_SEQUENCES").and_then(|n: u64| u32::try_from(n).ok());
        Self {
            sequences: sequences.unwrap_or(256),
            steps: 60,
            shrinks: 4_096,
            // The standard library's own randomness: different in every run, no dependency.
            seed: number("TENURE_SEED")
                .unwrap_or_else(|| RandomState::new().build_hasher().finish()),
        }
    }
}

/// Makes the test: one that says in its name what it promises.
///
/// It takes an expression that makes a future of a `Box<dyn Fixture>`, evaluated once;
/// and, as [`suite!`](crate::suite) does, the reason for which it is ignored by default.
/// `TENURE_SEQUENCES` sets how many sequences it tries (256), `TENURE_SEED` where the
/// random numbers start: a failure prints the seed that finds it again.
///
/// ```
/// # use tenure_conformance::{Fixture, state_machine};
/// # async fn my_store() -> Box<dyn Fixture> { unimplemented!() }
/// state_machine!(my_store());
/// ```
#[macro_export]
macro_rules! state_machine {
    (ignore = $reason:literal, $fixture:expr $(,)?) => {
        #[test]
        #[ignore = $reason]
        fn every_sequence_of_calls_is_answered_as_by_the_model() {
            $crate::machine::test($fixture);
        }
    };
    ($fixture:expr $(,)?) => {
        #[test]
        fn every_sequence_of_calls_is_answered_as_by_the_model() {
            $crate::machine::test($fixture);
        }
    };
}

/// Runs as many sequences as the environment asks for, as a test.
///
/// # Panics
/// If an answer is not the model's, with the shortest sequence found that shows it.
pub fn test<F>(fixture: F)
where
    F: Future<Output = Box<dyn Fixture>>,
{
    if let Err(difference) = run(fixture, Effort::from_env()) {
        panic!("{difference}");
    }
}

/// Runs sequences against a fixture, and closes it. To be called outside any runtime: it
/// makes its own, in which the fixture is made too.
///
/// # Errors
/// The shortest sequence found that the store answers otherwise than the model, and the
/// seed that finds it again.
///
/// # Panics
/// If no runtime can be built.
pub fn run<F>(fixture: F, effort: Effort) -> Result<(), String>
where
    F: Future<Output = Box<dyn Fixture>>,
{
    let runtime = Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .expect("a runtime can be built");
    let (fixture, nodes) = runtime.block_on(async {
        let fixture = fixture.await;
        let mut nodes = Vec::with_capacity(NODES);
        for _ in 0..NODES {
            nodes.push(fixture.node().await);
        }
        (fixture, nodes)
    });
    let mut runner = TestRunner::new(Config {
        cases: effort.sequences,
        rng_seed: RngSeed::Fixed(effort.seed),
        failure_persistence: None,
        max_shrink_iters: effort.shrinks,
        ..Config::default()
    });
    let played = runner.run(&plans(effort.steps), |plan| {
        let played = runtime.block_on(play(&nodes, &plan));
        played.map_err(TestCaseError::fail)
    });
    drop(nodes);
    runtime.block_on(fixture.close());
    played.map_err(|error| report(&error, effort))
}

fn report(error: &TestError<Plan>, effort: Effort) -> String {
    let mut text = match error {
        TestError::Fail(reason, plan) => {
            format!("{reason}\nThe shortest sequence found:\n{plan:?}")
        }
        TestError::Abort(reason) => format!("{reason}\n"),
    };
    let Effort {
        sequences, seed, ..
    } = effort;
    // Writing to a string cannot fail.
    let _ = write!(
        text,
        "TENURE_SEED={seed} TENURE_SEQUENCES={sequences} finds it again."
    );
    text
}

/// Plays one sequence in namespaces that no other sequence uses.
async fn play(nodes: &[Arc<dyn SessionStore>], plan: &Plan) -> Judgement {
    static SEQUENCE: AtomicU64 = AtomicU64::new(0);
    let number = SEQUENCE.fetch_add(1, Ordering::Relaxed);
    let sessions = |name: String| Namespace::sessions(&name).map_err(|error| error.to_string());
    let mut machine = Machine {
        nodes,
        // An application, its visitors, one whose name begins with its name, and one
        // whose name differs in case.
        spaces: [
            sessions(format!("m{number}"))?,
            Namespace::visitors(&format!("m{number}")).map_err(|error| error.to_string())?,
            sessions(format!("m{number}_0"))?,
            sessions(format!("M{number}"))?,
        ],
        skew: plan.skew,
        model: Model::default(),
        clock: 0,
        drawn: 0,
        epochs: Epochs::default(),
    };
    machine.open(plan).await?;
    for (number, step) in plan.steps.iter().enumerate() {
        let taken = machine.take(step).await;
        taken.map_err(|wrong| format!("step {number}: {wrong}"))?;
    }
    let compared = machine.compare().await;
    compared.map_err(|wrong| format!("after the last step: {wrong}"))?;
    let drained = machine.drain().await;
    drained.map_err(|wrong| format!("draining: {wrong}"))?;
    let compared = machine.compare().await;
    compared.map_err(|wrong| format!("after draining: {wrong}"))
}

impl Machine<'_> {
    async fn open(&mut self, plan: &Plan) -> Judgement {
        for (ns, hooks) in self.spaces.iter().zip(plan.opened) {
            if let Some(hooks) = hooks {
                self.model.open(ns, hooks);
                let opened = self.nodes[0].open(ns, hooks).await;
                opened.map_err(|error| format!("open is {error:?}"))?;
            }
        }
        Ok(())
    }

    /// That everything that can be seen is as the model has it.
    async fn compare(&mut self) -> Judgement {
        for space in 0..self.spaces.len() {
            let mut scene = self.scene(space, space % NODES);
            scene.count().await?;
            // Small pages, so that sequences of few sessions have boundaries too.
            let mut filter = Filter::all(2);
            for page in 0.. {
                match scene.list(&filter).await? {
                    None => break,
                    next => filter.after = next,
                }
                if page > MANY {
                    return Err("a scan does not end".to_owned());
                }
            }
        }
        Ok(())
    }

    /// Long after everything has run out, claims what is due until there is no more, and
    /// settles it: each session that ended comes out, once.
    async fn drain(&mut self) -> Judgement {
        const LEASE: Duration = Duration::from_mins(1);
        const LONG: i64 = 1_000_000;
        self.clock += LONG;
        for space in 0..self.spaces.len() {
            for round in 0.. {
                let mut scene = self.scene(space, round % NODES);
                let got = scene.store.claim(scene.ns, LEASE, 2, scene.now).await;
                let claimed = scene.claimed(LEASE, 2, got).await?;
                let Some(claimed) = claimed else { break };
                let done: Vec<_> = claimed
                    .ended
                    .iter()
                    .map(|ended| (ended.ticket(), Outcome::Done))
                    .collect();
                scene.settle(&done).await?;
                if !claimed.more {
                    break;
                }
                if round > MANY {
                    return Err("there is always said to be more".to_owned());
                }
            }
        }
        Ok(())
    }
}
