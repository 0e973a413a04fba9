//! Kills a process that writes under load, and looks what is left.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use tenure::{BoxError, EndedSession, Error, ManualClock, Sessions, SessionsBuilder, Token};
use tokio::task::JoinSet;

use crate::child::{Child, say};
use crate::support::hooks::Notebook;
use crate::support::keys::ring;
use crate::support::place::Place;

const ROUNDS: u64 = 20;
const TASKS: u64 = 8;
const LEASE: Duration = Duration::from_secs(90);

pub(crate) async fn nothing_acknowledged_is_lost_when_the_process_is_killed(backend: &str) {
    for seed in 0..ROUNDS {
        let place = Place::on(backend).await;
        let said = Said::until_killed(place.url(), seed);
        check(place.url(), &said, seed).await;
    }
}

/// The child: creates, changes and ends sessions, and says what was acknowledged.
pub(crate) async fn write(url: &str, seed: u64) -> Result<(), BoxError> {
    let builder = builder(url, &Arc::new(ManualClock::default())).await?;
    let sessions = builder
        .on_end(|session: EndedSession| async move {
            say(&format!("hook {}", session.id()));
            Ok::<_, Error>(())
        })
        .build()
        .await?;
    let mut tasks = JoinSet::new();
    for task in 0..TASKS {
        let sessions = sessions.clone();
        tasks.spawn(async move {
            for n in seed + task.. {
                live_a_little(&sessions, n).await?;
            }
            Ok::<_, Error>(())
        });
    }
    while let Some(task) = tasks.join_next().await {
        task??;
    }
    Ok(())
}

async fn live_a_little(sessions: &Sessions, n: u64) -> Result<(), Error> {
    let session = sessions.start()?;
    session.set("n", &0)?;
    let Some(token) = session.commit().await? else {
        return Ok(());
    };
    say(&format!("created {} {}", session.id(), token.as_str()));
    for value in 1..=n % 5 {
        session.set("n", &value)?;
        session.commit().await?;
        say(&format!("set {} {value}", session.id()));
    }
    if n.is_multiple_of(2) {
        say(&format!("ending {}", session.id()));
        session.end().await?;
        say(&format!("ended {}", session.id()));
    }
    Ok(())
}

/// What the child said before it was killed.
#[derive(Default)]
struct Said {
    tokens: BTreeMap<String, String>,
    values: BTreeMap<String, u64>,
    ending: BTreeSet<String>,
    ended: BTreeSet<String>,
    hooks: BTreeSet<String>,
}

impl Said {
    /// Lets a child write, and kills it after a number of lines that the seed decides.
    fn until_killed(url: &str, seed: u64) -> Self {
        let lines = 20 + seed.wrapping_mul(0x9e37_79b9) % 400;
        let mut said = Self::default();
        let mut child = Child::start(&["write", url, &seed.to_string()]);
        for count in 0.. {
            let Some(line) = child.line() else {
                break;
            };
            said.note(&line);
            if count == lines {
                child.kill();
            }
        }
        assert!(child.was_killed(), "round {seed}: it ended by itself");
        said
    }

    fn note(&mut self, line: &str) {
        let mut words = line.split(' ').map(str::to_owned);
        let mut next = || words.next().unwrap_or_default();
        match (next().as_str(), next()) {
            ("created", id) => {
                self.tokens.insert(id, next());
            }
            ("set", id) => {
                self.values.insert(id, next().parse().unwrap_or(0));
            }
            ("ending", id) => {
                self.ending.insert(id);
            }
            ("ended", id) => {
                self.ended.insert(id);
            }
            ("hook", id) => {
                self.hooks.insert(id);
            }
            _ => {}
        }
    }
}

/// Opens the store anew: nothing acknowledged is missing, nothing ended is back, and every
/// end has its hook.
async fn check(url: &str, said: &Said, seed: u64) {
    let clock = Arc::new(ManualClock::default());
    let notes = Notebook::default();
    let builder = builder(url, &clock).await.expect("the store opens again");
    let sessions = builder
        .on_end(notes.clone())
        .build()
        .await
        .expect("good settings");
    for (id, token) in &said.tokens {
        let found = sessions
            .resume(&Token::new(token.as_str()))
            .await
            .expect("it answers");
        if said.ended.contains(id) {
            assert!(found.is_none(), "round {seed}: {id} was ended and is back");
        } else if let Some(session) = found {
            let n: u64 = session.get("n").expect("a number").expect("always set");
            let acknowledged = said.values.get(id).copied().unwrap_or(0);
            assert!(
                n >= acknowledged,
                "round {seed}: {id} has lost {acknowledged}, has {n}"
            );
        } else {
            assert!(said.ending.contains(id), "round {seed}: {id} is missing");
        }
    }
    clock.advance(LEASE);
    sessions
        .reaper()
        .expect("a hook")
        .run_once()
        .await
        .expect("it answers");
    let told: BTreeSet<String> = notes
        .calls()
        .iter()
        .map(|call| call.id().to_string())
        .collect();
    for id in &said.ended {
        assert!(
            told.contains(id) || said.hooks.contains(id),
            "round {seed}: {id} ended, and its hook never came"
        );
    }
    sessions.store().close().await.expect("closes");
}

async fn builder(url: &str, clock: &Arc<ManualClock>) -> Result<SessionsBuilder, BoxError> {
    let store = tenure_connect::connect(url).await?;
    Ok(Sessions::builder(store, ring("2026-11", 7), "portal")
        .hook_lease(LEASE)
        .clock(Arc::clone(clock) as _))
}
