//! The suite finds the faults that it is there to find: stores that are broken in one way
//! each, the case that catches each of them, and a state machine that sees nearly all.

mod call;
mod ending;
mod faults;
mod log_in;
#[path = "../../examples/one_map/store.rs"]
mod one_map;
mod reaping;
mod store;
mod writing;

use std::panic;
use std::sync::Arc;

use async_trait::async_trait;
use faults::{Fault, Machine, TABLE};
use one_map::OneMap;
use store::Broken;
use tenure_conformance::machine::{self, Effort};
use tenure_conformance::{Fixture, case};
use tenure_store::SessionStore;
use tokio::task::JoinSet;

/// All nodes are one handle on one store, fault and all.
struct InBroken(Arc<Broken>);

#[async_trait]
impl Fixture for InBroken {
    async fn node(&self) -> Arc<dyn SessionStore> {
        Arc::<Broken>::clone(&self.0)
    }

    async fn close(self: Box<Self>) {}
}

fn with(fault: Fault) -> Box<dyn Fixture> {
    let good = Arc::new(OneMap::default());
    Box::new(InBroken(Arc::new(Broken::new(good, fault))))
}

#[tokio::test(flavor = "multi_thread")]
async fn every_fault_is_caught_by_its_case() {
    hush_tasks();
    let mut lines = JoinSet::new();
    for line in TABLE {
        lines.spawn(async move {
            let case = case(line.case);
            let broken = case.run(with(line.fault)).await;
            let good = case.run(with(Fault::None)).await;
            match (broken, good) {
                (Err(_), Ok(())) => None,
                (Ok(()), _) => Some(format!("{case:?} does not notice that {}", line.what)),
                (_, Err(why)) => Some(format!("{case:?} fails without a fault: {why}")),
            }
        });
    }
    let mut wrong = Vec::new();
    while let Some(line) = lines.join_next().await {
        wrong.extend(line.expect("a case that panics is caught"));
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn the_state_machine_sees_the_faults_it_can_see() {
    // Over in a moment, and the same every time.
    let short = Effort {
        sequences: 500,
        steps: 60,
        shrinks: 0,
        seed: 1,
    };
    machine::run(async { with(Fault::None) }, short).expect("the wrapper alone is no fault");
    for line in TABLE {
        let seen = match machine::run(async { with(line.fault) }, short) {
            Ok(()) => Machine::Blind,
            Err(_) => Machine::Sees,
        };
        assert_eq!(seen, line.machine, "{:?}: {}", line.fault, line.what);
    }
}

#[test]
fn a_failure_is_shrunk_and_found_again_by_its_seed() {
    let effort = Effort {
        sequences: 500,
        steps: 60,
        shrinks: 4_096,
        seed: 7,
    };
    let run = || machine::run(async { with(Fault::LengtheningRevives) }, effort);
    let report = run().expect_err("the fault is seen");
    assert!(report.contains("update is"), "{report}");
    assert!(report.contains("TENURE_SEED=7"), "{report}");
    // To make a session, and to change it when it has run out, is all that it takes.
    let steps = report.lines().filter(|line| line.contains(", namespace "));
    assert!(steps.count() <= 4, "{report}");
    assert_eq!(run().expect_err("the fault is seen"), report);
}

/// Cases panic where a promise is broken. In tasks of this file that is what they are to
/// do, and nobody needs to read it.
fn hush_tasks() {
    let loud = panic::take_hook();
    panic::set_hook(Box::new(move |info| {
        if std::thread::current().name() != Some("tokio-rt-worker") {
            loud(info);
        }
    }));
}
