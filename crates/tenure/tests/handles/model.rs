//! Random sequences of everything that a handle can do, on two nodes, with answers lost,
//! refused and late, against a plain model of what must hold.

use std::collections::BTreeMap;
use std::time::Duration;

use proptest::prelude::*;
use tenure::{Error, Session, Sessions, Token};

use crate::unruly::Fate;
use crate::{MINUTE, World};

/// One thing that a request does with one of the two handles.
#[derive(Clone, Copy, Debug)]
enum Act {
    Set,
    Update,
    LogIn(u8),
    Rotate,
    Leave,
    Remain,
    Clear,
    Commit,
    End,
    EndOthers,
    /// The client's next request: the handle is dropped, and its token resumed.
    Resume,
    /// Another handle on the same state.
    Clone,
    /// What was late is done now.
    Land,
    Fates([Fate; 2]),
    LoseLoad,
    Wait(u8),
    NewKeys,
}

fn act() -> impl Strategy<Value = (usize, Act)> {
    let fate = prop_oneof![
        3 => Just(Fate::Answered),
        1 => Just(Fate::Lost),
        1 => Just(Fate::Refused),
        1 => Just(Fate::Late),
    ];
    let act = prop_oneof![
        4 => Just(Act::Set),
        2 => Just(Act::Update),
        2 => (0..2_u8).prop_map(Act::LogIn),
        1 => Just(Act::Rotate),
        1 => Just(Act::Leave),
        1 => Just(Act::Remain),
        1 => Just(Act::Clear),
        8 => Just(Act::Commit),
        1 => Just(Act::End),
        1 => Just(Act::EndOthers),
        3 => Just(Act::Resume),
        1 => Just(Act::Clone),
        2 => Just(Act::Land),
        3 => [fate.clone(), fate].prop_map(Act::Fates),
        1 => Just(Act::LoseLoad),
        1 => (1..90_u8).prop_map(Act::Wait),
        1 => Just(Act::NewKeys),
    ];
    (0..2_usize, act)
}

/// One browser's request at one node.
struct Request {
    node: Sessions,
    session: Session,
    /// What was set and not yet said to be stored.
    buffered: BTreeMap<String, u64>,
    /// It may owe a token that no client has: it was told of an outage, or has made an
    /// update and not committed since.
    is_unsure: bool,
}

/// What must hold, whatever happens.
#[derive(Default)]
struct Model {
    /// The token that the client holds.
    client: Option<Token>,
    /// Somebody was told that the session ended.
    is_over: bool,
    /// A handle was dropped that may have owed the client a token.
    is_locked_out: bool,
    /// How often an update was made, and at most may have been.
    updates: (u64, u64),
    is_cleared: bool,
    values: u64,
}

struct Play {
    world: World,
    requests: [Request; 2],
    model: Model,
}

impl Play {
    async fn begin(strict: bool) -> Self {
        let world = World::new();
        let mut requests = Vec::new();
        let node = if strict {
            world.strict().await
        } else {
            world.node().await
        };
        let session = node.start().expect("starts");
        session.set("n", &0_u64).expect("fits");
        let token = session.commit().await.expect("commits").expect("a token");
        for _ in 0..2 {
            let node = if strict {
                world.strict().await
            } else {
                world.node().await
            };
            let session = node.resume(&token).await.expect("answers").expect("live");
            requests.push(Request {
                node,
                session,
                buffered: BTreeMap::new(),
                is_unsure: false,
            });
        }
        let requests = requests.try_into().ok().expect("two");
        let model = Model {
            client: Some(token),
            ..Model::default()
        };
        Self {
            world,
            requests,
            model,
        }
    }

    async fn act(&mut self, at: usize, act: Act) {
        let old_ring = self.world.new_ring.clone();
        let request = &mut self.requests[at];
        match act {
            Act::Set => {
                // No two are alike: an equal value is no change.
                self.model.values += 1;
                let (name, value) = (format!("h{at}"), self.model.values);
                request.session.set(name.as_str(), &value).expect("fits");
                request.buffered.insert(name, value);
            }
            Act::Update => {
                let update = request
                    .session
                    .update("hits", |hits| hits.unwrap_or(0) + 1_u64);
                match update.await {
                    Ok(_) => {
                        self.model.updates.0 += 1;
                        self.model.updates.1 += 1;
                        self.committed(at, None).await;
                        // The next commit hands over the token that this may have made.
                        self.requests[at].is_unsure = true;
                    }
                    Err(error) => {
                        if matches!(&error, Error::Store(_) | Error::Superseded | Error::Gone) {
                            self.model.updates.1 += 1;
                        }
                        self.refused(at, &error);
                    }
                }
            }
            Act::LogIn(who) => {
                let name = ["alice", "bob"][usize::from(who)];
                // Or what she had set would be cleared, which the model does not follow.
                request
                    .session
                    .log_in_keeping_attributes(name)
                    .expect("a good name");
            }
            Act::Rotate => request.session.rotate(),
            Act::Leave => request.session.leave(MINUTE * 10),
            Act::Remain => request.session.remain(),
            Act::Clear => {
                request.session.clear();
                request.buffered.clear();
                self.model.is_cleared = true;
            }
            Act::Commit => match request.session.commit().await {
                Ok(token) => {
                    self.requests[at].is_unsure = false;
                    self.committed(at, token).await;
                }
                Err(error) => self.refused(at, &error),
            },
            Act::End => match request.session.end().await {
                Ok(_) => self.model.is_over = true,
                Err(error) => self.refused(at, &error),
            },
            Act::EndOthers => match request.session.end_others().await {
                Ok(others) => assert_eq!(others, 0, "there is one session"),
                Err(error) => self.refused(at, &error),
            },
            Act::Resume => {
                let Some(token) = &self.model.client else {
                    return;
                };
                let resumed = request.node.resume(token).await;
                if let Ok(Some(session)) = resumed {
                    self.model.is_locked_out |= request.is_unsure;
                    request.is_unsure = false;
                    request.session = session;
                    request.buffered.clear();
                }
            }
            Act::Clone => request.session = request.session.clone(),
            Act::Land => self.world.store.land().await,
            Act::Fates(fates) => self.world.store.next(&fates),
            Act::LoseLoad => self.world.store.lose_next_load(),
            Act::Wait(seconds) => {
                self.world
                    .clock
                    .advance(Duration::from_secs(seconds.into()));
            }
            Act::NewKeys => request.node.set_keys(old_ring),
        }
    }

    /// A commit was said to be stored.
    async fn committed(&mut self, at: usize, token: Option<Token>) {
        let request = &mut self.requests[at];
        let writes = !request.buffered.is_empty();
        assert!(
            !(writes && self.model.is_over),
            "nothing is stored after an end"
        );
        if let Some(token) = token {
            self.model.client = Some(token);
        }
        let entry = request
            .node
            .inspect(request.session.id())
            .await
            .expect("answers");
        if writes
            && let Some(entry) = entry
            && entry.status() == tenure::Status::Live
        {
            for (name, value) in &request.buffered {
                let stored = entry.get::<u64>(name.as_str()).expect("a number");
                assert_eq!(stored, Some(*value), "{name}: Ok means stored");
            }
        }
        request.buffered.clear();
    }

    fn refused(&mut self, at: usize, error: &Error) {
        match error {
            Error::Gone => self.model.is_over = true,
            Error::Superseded => {
                let session = &self.requests[at].session;
                assert!(
                    session.token().expect("random").is_none(),
                    "it opens nothing"
                );
            }
            Error::Store(error) => {
                assert!(error.is_unavailable(), "{error}");
                self.requests[at].is_unsure = true;
            }
            Error::TooManySessions => panic!("there is one session"),
            other => panic!("{other}"),
        }
    }

    /// At the end everything is answered: what the client holds opens the session, or the
    /// handles have a token for it, or the session is over.
    async fn finish(mut self) {
        self.world.store.behave();
        self.world.store.land().await;
        let mut tokens: Vec<Token> = self.model.client.take().into_iter().collect();
        for request in &self.requests {
            if let Ok(Some(token)) = request.session.commit().await {
                tokens.push(token);
            }
            if let Ok(Some(token)) = request.session.token() {
                tokens.push(token);
            }
        }
        let node = &self.requests[0].node;
        node.set_keys(self.world.new_ring.clone());
        let id = self.requests[0].session.id();
        let entry = node.inspect(id).await.expect("answers");
        let live = entry.filter(|entry| entry.status() == tenure::Status::Live);
        let Some(live) = live else { return };
        assert!(!self.model.is_over, "who was told of an end saw one");
        let mut opens = 0;
        for token in &tokens {
            let opened = node.resume_passive(token).await.expect("answers");
            opens += usize::from(opened.is_some());
        }
        assert!(
            opens > 0 || self.model.is_locked_out,
            "the session lives, and no token opens it"
        );
        let hits = live.get::<u64>("hits").expect("a number").unwrap_or(0);
        let (at_least, at_most) = self.model.updates;
        assert!(hits <= at_most, "{hits} of at most {at_most}");
        assert!(
            hits >= at_least || self.model.is_cleared,
            "{hits} of {at_least}"
        );
    }
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: 2_000,
        failure_persistence: None,
        ..ProptestConfig::default()
    })]

    #[test]
    fn whatever_two_handles_do_the_client_is_never_locked_out_and_nothing_crosses_a_log_in(
        strict in any::<bool>(),
        acts in prop::collection::vec(act(), 1..40),
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_time()
            .start_paused(true)
            .build()
            .expect("a runtime");
        runtime.block_on(async {
            let mut play = Play::begin(strict).await;
            for (at, act) in acts {
                play.act(at, act).await;
            }
            play.finish().await;
        });
    }
}
