//! From samples to a page, pictures and a verdict.

mod bars;
mod excused;
mod figures;
mod page;
mod plot;

use std::io::Write as _;
use std::path::Path;
use std::process::ExitCode;

use crate::subject::Result;
use figures::Figures;

/// Writes `RESULTS.md` and its pictures into a folder.
pub(crate) fn write(samples: &str, folder: &str) -> Result<ExitCode> {
    let figures = Figures::read(samples)?;
    let folder = Path::new(folder);
    std::fs::write(folder.join("RESULTS.md"), page::page(&figures))?;
    std::fs::write(folder.join("summary.svg"), plot::summary(&figures))?;
    if !figures.growth().is_empty() {
        std::fs::write(folder.join("growth.svg"), plot::growth(&figures))?;
    }
    Ok(ExitCode::SUCCESS)
}

/// Prints what must hold, and whether it does. Fails if something does not that is not excused.
pub(crate) fn check(samples: &str) -> Result<ExitCode> {
    let figures = Figures::read(samples)?;
    let mut out = std::io::stdout().lock();
    let mut broken = 0;
    for verdict in bars::verdicts(&figures) {
        writeln!(out, "{verdict}")?;
        broken += u32::from(verdict.is_broken());
    }
    writeln!(out, "{broken} that must hold and do not")?;
    Ok(if broken == 0 {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}
