//! Tenure beside its peers and beside bare clients, in turns. `scripts/bench` runs it.

mod bulk;
mod floors;
mod growth;
mod line;
mod lineup;
mod ours;
mod peers;
mod report;
mod scale;
mod seat;
mod subject;
mod trips;
mod visit;
mod window;

use std::fs::File;
use std::io::Write as _;
use std::process::ExitCode;
use std::time::Duration;

use crate::line::Line;
use crate::lineup::Backend;
use crate::seat::Seat;
use crate::subject::Result;
use crate::window::{Window, Work};

/// How much is measured.
struct Extent {
    sessions: usize,
    rounds: usize,
    span: Duration,
    /// How many sessions there are at most where it is asked what numbers cost.
    most: usize,
    /// How long a large table is written to.
    storm: Duration,
}

const QUICK: Extent = Extent {
    sessions: 10_000,
    rounds: 3,
    span: Duration::from_millis(150),
    most: 10_000,
    storm: Duration::from_secs(5),
};
const FULL: Extent = Extent {
    sessions: 100_000,
    rounds: 7,
    span: Duration::from_millis(250),
    most: 1_000_000,
    storm: Duration::from_mins(10),
};
const TASKS: [usize; 3] = [1, 16, 64];

const USAGE: &str = "tenure-peers windows|trips|bulk|growth|storm SAMPLES [--quick] [BACKEND..] \
     | report SAMPLES FOLDER | check SAMPLES";

/// Measuring appends to the file SAMPLES.
fn main() -> Result<ExitCode> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let (flags, words): (Vec<_>, Vec<_>) = arguments.iter().partition(|a| a.starts_with("--"));
    let extent = if flags.is_empty() { FULL } else { QUICK };
    let [what, path, rest @ ..] = words.as_slice() else {
        return Err(USAGE.into());
    };
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()?;
    match (what.as_str(), rest) {
        ("report", [folder]) => return report::write(path, folder),
        ("check", []) => return report::check(path),
        // How `windows` starts itself once more: SAMPLES is a backend's name.
        ("seat", [name, sessions]) => {
            let mut all = Backend::ALL.into_iter();
            let backend = all.find(|backend| backend.name() == path.as_str());
            let seated = backend.ok_or(USAGE)?.seat(name, sessions.parse()?);
            runtime.block_on(seated)?;
            return Ok(ExitCode::SUCCESS);
        }
        _ => {}
    }
    let mut samples = File::options().create(true).append(true).open(path)?;
    let mut note =
        |line: Line| -> Result<()> { Ok(writeln!(samples, "{}", serde_json::to_string(&line)?)?) };
    let chosen = |backend: &Backend| rest.is_empty() || rest.iter().any(|n| *n == backend.name());
    for backend in Backend::ALL.into_iter().filter(chosen) {
        match what.as_str() {
            "windows" => {
                let names = runtime.block_on(backend.names())?;
                windows(backend, &names, &extent, &mut note)?;
            }
            "trips" => {
                let names = runtime.block_on(backend.names())?;
                for (subject, work, trips) in
                    trips::measure(backend, &names, QUICK.sessions, &runtime)?
                {
                    note(Line::Trips {
                        backend: backend.name().to_owned(),
                        subject: subject.to_owned(),
                        work,
                        trips,
                    })?;
                }
            }
            "bulk" => {
                let done = bulk::measure(backend, extent.sessions, extent.rounds);
                for (what, sessions, seconds) in runtime.block_on(done)? {
                    note(Line::Bulk {
                        backend: backend.name().to_owned(),
                        what: what.to_owned(),
                        sessions,
                        seconds,
                    })?;
                }
            }
            "growth" => {
                for (work, sessions, p50_us) in
                    runtime.block_on(growth::measure(backend, extent.most))?
                {
                    note(Line::Growth {
                        backend: backend.name().to_owned(),
                        work: work.to_owned(),
                        sessions,
                        p50_us,
                    })?;
                }
            }
            "storm" if backend == Backend::Postgres => {
                for (what, bytes) in runtime.block_on(growth::storm(extent.most, extent.storm))? {
                    note(Line::Weight { what, bytes })?;
                }
            }
            "storm" => {}
            _ => return Err(USAGE.into()),
        }
    }
    Ok(ExitCode::SUCCESS)
}

/// In each round all subjects do the same work one after the other, so that whatever else the
/// machine does meets all of them.
fn windows(
    backend: Backend,
    names: &[&'static str],
    extent: &Extent,
    note: &mut impl FnMut(Line) -> Result<()>,
) -> Result<()> {
    let mut seats = Vec::new();
    for name in names {
        let seat = Seat::fill(backend, name, extent.sessions)?;
        note(Line::Size {
            backend: backend.name().to_owned(),
            subject: seat.name.to_owned(),
            bytes: seat.bytes,
        })?;
        seats.push(seat);
    }
    for round in 0..extent.rounds {
        for tasks in TASKS {
            let window = Window {
                tasks,
                span: extent.span,
            };
            // The first to have so many threads and tasks would pay for their start.
            for seat in &mut seats {
                seat.measure(Work::Load, window)?;
            }
            for work in Work::ALL {
                for seat in &mut seats {
                    let Some(sample) = seat.measure(work, window)? else {
                        continue;
                    };
                    note(Line::Window {
                        backend: backend.name().to_owned(),
                        subject: seat.name.to_owned(),
                        work,
                        tasks,
                        round,
                        sample,
                    })?;
                }
            }
            for seat in &mut seats {
                seat.tidy()?;
            }
        }
    }
    Ok(())
}
