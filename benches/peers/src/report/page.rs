//! The results as a page.

use std::fmt::Write as _;

use super::bars;
use super::figures::Figures;
use crate::window::Work;

/// In Markdown.
pub(crate) fn page(figures: &Figures) -> String {
    let mut page = String::from(
        "# Results\n\n\
         Written by `scripts/bench`; do not edit. Tenure beside the session stores that could be \
         taken instead, and beside what a bare client does with the same work (*floor*). Each \
         has a process of its own, as its users have it. All of a backend take turns, window by \
         window, so that whatever else the machine does meets all of them; figures are medians of the rounds. Machines differ and so do days: ratios \
         matter, and those under 1.3 are no difference.\n\n\
         Round trips are counted on a wire before the server, with one operation at a time; what \
         pools send between two operations is in them. A session's bytes are what memory (the \
         process's, keys of the bench included), server or files grew by.\n\n\
         ![Throughput at 16 tasks](summary.svg)\n\n",
    );
    let out = &mut page;
    for (what, says) in figures.about() {
        line(out, format_args!("- {what}: {says}"));
    }
    line(out, format_args!("\n## What must hold\n"));
    line(out, format_args!("| | cell | found |\n|---|---|---|"));
    for verdict in bars::verdicts(figures) {
        let word = match (verdict.holds(), verdict.excuse()) {
            (None, _) => continue,
            (Some(true), _) => "pass".to_owned(),
            (Some(false), None) => "**fail**".to_owned(),
            (Some(false), Some(why)) => format!("excused: {why}"),
        };
        line(
            out,
            format_args!("| {word} | {} | {} |", verdict.cell(), verdict.says()),
        );
    }
    for backend in figures.backends() {
        windows(out, figures, backend);
        bulk(out, figures, backend);
    }
    growth(out, figures);
    page
}

fn windows(out: &mut String, figures: &Figures, backend: &str) {
    line(out, format_args!("\n## {backend}\n"));
    line(
        out,
        format_args!(
            "Operations in a second; p50 / p99 in µs; CPU of the client in µs for each. Beside \
             ours: to the floor, and to the fastest peer.\n"
        ),
    );
    let subjects = figures.subjects(backend);
    let peers = figures.peers(backend);
    let floors: Vec<_> = subjects.iter().filter(|s| s.starts_with("floor")).collect();
    line(
        out,
        format_args!("| work, tasks | {} |", subjects.join(" | ")),
    );
    line(out, format_args!("|---|{}", "---|".repeat(subjects.len())));
    for work in Work::ALL {
        for tasks in crate::TASKS {
            let rate = |subject: &&str| {
                let figure = figures.window(backend, subject, work, tasks);
                figure.map_or(0.0, |figure| figure.rate)
            };
            let best_floor = floors.iter().map(|s| rate(s)).fold(0.0, f64::max);
            let best_peer = peers.iter().map(rate).fold(0.0, f64::max);
            let cells = subjects.iter().map(|subject| {
                let Some(figure) = figures.window(backend, subject, work, tasks) else {
                    return "-".to_owned();
                };
                let mut cell = format!(
                    "{} ±{:.0} % ({:.1} / {:.1}; {:.2})",
                    thousands(figure.rate),
                    figure.spread * 50.0,
                    figure.p50_us,
                    figure.p99_us,
                    figure.cpu_us
                );
                if subject.starts_with("tenure") {
                    for (name, best) in [("floor", best_floor), ("peer", best_peer)] {
                        if best > 0.0 {
                            let _ = write!(cell, "; {:.2} {name}", figure.rate / best);
                        }
                    }
                }
                cell
            });
            let cells: Vec<_> = cells.collect();
            line(
                out,
                format_args!("| {}, {tasks} | {} |", work.words(), cells.join(" | ")),
            );
        }
    }
    for work in Work::ALL {
        let trips = |subject: &&str| figures.trips(backend, subject, work);
        if !subjects.iter().any(|subject| trips(subject).is_some()) {
            continue;
        }
        let cells = subjects.iter().map(|subject| {
            let trips = trips(subject);
            trips.map_or_else(|| "-".to_owned(), |trips| format!("{trips:.1}"))
        });
        let cells: Vec<_> = cells.collect();
        line(
            out,
            format_args!("| {}, round trips | {} |", work.words(), cells.join(" | ")),
        );
    }
    let sizes = subjects.iter().map(|subject| {
        let size = figures.size(backend, subject);
        size.map_or_else(|| "-".to_owned(), |bytes| format!("{bytes:.0} bytes"))
    });
    let sizes: Vec<_> = sizes.collect();
    line(out, format_args!("| a session | {} |", sizes.join(" | ")));
}

fn bulk(out: &mut String, figures: &Figures, backend: &str) {
    if figures.bulks(backend).next().is_none() {
        return;
    }
    line(
        out,
        format_args!("\n| {backend}: to many at once | sessions | ms |\n|---|---|---|"),
    );
    for (what, sessions, seconds) in figures.bulks(backend) {
        line(
            out,
            format_args!("| {what} | {sessions} | {:.2} |", seconds * 1e3),
        );
    }
}

fn growth(out: &mut String, figures: &Figures) {
    if !figures.growth().is_empty() {
        line(
            out,
            format_args!(
                "\n## What numbers cost\n\nOne operation at a time, among so many sessions; p50 \
                 in µs.\n\n![Growth](growth.svg)\n\n| backend | operation | sessions | p50 |\n\
                 |---|---|---|---|"
            ),
        );
    }
    for (backend, work, sessions, p50) in figures.growth() {
        line(
            out,
            format_args!("| {backend} | {work} | {sessions} | {p50:.1} |"),
        );
    }
    if !figures.weights().is_empty() {
        line(
            out,
            format_args!(
                "\nTouches at full speed on a large table of Postgres, all over it:\n\n\
                 | what | bytes, or how many |\n|---|---|"
            ),
        );
    }
    for (what, bytes) in figures.weights() {
        line(out, format_args!("| {what} | {bytes} |"));
    }
}

fn thousands(rate: f64) -> String {
    if rate < 10_000.0 {
        format!("{rate:.0}")
    } else {
        format!("{:.0} k", rate / 1e3)
    }
}

/// Writing to a string cannot fail.
fn line(out: &mut String, line: std::fmt::Arguments<'_>) {
    let _ = writeln!(out, "{line}");
}
