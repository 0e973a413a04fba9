//! The medians of all rounds.

use std::collections::BTreeMap;
use std::fs;

use crate::line::Line;
use crate::subject::Result;
use crate::window::Work;

/// What a subject did in the windows of one kind.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Figure {
    /// Operations in a second.
    pub(crate) rate: f64,
    /// By how much of it the rounds differ, from the first quartile to the third.
    pub(crate) spread: f64,
    pub(crate) p50_us: f64,
    pub(crate) p99_us: f64,
    /// Of the measuring process, for each operation.
    pub(crate) cpu_us: f64,
}

#[derive(Default)]
pub(crate) struct Figures {
    about: Vec<(String, String)>,
    /// In the order in which they were measured.
    subjects: Vec<(String, String)>,
    windows: BTreeMap<(String, String, Work, usize), Figure>,
    trips: BTreeMap<(String, String, Work), f64>,
    bulk: BTreeMap<(String, String, usize), f64>,
    growth: Vec<(String, String, usize, f64)>,
    weights: Vec<(String, i64)>,
    sizes: Vec<(String, String, f64)>,
}

impl Figures {
    pub(crate) fn read(path: &str) -> Result<Self> {
        let mut figures = Self::default();
        let mut windows: BTreeMap<_, Vec<_>> = BTreeMap::new();
        let mut bulk: BTreeMap<_, Vec<f64>> = BTreeMap::new();
        for line in fs::read_to_string(path)?.lines() {
            match serde_json::from_str(line)? {
                Line::About { what, says } => figures.about.push((what, says)),
                Line::Window {
                    backend,
                    subject,
                    work,
                    tasks,
                    sample,
                    ..
                } => {
                    let name = (backend.clone(), subject.clone());
                    if !figures.subjects.contains(&name) {
                        figures.subjects.push(name);
                    }
                    let samples = windows.entry((backend, subject, work, tasks));
                    samples.or_default().push(sample);
                }
                Line::Trips {
                    backend,
                    subject,
                    work,
                    trips,
                } => {
                    figures.trips.insert((backend, subject, work), trips);
                }
                Line::Bulk {
                    backend,
                    what,
                    sessions,
                    seconds,
                } => bulk
                    .entry((backend, what, sessions))
                    .or_default()
                    .push(seconds),
                Line::Growth {
                    backend,
                    work,
                    sessions,
                    p50_us,
                } => figures.growth.push((backend, work, sessions, p50_us)),
                Line::Size {
                    backend,
                    subject,
                    bytes,
                } => figures.sizes.push((backend, subject, bytes)),
                Line::Weight { what, bytes } => figures.weights.push((what, bytes)),
            }
        }
        for (key, samples) in windows {
            let of = |f: &dyn Fn(&crate::window::Sample) -> f64| {
                quartiles(samples.iter().map(f).collect())
            };
            let [first, rate, third] = of(&|s| s.operations as f64 / s.seconds);
            let figure = Figure {
                rate,
                spread: (third - first) / rate,
                p50_us: of(&|s| s.p50_us)[1],
                p99_us: of(&|s| s.p99_us)[1],
                cpu_us: of(&|s| s.cpu_seconds / s.operations as f64 * 1e6)[1],
            };
            figures.windows.insert(key, figure);
        }
        for (key, seconds) in bulk {
            figures.bulk.insert(key, quartiles(seconds)[1]);
        }
        Ok(figures)
    }

    pub(crate) fn about(&self) -> &[(String, String)] {
        &self.about
    }

    pub(crate) fn backends(&self) -> Vec<&str> {
        let mut backends: Vec<&str> = Vec::new();
        for (backend, _) in &self.subjects {
            if !backends.contains(&backend.as_str()) {
                backends.push(backend);
            }
        }
        backends
    }

    pub(crate) fn subjects(&self, of: &str) -> Vec<&str> {
        let subjects = self.subjects.iter().filter(|(backend, _)| backend == of);
        subjects.map(|(_, subject)| subject.as_str()).collect()
    }

    /// The other session libraries of a backend: neither ours nor a floor.
    pub(crate) fn peers(&self, of: &str) -> Vec<&str> {
        let mut subjects = self.subjects(of);
        subjects.retain(|name| !name.starts_with("tenure") && !name.starts_with("floor"));
        subjects
    }

    pub(crate) fn window(
        &self,
        backend: &str,
        subject: &str,
        work: Work,
        tasks: usize,
    ) -> Option<Figure> {
        let key = (backend.to_owned(), subject.to_owned(), work, tasks);
        self.windows.get(&key).copied()
    }

    /// How often an operation goes to the server and back.
    pub(crate) fn trips(&self, backend: &str, subject: &str, work: Work) -> Option<f64> {
        let key = (backend.to_owned(), subject.to_owned(), work);
        self.trips.get(&key).copied()
    }

    /// The median of the seconds it took.
    pub(crate) fn bulk(&self, backend: &str, what: &str, sessions: usize) -> Option<f64> {
        let key = (backend.to_owned(), what.to_owned(), sessions);
        self.bulk.get(&key).copied()
    }

    /// All that was done to many sessions on a backend: what, to how many, in how many seconds.
    pub(crate) fn bulks<'a>(
        &'a self,
        of: &'a str,
    ) -> impl Iterator<Item = (&'a str, usize, f64)> + 'a {
        let bulks = self
            .bulk
            .iter()
            .filter(move |((backend, ..), _)| backend == of);
        bulks.map(|((_, what, sessions), seconds)| (what.as_str(), *sessions, *seconds))
    }

    pub(crate) fn growth(&self) -> &[(String, String, usize, f64)] {
        &self.growth
    }

    /// What a session weighs, in bytes.
    pub(crate) fn size(&self, backend: &str, subject: &str) -> Option<f64> {
        let mut sizes = self.sizes.iter();
        let found = sizes.find(|(of, who, _)| of == backend && who == subject);
        found.map(|(.., bytes)| *bytes)
    }

    pub(crate) fn weights(&self) -> &[(String, i64)] {
        &self.weights
    }
}

/// The first quartile, the median, the third quartile.
fn quartiles(mut values: Vec<f64>) -> [f64; 3] {
    values.sort_unstable_by(f64::total_cmp);
    [1, 2, 3].map(|n| values[(values.len() - 1) * n / 4])
}
