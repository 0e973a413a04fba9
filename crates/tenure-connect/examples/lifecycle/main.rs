//! A day of the application `portal`, in plain words: every step says what it did and
//! shows the figures that prove it.
//!
//! `cargo run --example lifecycle` plays it on a SQLite file in a temporary folder,
//! `cargo run --example lifecycle -- --store URL` on another store. The exit code is 1 if
//! any step did not come out as it said.

mod day;
mod report;

use std::process::ExitCode;

use day::Day;
use report::Report;
use tenure::BoxError;

#[tokio::main]
async fn main() -> ExitCode {
    let mut report = Report::default();
    match play(&mut report).await {
        Ok(()) => report.finish(),
        Err(error) => report.fail(&error),
    }
}

async fn play(report: &mut Report) -> Result<(), BoxError> {
    let folder = tempfile::tempdir()?;
    let default = format!("sqlite:{}", folder.path().join("portal.db").display());
    let url = match std::env::args().skip(1).collect::<Vec<_>>().as_slice() {
        [] => default,
        [flag, url] if flag == "--store" => url.clone(),
        _ => return Err("usage: lifecycle [--store URL]".into()),
    };
    let mut day = Day::begin(&url).await?;
    day.first_visit(report).await?;
    day.log_in(report).await?;
    day.two_changes_at_once(report).await?;
    day.a_peek(report).await?;
    day.clear(report).await?;
    day.logout(report).await?;
    day.a_late_write(report).await?;
    day.out_while_we_were_down(report).await?;
    day.reset(report).await?;
    day.close().await
}
