//! One empty store of some backend, a clock that stands still, and a key.

use std::sync::Arc;
use std::time::Duration;

use tenure::{Clock, KeyRing, ManualClock, Session, Sessions, SessionsBuilder, Timestamp, Token};
use tenure_store::{
    Access, Change, Counts, Entry, Namespace, Payload, SessionStore, Updated, Version,
};

use super::hooks::Notebook;
use super::keys::ring;
use super::place::Place;
use super::place::loss::Loss;
use super::watched::Watched;

pub(crate) struct World {
    pub(crate) store: Arc<Watched>,
    pub(crate) clock: Arc<ManualClock>,
    pub(crate) keys: KeyRing,
    /// Gone with the world, after the store.
    place: Place,
}

pub(crate) const MINUTE: Duration = Duration::from_mins(1);
pub(crate) const IDLE: Duration = Duration::from_mins(20);

impl World {
    pub(crate) async fn on(backend: &str) -> Self {
        let place = Place::on(backend).await;
        Self {
            store: open(place.url()).await,
            clock: Arc::new(ManualClock::default()),
            keys: ring("2026-11", 7),
            place,
        }
    }

    /// Closes the store, and opens it as a process that is started later would. One that
    /// lives in memory would be gone with its process, so it stays.
    pub(crate) async fn reopen(&mut self) {
        if !self.place.is_forgetful() {
            self.store.close().await.expect("the store closes");
            self.store = open(self.place.url()).await;
        }
    }

    /// Something of what is stored gets lost, behind every process's back. `false` if that
    /// cannot happen to this backend.
    pub(crate) async fn lose(&self, loss: Loss) -> bool {
        self.place.lose(loss).await
    }

    /// The store as another process has it, with connections of its own.
    pub(crate) async fn of_another_process(&self) -> Arc<dyn SessionStore> {
        if self.place.is_forgetful() {
            return Arc::clone(&self.store) as _;
        }
        open(self.place.url()).await
    }

    pub(crate) fn builder(&self) -> SessionsBuilder {
        self.builder_of("portal")
    }

    pub(crate) fn builder_of(&self, application: &str) -> SessionsBuilder {
        self.builder_with(application, self.keys.clone())
    }

    fn builder_with(&self, application: &str, keys: KeyRing) -> SessionsBuilder {
        let store: Arc<dyn SessionStore> = Arc::clone(&self.store) as _;
        Sessions::builder(store, keys, application)
            .idle_timeout(IDLE)
            .clock(Arc::clone(&self.clock) as _)
    }

    pub(crate) async fn sessions(&self) -> Sessions {
        self.builder().build().await.expect("the settings are good")
    }

    /// Sessions with an end hook that notes its calls.
    pub(crate) async fn with_hook(&self) -> (Sessions, Notebook) {
        let notes = Notebook::default();
        let builder = self.builder().on_end(notes.clone());
        (builder.build().await.expect("the settings are good"), notes)
    }

    /// All that the backend has written to files of its own.
    pub(crate) fn files(&self) -> Vec<u8> {
        self.place.files()
    }

    /// Another node of the portal, with these keys.
    pub(crate) async fn node(&self, keys: KeyRing) -> Sessions {
        let builder = self.builder_with("portal", keys);
        builder.build().await.expect("the settings are good")
    }

    /// A session as it lies in the store.
    pub(crate) async fn in_store(&self, session: &Session) -> Entry {
        let portal = Namespace::sessions("portal").expect("a good name");
        let entry = self.store.inspect(&portal, session.id(), self.now()).await;
        entry.expect("answers").expect("it is there")
    }

    /// Puts a payload into a session behind the library's back.
    pub(crate) async fn plant(&self, session: &Session, payload: Payload) {
        let portal = Namespace::sessions("portal").expect("a good name");
        let (id, now) = (session.id(), self.now());
        let found = self.store.load(&portal, id, now).await;
        let found = found.expect("answers").expect("live");
        let mut change = Change::new(Version::new(1), Access::Passive);
        change.payload = Some(payload);
        let version = found.version;
        let updated = self.store.update(&portal, id, version, &change, now);
        assert_eq!(updated.await.expect("answers"), Updated::Done);
    }

    pub(crate) fn now(&self) -> Timestamp {
        self.clock.now()
    }

    pub(crate) async fn counts(&self) -> Counts {
        let portal = Namespace::sessions("portal").expect("a good name");
        self.store.count(&portal, self.now()).await.expect("counts")
    }
}

async fn open(url: &str) -> Arc<Watched> {
    let store = tenure_connect::connect(url).await.expect("the store opens");
    Arc::new(Watched::new(store))
}

/// A stored session with one attribute, and its token.
pub(crate) async fn stored(sessions: &Sessions) -> (Session, Token) {
    let session = sessions.start().expect("starts");
    session.set("theme", "dark").expect("fits");
    let token = session
        .commit()
        .await
        .expect("commits")
        .expect("a token for a new session");
    (session, token)
}

/// Whether the token opens something.
pub(crate) async fn opens(sessions: &Sessions, token: &Token) -> bool {
    sessions.resume(token).await.expect("no error").is_some()
}

/// The token that a request which only reads makes the client be sent.
pub(crate) async fn reissued(sessions: &Sessions, token: &Token) -> Option<Token> {
    let session = resumed(sessions, token).await;
    session.commit().await.expect("commits")
}

pub(crate) async fn resumed(sessions: &Sessions, token: &Token) -> Session {
    sessions
        .resume(token)
        .await
        .expect("the store answers")
        .expect("the session is live")
}
