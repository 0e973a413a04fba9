//! A full store, a service on it, and what a request wants of them.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tenure::{EndedSession, Error, ManualClock, Session, Sessions, SessionsBuilder, Token};
use tenure_conformance::props::{self, payload_of, record};
use tenure_store::{
    Access, After, Change, EndReason, Hooks, Namespace, SessionId, SessionStore, Timeout,
    Timestamp, Updated, Version,
};
use tokio::task::JoinSet;

use crate::SESSIONS;
use crate::support::keys::ring;
use crate::support::place::Place;
use crate::work::Work;

pub(crate) struct Subject {
    store: Arc<dyn SessionStore>,
    ns: Namespace,
    /// Where no access is so late that it is worth a write.
    calm: Sessions,
    /// Where every access is written.
    eager: Sessions,
    /// With the default resolution, a minute, on a clock by which each session is used twenty
    /// times a minute.
    aging: Sessions,
    clock: Arc<ManualClock>,
    tokens: Vec<Token>,
    /// Made by work, to be ended by work.
    made: Mutex<Vec<SessionId>>,
    started: Mutex<Vec<Token>>,
    next: AtomicU64,
    unknown: Token,
    forged: Token,
}

impl Subject {
    pub(crate) async fn on(place: &Place) -> Self {
        let connected = tenure_connect::connect(place.url()).await;
        let store = connected.expect("connects");
        let ns = Namespace::sessions("store").expect("a good name");
        store.open(&ns, Hooks::Withdrawn).await.expect("opens");
        fill(&store, &ns, SESSIONS).await;
        let clock = Arc::new(ManualClock::new(now()));
        let builder = || {
            Sessions::builder(Arc::clone(&store), ring("2026-11", 7), "library")
                .idle_timeout(IDLE)
                .lifetime(None)
                .on_end(|_: EndedSession| async { Ok::<_, Error>(()) })
        };
        let calm = built(builder().touch_resolution(IDLE / 2)).await;
        let mut tasks = JoinSet::new();
        for task in 0..64 {
            let calm = calm.clone();
            tasks.spawn(async move {
                let mut tokens = Vec::new();
                for number in (task..SESSIONS).step_by(64) {
                    tokens.push(start(&calm, number).await);
                }
                tokens
            });
        }
        let tokens: Vec<Token> = tasks.join_all().await.into_iter().flatten().collect();
        let unknown = start(&calm, 0).await;
        assert!(calm.end(&unknown).await.expect("answers"));
        let mut forged = tokens[0].as_str().to_owned();
        let other = if forged[20..].starts_with('A') {
            "B"
        } else {
            "A"
        };
        forged.replace_range(20..21, other);
        Self {
            eager: built(builder().touch_resolution(Duration::ZERO)).await,
            aging: built(builder().clock(Arc::clone(&clock) as _)).await,
            store,
            ns,
            calm,
            clock,
            tokens,
            made: Mutex::default(),
            started: Mutex::default(),
            next: AtomicU64::new(SESSIONS),
            unknown,
            forged: Token::new(forged),
        }
    }

    pub(crate) fn store(&self) -> &Arc<dyn SessionStore> {
        &self.store
    }

    /// The work so many times, by so many tasks.
    pub(crate) async fn spread(self: &Arc<Self>, work: Work, tasks: u64, times: u64) {
        let mut working = JoinSet::new();
        for task in 0..tasks.min(times) {
            let subject = Arc::clone(self);
            working.spawn(async move {
                for n in (task..times).step_by(usize::try_from(tasks).expect("fits")) {
                    // All over the sessions, as users are.
                    subject.work(work, n.wrapping_mul(7_919) % SESSIONS).await;
                }
            });
        }
        working.join_all().await;
    }

    async fn work(&self, work: Work, number: u64) {
        let (store, ns, id) = (&self.store, &self.ns, props::id(number));
        let token = &self.tokens[usize::try_from(number).expect("fits")];
        match work {
            Work::Load => assert!(store.load(ns, id, now()).await.expect("answers").is_some()),
            Work::Touch => {
                assert!(store.load(ns, id, now()).await.expect("answers").is_some());
                assert!(store.touch(ns, id, now()).await.expect("answers"));
            }
            Work::Update => self.update(id).await,
            Work::Create => {
                let number = self.next.fetch_add(1, Ordering::Relaxed);
                put(store, ns, number).await;
                let mut made = self.made.lock().unwrap_or_else(PoisonError::into_inner);
                made.push(props::id(number));
            }
            Work::End => {
                let made = self
                    .made
                    .lock()
                    .unwrap_or_else(PoisonError::into_inner)
                    .pop();
                let (id, logout) = (made.expect("it was made"), EndReason::Logout);
                let ended = store.end(ns, id, None, logout, After::Discard, now()).await;
                assert!(ended.expect("answers").is_some());
            }
            Work::Unknown => {
                let nobody = props::id(u64::MAX - number);
                assert!(
                    store
                        .load(ns, nobody, now())
                        .await
                        .expect("answers")
                        .is_none()
                );
            }
            Work::Resume => read(&resumed(&self.calm, token).await),
            Work::Access => access(&self.eager, token).await,
            Work::AccessNowAndThen => {
                let minute_of_all = u32::try_from(20 * SESSIONS).expect("fits");
                self.clock.advance(Duration::from_mins(1) / minute_of_all);
                access(&self.aging, token).await;
            }
            Work::Commit => {
                let session = resumed(&self.calm, token).await;
                session.set("user", &number).expect("small");
                session.commit().await.expect("stored");
            }
            Work::Start => {
                let token = start(&self.calm, number).await;
                let mut started = self.started.lock().unwrap_or_else(PoisonError::into_inner);
                started.push(token);
            }
            Work::LogOut => {
                let started = self
                    .started
                    .lock()
                    .unwrap_or_else(PoisonError::into_inner)
                    .pop();
                let token = started.expect("it was started");
                assert!(self.calm.end(&token).await.expect("answers"));
            }
            Work::UnknownToken => assert!(nobody(&self.calm, &self.unknown).await),
            Work::ForgedToken => assert!(nobody(&self.calm, &self.forged).await),
        }
    }

    async fn update(&self, id: SessionId) {
        loop {
            let found = self.store.load(&self.ns, id, now()).await.expect("answers");
            let found = found.expect("it is live");
            let next = Version::new(found.version.get().wrapping_add(1));
            let mut change = Change::new(next, Access::Counts);
            change.payload = Some(found.payload);
            let updated = self
                .store
                .update(&self.ns, id, found.version, &change, now());
            if updated.await.expect("answers") == Updated::Done {
                return;
            }
        }
    }
}

/// Longer than a run.
const IDLE: Duration = Duration::from_hours(24);

async fn built(builder: SessionsBuilder) -> Sessions {
    builder.build().await.expect("the settings are good")
}

/// So many live sessions, from the first on.
pub(crate) async fn fill(store: &Arc<dyn SessionStore>, ns: &Namespace, sessions: u64) {
    let mut tasks = JoinSet::new();
    for task in 0..64.min(sessions) {
        let (store, ns) = (Arc::clone(store), ns.clone());
        tasks.spawn(async move {
            for number in (task..sessions).step_by(64) {
                put(&store, &ns, number).await;
            }
        });
    }
    tasks.join_all().await;
}

async fn put(store: &Arc<dyn SessionStore>, ns: &Namespace, number: u64) {
    let mut record = record(number);
    (record.created, record.last_access) = (now(), now());
    (record.idle_timeout, record.lifetime) = (Timeout::new(IDLE).ok(), None);
    record.payload = payload_of(512);
    let _ = store.create(ns, &record, now()).await.expect("stored");
}

async fn start(sessions: &Sessions, number: u64) -> Token {
    let session = sessions.start().expect("starts");
    session.set("user", &number).expect("small");
    session.set("text", &"x".repeat(480)).expect("small");
    let token = session.commit().await.expect("stored");
    token.expect("a new session has a token")
}

async fn resumed(sessions: &Sessions, token: &Token) -> Session {
    let session = sessions.resume(token).await.expect("answers");
    session.expect("it is live")
}

async fn access(sessions: &Sessions, token: &Token) {
    let session = resumed(sessions, token).await;
    read(&session);
    session.commit().await.expect("stored");
}

fn read(session: &Session) {
    let user = session.get::<u64>("user").expect("readable");
    assert!(user.is_some());
}

async fn nobody(sessions: &Sessions, token: &Token) -> bool {
    sessions.resume(token).await.expect("answers").is_none()
}

pub(crate) fn now() -> Timestamp {
    let now = std::time::SystemTime::UNIX_EPOCH
        .elapsed()
        .unwrap_or_default();
    Timestamp::from_millis_clamped(i64::try_from(now.as_millis()).unwrap_or(i64::MAX))
}
