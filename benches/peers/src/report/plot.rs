//! Two pictures, as SVG.

use std::fmt::Write as _;

use super::figures::Figures;
use crate::window::Work;

const WORKS: [Work; 4] = [Work::Load, Work::Touch, Work::Change, Work::Create];
const COLOURS: [&str; 6] = [
    "#0b6e4f", "#6bbf59", "#c8553d", "#f28f3b", "#588b8b", "#7b5ea7",
];
/// Of floors, which nobody could take instead.
const GREYS: [&str; 2] = ["#b8b8b8", "#8c8c8c"];
const TASKS: usize = 16;

/// For each backend and work a bar for each subject, the longest being the fastest.
pub(crate) fn summary(figures: &Figures) -> String {
    const BAR: usize = 11;
    let mut out = String::new();
    let mut y = 40;
    for backend in figures.backends() {
        let subjects = figures.subjects(backend);
        text(
            &mut out,
            10,
            y,
            "bold",
            &format!("{backend}, {TASKS} tasks"),
        );
        y += 10;
        for work in WORKS {
            let rate = |subject: &&str| {
                let figure = figures.window(backend, subject, work, TASKS);
                figure.map_or(0.0, |figure| figure.rate)
            };
            let most = subjects.iter().map(rate).fold(1.0, f64::max);
            text(&mut out, 10, y + BAR, "normal", work.words());
            let (mut colours, mut greys) = (COLOURS.iter().cycle(), GREYS.iter().cycle());
            for subject in &subjects {
                let colour = if subject.starts_with("floor") {
                    greys.next()
                } else {
                    colours.next()
                };
                let (rate, colour) = (rate(subject), colour.unwrap_or(&"black"));
                let width = rate / most * 420.0;
                let _ = writeln!(
                    out,
                    "<rect x='170' y='{y}' width='{width:.0}' height='{}' fill='{colour}'/>",
                    BAR - 2
                );
                let label = format!("{subject}: {:.1} k/s", rate / 1e3);
                text(
                    &mut out,
                    176 + width as usize,
                    y + BAR - 3,
                    "normal",
                    &label,
                );
                y += BAR;
            }
            y += 8;
        }
        y += 22;
    }
    let title = "Operations in a second: longer is better (each group has its own scale)";
    document(&out, y, title)
}

/// For each backend and operation a line over the number of sessions, both logarithmic.
pub(crate) fn growth(figures: &Figures) -> String {
    const SIDE: f64 = 150.0;
    /// Where the scale begins, in µs.
    const LEAST: f64 = 0.1;
    let mut out = String::new();
    let mut works: Vec<&str> = Vec::new();
    let mut backends: Vec<&str> = Vec::new();
    for (backend, work, ..) in figures.growth() {
        if !works.contains(&work.as_str()) {
            works.push(work);
        }
        if !backends.contains(&backend.as_str()) {
            backends.push(backend);
        }
    }
    for (n, work) in works.iter().enumerate() {
        let (left, top) = (60 + n % 3 * 240, 60 + n / 3 * 220);
        text(&mut out, left, top - 8, "bold", &format!("{work}, µs"));
        for decade in 0..7 {
            let y = top as f64 + SIDE - f64::from(decade) * SIDE / 6.0;
            let label = (10_f64.powi(decade) * LEAST).to_string();
            text(&mut out, left - 48, y as usize, "normal", &label);
            let _ = writeln!(
                out,
                "<line x1='{left}' x2='{}' y1='{y:.0}' y2='{y:.0}' stroke='#ddd'/>",
                left + SIDE as usize
            );
        }
        for (colour, backend) in COLOURS.iter().zip(&backends) {
            let points = figures
                .growth()
                .iter()
                .filter(|(b, w, ..)| b == backend && w == work);
            let points = points.map(|(_, _, sessions, p50)| {
                let x = left as f64 + ((*sessions as f64).log10() - 3.0) * SIDE / 3.0;
                let y = top as f64 + SIDE - (p50.max(LEAST) / LEAST).log10() * SIDE / 6.0;
                format!("{x:.0},{y:.0}")
            });
            let points: Vec<_> = points.collect();
            let _ = writeln!(
                out,
                "<polyline points='{}' fill='none' stroke='{colour}' stroke-width='2'/>",
                points.join(" ")
            );
        }
        text(
            &mut out,
            left,
            top + SIDE as usize + 14,
            "normal",
            "10³ to 10⁶ sessions",
        );
    }
    let bottom = 60 + works.len().div_ceil(3) * 220;
    for (n, backend) in backends.iter().enumerate() {
        let (x, colour) = (60 + n * 130, COLOURS[n]);
        let _ = writeln!(
            out,
            "<rect x='{x}' y='{}' width='10' height='10' fill='{colour}'/>",
            bottom - 9
        );
        text(&mut out, x + 16, bottom, "normal", backend);
    }
    document(
        &out,
        bottom + 20,
        "What one operation costs among so many sessions",
    )
}

fn text(out: &mut String, x: usize, y: usize, weight: &str, text: &str) {
    let _ = writeln!(
        out,
        "<text x='{x}' y='{y}' font-weight='{weight}'>{text}</text>"
    );
}

fn document(content: &str, height: usize, title: &str) -> String {
    format!(
        "<svg xmlns='http://www.w3.org/2000/svg' width='800' height='{height}' \
         font-family='sans-serif' font-size='10'>\n\
         <rect width='800' height='{height}' fill='white'/>\n\
         <text x='10' y='18' font-size='13' font-weight='bold'>{title}</text>\n{content}</svg>\n"
    )
}
