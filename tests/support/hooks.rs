//! An end hook that remembers whom it was called for.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use tenure::{BoxError, EndHook, EndedSession, SessionId};

/// Notes every call; fails or panics for as long as it is told to.
#[derive(Clone, Default)]
pub(crate) struct Notebook {
    calls: Arc<Mutex<Vec<EndedSession>>>,
    mood: Arc<Mutex<Mood>>,
}

#[derive(Clone, Copy, Default)]
pub(crate) enum Mood {
    #[default]
    Succeed,
    Fail,
    Panic,
}

impl Notebook {
    pub(crate) fn be(&self, mood: Mood) {
        *self.mood.lock().expect("not poisoned") = mood;
    }

    pub(crate) fn calls(&self) -> Vec<EndedSession> {
        self.calls.lock().expect("not poisoned").clone()
    }

    /// How often it was called for each session.
    pub(crate) fn by_session(&self) -> BTreeMap<SessionId, usize> {
        self.calls()
            .iter()
            .fold(BTreeMap::new(), |mut counts, call| {
                *counts.entry(call.id()).or_default() += 1;
                counts
            })
    }
}

impl EndHook for Notebook {
    async fn ended(&self, session: EndedSession) -> Result<(), BoxError> {
        self.calls.lock().expect("not poisoned").push(session);
        let mood = *self.mood.lock().expect("not poisoned");
        match mood {
            Mood::Succeed => Ok(()),
            Mood::Fail => Err("the mail server is away".into()),
            Mood::Panic => panic!("the hook panics, as it was told to"),
        }
    }
}
