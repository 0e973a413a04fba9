//! One schedule: what is done, what is known of each session, and what must hold.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use tenure::{Clock, Error, ManualClock, Session, SessionId, Sessions, Timestamp, Token};
use tenure_store::{Entry, SessionStore, State};

use crate::dice::Dice;
use crate::support::hooks::Notebook;
use crate::support::keys::ring;
use crate::support::watched::Watched;
use crate::support::world::World;

/// How far the nodes' clocks differ at most.
const SKEW: Duration = Duration::from_secs(30);
const PRINCIPALS: [&str; 3] = ["anna", "bert", "cleo"];

pub(crate) struct Play {
    dice: Dice,
    seed: u64,
    store: Arc<Watched>,
    nodes: [Node; 2],
    notes: Notebook,
    /// How many of the hook's calls were looked at.
    told: usize,
    known: BTreeMap<SessionId, Known>,
    /// Requests that have begun and not committed.
    open: Vec<Request>,
    last_step: &'static str,
}

struct Node {
    sessions: Sessions,
    clock: Arc<ManualClock>,
}

/// What must be true of a session.
#[derive(Default)]
struct Known {
    /// The good one is the last.
    tokens: Vec<Token>,
    values: BTreeMap<String, u64>,
    principal: Option<&'static str>,
    /// It was ended, or its end was told: it must never be seen again.
    over: bool,
    told: bool,
    last_access: Option<Timestamp>,
}

struct Request {
    session: Session,
    token: usize,
    sets: BTreeMap<String, u64>,
}

impl Play {
    pub(crate) async fn begin(world: &World, seed: u64) -> Self {
        let mut dice = Dice::new(seed);
        let notes = Notebook::default();
        let application = format!("app-{seed}");
        let skew = SKEW / 30 * u32::try_from(dice.roll(31)).expect("small");
        let mut nodes = Vec::new();
        for skew in [Duration::ZERO, skew] {
            let clock = Arc::new(ManualClock::new(ManualClock::default().now().plus(skew)));
            let store: Arc<dyn SessionStore> = Arc::clone(&world.store) as _;
            let sessions = Sessions::builder(store, ring("key", 3), &*application)
                .idle_timeout(Duration::from_mins(10))
                .lifetime(Duration::from_hours(2))
                .clock(Arc::clone(&clock) as _)
                .on_end(notes.clone())
                .build()
                .await
                .expect("good settings");
            nodes.push(Node { sessions, clock });
        }
        let nodes = nodes.try_into().unwrap_or_else(|_| panic!("two nodes"));
        Self {
            dice,
            seed,
            store: Arc::clone(&world.store),
            nodes,
            notes,
            told: 0,
            known: BTreeMap::new(),
            open: Vec::new(),
            last_step: "nothing",
        }
    }

    pub(crate) async fn step(&mut self) {
        let node = self.dice.roll(2);
        self.last_step = match self.dice.roll(16) {
            0 | 1 => self.start(node).await,
            2..=4 => self.open_request(node).await,
            5..=7 => self.commit_request().await,
            8 => self.count_up(node).await,
            9 => self.log_in(node).await,
            10 => self.end(node).await,
            11 if self.dice.roll(3) == 0 => self.end_principal(node).await,
            12 if self.dice.roll(4) == 0 => self.reset(node).await,
            13 => self.reap(node).await,
            14 => self.rotate(node).await,
            _ => self.pass_time(),
        };
    }

    async fn start(&mut self, node: usize) -> &'static str {
        let session = self.nodes[node].sessions.start().expect("starts");
        session.set("count", &0u64).expect("fits");
        let token = session.commit().await.expect("commits").expect("a token");
        let known = self.known.entry(session.id()).or_default();
        known.tokens.push(token);
        known.values.insert("count".to_owned(), 0);
        "start"
    }

    async fn open_request(&mut self, node: usize) -> &'static str {
        let Some(session) = self.resume_any(node).await else {
            return "resume";
        };
        let token = self.known[&session.id()].tokens.len() - 1;
        let (name, value) = (self.dice.roll(4), self.dice.roll(1000) as u64);
        session
            .set(format!("a{name}").as_str(), &value)
            .expect("fits");
        let sets = BTreeMap::from([(format!("a{name}"), value)]);
        self.open.push(Request {
            session,
            token,
            sets,
        });
        "resume and set"
    }

    /// Some request that began some time ago, on any node, commits now.
    async fn commit_request(&mut self) -> &'static str {
        let Some(which) = self.dice.one_of(self.open.len()) else {
            return "commit";
        };
        let request = self.open.swap_remove(which);
        let committed = request.session.commit().await;
        let known = self
            .known
            .get_mut(&request.session.id())
            .expect("it was started");
        let is_current = request.token + 1 == known.tokens.len();
        match committed {
            Ok(_) => {
                assert!(!known.over, "seed {}: a late commit was taken", self.seed);
                assert!(
                    is_current,
                    "seed {}: a commit from before a rotation",
                    self.seed
                );
                known.values.extend(request.sets);
            }
            Err(Error::Superseded) => {
                assert!(!is_current, "seed {}: superseded by nobody", self.seed);
            }
            Err(Error::Gone) => {}
            Err(other) => panic!("seed {}: {other}", self.seed),
        }
        "commit"
    }

    async fn count_up(&mut self, node: usize) -> &'static str {
        if let Some(session) = self.resume_any(node).await {
            let count = session
                .update("count", |n: Option<u64>| n.unwrap_or(0) + 1)
                .await;
            let known = self.known.get_mut(&session.id()).expect("it was started");
            let expected = known.values.get("count").copied().unwrap_or(0) + 1;
            assert_eq!(count.expect("it is live"), expected, "seed {}", self.seed);
            known.values.insert("count".to_owned(), expected);
        }
        "update"
    }

    async fn log_in(&mut self, node: usize) -> &'static str {
        if let Some(session) = self.resume_any(node).await {
            let principal = PRINCIPALS[self.dice.roll(PRINCIPALS.len())];
            session.log_in(principal).expect("a good name");
            let token = session
                .commit()
                .await
                .expect("it is live")
                .expect("a new token");
            let known = self.known.get_mut(&session.id()).expect("it was started");
            known.tokens.push(token);
            if known
                .principal
                .replace(principal)
                .is_some_and(|before| before != principal)
            {
                // What one principal left does not pass on to the next.
                known.values.clear();
            }
        }
        "log in"
    }

    async fn rotate(&mut self, node: usize) -> &'static str {
        if let Some(session) = self.resume_any(node).await {
            session.rotate();
            let token = session
                .commit()
                .await
                .expect("it is live")
                .expect("a new token");
            let known = self.known.get_mut(&session.id()).expect("it was started");
            known.tokens.push(token);
        }
        "rotate"
    }

    async fn end(&mut self, node: usize) -> &'static str {
        if let Some(session) = self.resume_any(node).await {
            assert!(session.end().await.expect("answers"), "seed {}", self.seed);
            self.nodes[node].sessions.shutdown().await;
            self.known
                .get_mut(&session.id())
                .expect("it was started")
                .over = true;
        }
        "end"
    }

    async fn end_principal(&mut self, node: usize) -> &'static str {
        let principal = PRINCIPALS[self.dice.roll(PRINCIPALS.len())];
        let now = self.nodes[node].clock.now();
        let mut expected = 0;
        for id in self.known.keys().copied().collect::<Vec<_>>() {
            let live = matches!(
                self.entry(id, now).await.map(|e| e.state),
                Some(State::Live)
            );
            let known = self.known.get_mut(&id).expect("it is known");
            if known.principal == Some(principal) && live {
                expected += 1;
                known.over = true;
            }
        }
        let ended = self.nodes[node].sessions.end_principal(principal).await;
        assert_eq!(ended.expect("answers"), expected, "seed {}", self.seed);
        "end a principal"
    }

    async fn reset(&mut self, node: usize) -> &'static str {
        self.nodes[node].sessions.reset().await.expect("answers");
        for known in self.known.values_mut() {
            known.over = true;
        }
        "reset"
    }

    async fn reap(&mut self, node: usize) -> &'static str {
        let reaper = self.nodes[node].sessions.reaper().expect("there is a hook");
        reaper.run_once().await.expect("answers");
        "reap"
    }

    fn pass_time(&mut self) -> &'static str {
        let spans = [0, 10, 45, 120, 400, 599, 600, 3600];
        let span = Duration::from_secs(spans[self.dice.roll(spans.len())]);
        for node in &self.nodes {
            node.clock.advance(span);
        }
        "time passes"
    }

    /// A session that this node can see, by its good token.
    async fn resume_any(&mut self, node: usize) -> Option<Session> {
        let which = self.dice.one_of(self.known.len())?;
        let known = self.known.values().nth(which)?;
        let token = known.tokens.last()?;
        self.nodes[node]
            .sessions
            .resume(token)
            .await
            .expect("answers")
    }

    async fn entry(&self, id: SessionId, now: Timestamp) -> Option<Entry> {
        let ns = self.nodes[0].sessions.namespace();
        self.store.inspect(ns, id, now).await.expect("answers")
    }

    pub(crate) async fn check(&mut self) {
        let at = format!("seed {}, after \"{}\"", self.seed, self.last_step);
        for call in &self.notes.calls()[self.told..] {
            let known = self.known.get_mut(&call.id()).expect("it was started");
            assert!(!known.told, "{at}: told twice of {}", call.id());
            (known.told, known.over) = (true, true);
            for (name, value) in &known.values {
                let last: Option<u64> = call.get(name.as_str()).expect("a number");
                assert_eq!(last, Some(*value), "{at}: the hook gets the last state");
            }
            // A node whose clock is behind may have reset what another has just started.
            let earliest = call.created().minus(SKEW);
            assert!(call.ended_at() >= earliest, "{at}: ended before it began");
        }
        self.told = self.notes.calls().len();
        for id in self.known.keys().copied().collect::<Vec<_>>() {
            self.check_session(id, &at).await;
        }
    }

    async fn check_session(&mut self, id: SessionId, at: &str) {
        for node in 0..self.nodes.len() {
            let now = self.nodes[node].clock.now();
            let before = self.entry(id, now).await;
            let known = &self.known[&id];
            let live = before
                .as_ref()
                .is_some_and(|entry| entry.state == State::Live && entry.record.is_live(now));
            assert!(!(known.over && live), "{at}: {id} is back");
            assert_eq!(
                known.told,
                before.is_none(),
                "{at}: kept until its hook has run"
            );
            for (age, token) in known.tokens.iter().rev().enumerate() {
                let peek = self.nodes[node]
                    .sessions
                    .peek(token)
                    .await
                    .expect("answers");
                let opens = live && age == 0;
                assert_eq!(peek.is_some(), opens, "{at}: {id}, token of age {age}");
            }
            assert_eq!(
                before,
                self.entry(id, now).await,
                "{at}: a peek changes nothing"
            );
            let Some(entry) = before else {
                continue;
            };
            let principal = entry
                .record
                .principal
                .as_ref()
                .map(tenure::Principal::as_str);
            assert_eq!(principal, known.principal, "{at}: {id}");
            let moved_back = known
                .last_access
                .is_some_and(|t| entry.record.last_access < t);
            assert!(!moved_back, "{at}: {id} was accessed later than it says");
            let known = self.known.get_mut(&id).expect("it is known");
            known.last_access = Some(entry.record.last_access);
        }
    }

    /// Everything ends, and everything is told once.
    pub(crate) async fn finish(mut self) {
        self.last_step = "the end";
        self.reset(0).await;
        for _ in 0..3 {
            for node in &self.nodes {
                node.clock.advance(Duration::from_mins(5));
            }
            self.reap(0).await;
            self.reap(1).await;
        }
        self.check().await;
        for (id, known) in &self.known {
            assert!(known.told, "seed {}: nobody was told of {id}", self.seed);
        }
    }
}
