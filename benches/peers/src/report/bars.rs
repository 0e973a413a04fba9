//! What must hold.

use std::fmt;

use super::excused::excuse;
use super::figures::Figures;
use crate::ours::store::payload;
use crate::visit::Visit;
use crate::window::Work;

const OURS: &str = "tenure";
const STORE: &str = "tenure store";

/// One thing that must hold.
pub(crate) struct Verdict {
    cell: String,
    /// What was measured; `None` if it was not.
    found: Option<f64>,
    bound: Bound,
}

#[derive(Clone, Copy)]
enum Bound {
    AtLeast(f64),
    AtMost(f64),
}

impl Verdict {
    pub(crate) fn holds(&self) -> Option<bool> {
        self.found.map(|found| match self.bound {
            Bound::AtLeast(least) => found >= least,
            Bound::AtMost(most) => found <= most,
        })
    }

    pub(crate) fn excuse(&self) -> Option<&'static str> {
        excuse(&self.cell)
    }

    pub(crate) fn is_broken(&self) -> bool {
        self.holds() == Some(false) && self.excuse().is_none()
    }

    pub(crate) fn cell(&self) -> &str {
        &self.cell
    }

    /// What was found and what was asked for.
    pub(crate) fn says(&self) -> String {
        let found = self
            .found
            .map_or("not measured".to_owned(), |found| format!("{found:.2}"));
        match self.bound {
            Bound::AtLeast(least) => format!("{found}, at least {least}"),
            Bound::AtMost(most) => format!("{found}, at most {most}"),
        }
    }
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let word = match (self.holds(), self.excuse()) {
            (Some(true), _) => "pass",
            (Some(false), Some(_)) => "excused",
            (Some(false), None) => "FAIL",
            (None, _) => "-",
        };
        write!(f, "{word:<8} {:<60} {}", self.cell, self.says())
    }
}

/// All of them, in the order of the backends.
pub(crate) fn verdicts(figures: &Figures) -> Vec<Verdict> {
    let mut bars = Bars {
        figures,
        verdicts: Vec::new(),
    };
    bars.memory();
    bars.postgres();
    bars.redis();
    bars.sqlite();
    bars.all();
    bars.verdicts
}

struct Bars<'a> {
    figures: &'a Figures,
    verdicts: Vec<Verdict>,
}

/// The works that every peer has, in the order of the table.
const WORKS: [Work; 4] = [Work::Load, Work::Touch, Work::Change, Work::Create];

impl Bars<'_> {
    fn memory(&mut self) {
        let map = ["floor: sharded map"];
        let tower = ["tower-sessions"];
        for (work, of_map, of_tower) in [
            (Work::Load, 0.7, 5.0),
            (Work::Touch, 0.6, 8.0),
            (Work::Change, 0.5, 5.0),
            (Work::Create, 0.5, 4.0),
        ] {
            for tasks in [16, 64] {
                self.faster("memory", STORE, (work, tasks), (&map, work), of_map);
                self.faster("memory", OURS, (work, tasks), (&tower, work), of_tower);
            }
        }
        let forged = self.figures.window("memory", OURS, Work::Forged, 16);
        self.add(
            "memory, forged token, CPU in µs".to_owned(),
            forged.map(|figure| figure.cpu_us),
            Bound::AtMost(1.5),
        );
        self.no_larger("memory", 900.0);
    }

    fn postgres(&mut self) {
        let tower = ["tower-sessions sqlx"];
        let pipelined = ["floor: tokio-postgres pipelined"];
        for tasks in [16, 64] {
            let touch = if tasks == 16 { 2.0 } else { 4.0 };
            for (work, times) in WORKS.into_iter().zip([2.0, touch, 2.0, 2.0]) {
                self.faster("postgres", OURS, (work, tasks), (&tower, work), times);
            }
            let now_and_then = (Work::TouchNowAndThen, tasks);
            self.faster("postgres", OURS, now_and_then, (&tower, Work::Touch), 6.0);
            let load = (Work::Load, tasks);
            self.faster("postgres", OURS, load, (&pipelined, Work::Load), 0.85);
        }
        let p50 = |subject| self.figures.window("postgres", subject, Work::Load, 1);
        let found = p50(OURS).zip(p50("floor: sqlx held"));
        self.add(
            "postgres, load, 1 task, p50 of a held statement's".to_owned(),
            found.map(|(ours, floor)| ours.p50_us / floor.p50_us),
            Bound::AtMost(1.15),
        );
    }

    fn redis(&mut self) {
        let peers = self.figures.peers("redis");
        for tasks in [16, 64] {
            for (work, times) in WORKS.into_iter().zip([1.15, 1.3, 1.1, 1.1]) {
                self.faster("redis", OURS, (work, tasks), (&peers, work), times);
            }
            let load = (Work::Load, tasks);
            self.faster(
                "redis",
                OURS,
                load,
                (&["floor: multiplexed"], Work::Load),
                0.85,
            );
        }
        let payload = payload(&Visit::of(1)).len() as f64;
        self.no_larger("redis", (1.6 * payload + 500.0).round());
    }

    fn sqlite(&mut self) {
        for backend in ["sqlite_full", "sqlite_normal"] {
            let rusqlite = ["tower-sessions rusqlite"];
            let sqlx = ["tower-sessions sqlx"];
            let peers = self.figures.peers(backend);
            for tasks in [16, 64] {
                for (work, times) in WORKS.into_iter().zip([1.2, 2.0, 1.5, 1.5]) {
                    self.faster(backend, OURS, (work, tasks), (&rusqlite, work), times);
                }
                self.faster(backend, OURS, (Work::Load, tasks), (&sqlx, Work::Load), 2.5);
            }
            for work in WORKS {
                self.faster(backend, OURS, (work, 1), (&peers, work), 1.0);
            }
        }
    }

    fn all(&mut self) {
        for backend in self.figures.backends() {
            let most = self.figures.bulks(backend).map(|(_, sessions, _)| sessions);
            let Some(most) = most.max() else { continue };
            let took = |what, sessions| self.figures.bulk(backend, what, sessions);
            let ratio = |one: Option<f64>, other: Option<f64>| Some(one? / other?);
            let resets = ratio(took("reset", most), took("reset", 10));
            let floor = took("floor: batched delete", most);
            let without = ratio(floor, took("reap without a hook", most));
            let with = ratio(floor, took("reap with a hook", most));
            let of = |what| format!("{backend}, {what}");
            let [reset, plain, hooked] = [
                format!("a reset of {most} to one of 10"),
                "reaping without a hook to a batched delete".to_owned(),
                "reaping with a hook to a batched delete".to_owned(),
            ]
            .map(of);
            self.add(reset, resets, Bound::AtMost(1.3));
            self.add(plain, without, Bound::AtLeast(0.5));
            self.add(hooked, with, Bound::AtLeast(0.2));
        }
    }

    /// That ours does so many times the work that the fastest of others does.
    fn faster(
        &mut self,
        backend: &str,
        ours: &str,
        (work, tasks): (Work, usize),
        (others, theirs): (&[&str], Work),
        times: f64,
    ) {
        let rate = |subject, work| {
            let figure = self.figures.window(backend, subject, work, tasks)?;
            Some(figure.rate)
        };
        let fastest = others.iter().filter_map(|other| rate(other, theirs));
        let fastest = fastest.max_by(f64::total_cmp);
        let found = rate(ours, work)
            .zip(fastest)
            .map(|(ours, fastest)| ours / fastest);
        let whom = match others {
            [one] => one,
            _ => "the fastest peer",
        };
        let cell = format!(
            "{backend}, {ours}, {}, {tasks} tasks, to {whom}",
            work.words()
        );
        self.add(cell, found, Bound::AtLeast(times));
    }

    /// That a session with its payload takes no more bytes in all.
    fn no_larger(&mut self, backend: &str, bytes: f64) {
        let found = self.figures.size(backend, STORE);
        let cell = format!("{backend}, {STORE}, bytes a session");
        self.add(cell, found, Bound::AtMost(bytes));
    }

    fn add(&mut self, cell: String, found: Option<f64>, bound: Bound) {
        self.verdicts.push(Verdict { cell, found, bound });
    }
}
