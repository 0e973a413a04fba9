//! What is counted is what the guide says, under the names that it says.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use metrics_util::debugging::{DebugValue, DebuggingRecorder, Snapshotter};
use tenure::{BoxError, EndedSession, KeyRing, ManualClock, MasterSecret, Sessions, Token};
use tenure_memory::MemoryStore;

const GUIDE: &str = include_str!("../src/guides/observability.md");

#[test]
fn a_day_is_counted_as_the_guide_says() {
    let recorder = DebuggingRecorder::new();
    let snapshotter = recorder.snapshotter();
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .expect("a runtime starts");
    metrics::with_local_recorder(&recorder, || runtime.block_on(a_day()))
        .expect("every step works");
    let seen = by_name(&snapshotter);
    let expected = [
        ("tenure_lookups_total live", 4.0),
        ("tenure_lookups_total absent", 1.0),
        ("tenure_lookups_total bad_token", 1.0),
        ("tenure_lookups_total replaced_token", 1.0),
        ("tenure_commits_total created", 2.0),
        ("tenure_commits_total updated", 3.0),
        ("tenure_commits_total read", 1.0),
        ("tenure_commits_total gone", 1.0),
        ("tenure_commits_total superseded", 1.0),
        ("tenure_conflicts_total", 3.0),
        ("tenure_ends_total", 1.0),
        ("tenure_hooks_total succeeded", 2.0),
        ("tenure_reaper_rounds_total done", 1.0),
        ("tenure_reaper_lag_seconds", 0.0),
        ("tenure_hooks_running", 0.0),
        ("tenure_hook_seconds", 2.0),
    ];
    for (name, value) in expected {
        assert_eq!(seen.get(name).copied(), Some(value), "{name} in {seen:#?}");
    }
    for name in seen.keys() {
        let (metric, outcome) = name.split_once(' ').unwrap_or((name, ""));
        let row = GUIDE
            .lines()
            .find(|line| line.contains(&format!("| `{metric}` |")));
        let row = row.unwrap_or_else(|| panic!("the guide lacks {metric}"));
        assert!(
            outcome.is_empty() || row.contains(&format!("`{outcome}`")),
            "{name}"
        );
    }
}

async fn a_day() -> Result<(), BoxError> {
    let clock = Arc::new(ManualClock::default());
    let keys = KeyRing::new("key", MasterSecret::generate()?)?;
    let sessions = Sessions::builder(Arc::new(MemoryStore::new()), keys, "portal")
        .clock(Arc::clone(&clock) as _)
        .on_end(|_: EndedSession| async { Ok::<_, BoxError>(()) })
        .build()
        .await?;
    let mut tokens = Vec::new();
    for _ in 0..2 {
        let session = sessions.start()?;
        session.set("n", &0)?;
        tokens.extend(session.commit().await?);
    }
    sessions.peek(&Token::new("forged")).await?;
    let reads = sessions.resume(&tokens[0]).await?.ok_or("live")?;
    reads.commit().await?;
    let (one, two) = (
        sessions.resume(&tokens[0]).await?.ok_or("live")?,
        sessions.resume(&tokens[0]).await?.ok_or("live")?,
    );
    one.set("n", &1)?;
    two.set("n", &2)?;
    one.commit().await?;
    two.commit().await?;
    one.log_in("alice")?;
    let token = one.commit().await?;
    reads.set("n", &3)?;
    assert!(reads.commit().await.is_err(), "it began before the log-in");
    sessions.peek(&tokens[0]).await?;
    let session = sessions
        .resume(token.as_ref().ok_or("a new token")?)
        .await?
        .ok_or("live")?;
    session.end().await?;
    session.set("n", &4)?;
    assert!(session.commit().await.is_err(), "it has ended");
    sessions.shutdown().await;
    clock.advance(Duration::from_mins(20));
    sessions.peek(&tokens[1]).await?;
    sessions.reaper()?.run_once().await?;
    Ok(())
}

/// "name outcome" to what was counted; a histogram by how many values it has.
fn by_name(snapshotter: &Snapshotter) -> BTreeMap<String, f64> {
    let entries = snapshotter.snapshot().into_vec();
    entries
        .into_iter()
        .filter_map(|(key, _, _, value)| {
            let key = key.key().clone();
            let outcome = key.labels().find(|label| label.key() == "outcome");
            let name = match outcome {
                Some(outcome) => format!("{} {}", key.name(), outcome.value()),
                None => key.name().to_owned(),
            };
            let value = match value {
                DebugValue::Counter(count) => f64::from(u32::try_from(count).ok()?),
                DebugValue::Gauge(value) => value.into_inner(),
                DebugValue::Histogram(values) => f64::from(u32::try_from(values.len()).ok()?),
            };
            Some((name, value))
        })
        .collect()
}

#[test]
fn the_gauges_are_right_when_hooks_are_stopped_and_tried_again() {
    let recorder = DebuggingRecorder::new();
    let snapshotter = recorder.snapshotter();
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .expect("a runtime starts");
    metrics::with_local_recorder(&recorder, || {
        runtime.block_on(async {
            a_dropped_round_and_a_retry(&snapshotter)
                .await
                .expect("every step works");
        });
    });
}

async fn a_dropped_round_and_a_retry(snapshotter: &Snapshotter) -> Result<(), BoxError> {
    const GAUGES: [&str; 2] = ["tenure_hooks_running", "tenure_reaper_lag_seconds"];
    let clock = Arc::new(ManualClock::default());
    let keys = KeyRing::new("key", MasterSecret::generate()?)?;
    let (begun, mut has_begun) = tokio::sync::mpsc::channel(1);
    let sessions = Sessions::builder(Arc::new(MemoryStore::new()), keys, "portal")
        .clock(Arc::clone(&clock) as _)
        .hook_retry(Duration::from_hours(1))
        .on_end(move |session: EndedSession| {
            let begun = begun.clone();
            async move {
                if session.attempt() == 1 {
                    begun.send(()).await?;
                    std::future::pending::<()>().await;
                }
                Ok::<_, BoxError>(())
            }
        })
        .build()
        .await?;
    let session = sessions.start()?;
    session.set("n", &0)?;
    session.commit().await?;
    clock.advance(Duration::from_mins(25));
    // Each snapshot sets the gauges to zero: they show what has changed since the last.
    let gauges = || {
        let seen = by_name(snapshotter);
        GAUGES.map(|name| seen.get(name).map(f64::to_string).unwrap_or_default())
    };
    let reaper = sessions.reaper()?;
    tokio::select! {
        reaped = reaper.run_once() => panic!("the hook never ends: {reaped:?}"),
        begun = has_begun.recv() => begun.ok_or("it begins")?,
    }
    assert_eq!(gauges(), ["1", "300"], "it ran out five minutes ago");
    sessions.shutdown().await;
    assert_eq!(gauges()[0], "-1", "it was stopped: none runs any more");
    clock.advance(Duration::from_hours(1));
    assert_eq!(reaper.run_once().await?.succeeded, 1);
    assert_eq!(
        gauges(),
        ["0", "0"],
        "nobody is behind: the retry was planned"
    );
    Ok(())
}
