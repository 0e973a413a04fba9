//! One request's handle, where answers get lost: what the client holds opens the session
//! or the session is over, what was said to be stored is stored, and nothing crosses a
//! log-in.

mod ends;
mod model;
mod tokens;
mod unruly;
mod writes;

use std::sync::Arc;
use std::time::Duration;

use tenure::{
    KeyRing, ManualClock, MasterSecret, OnExcess, Session, Sessions, SessionsBuilder, Token,
};

use crate::unruly::Unruly;

pub(crate) const MINUTE: Duration = Duration::from_mins(1);

/// A store, and nodes of one application on it.
pub(crate) struct World {
    pub(crate) store: Arc<Unruly>,
    pub(crate) clock: Arc<ManualClock>,
    pub(crate) old_ring: KeyRing,
    pub(crate) new_ring: KeyRing,
}

impl World {
    pub(crate) fn new() -> Self {
        let secret = |seed: u32| {
            let bytes = (0..32).scan(seed, |state, _| {
                *state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                state.to_be_bytes().first().copied()
            });
            MasterSecret::from_bytes(bytes.collect::<Vec<u8>>()).expect("a good secret")
        };
        let ring = |primary: (&str, u32), other: (&str, u32)| {
            KeyRing::new(primary.0, secret(primary.1))
                .and_then(|ring| ring.accept(other.0, secret(other.1)))
                .expect("a ring")
        };
        let (old_ring, new_ring) = (ring(("old", 1), ("new", 2)), ring(("new", 2), ("old", 1)));
        Self {
            store: Unruly::new(),
            clock: Arc::default(),
            old_ring,
            new_ring,
        }
    }

    pub(crate) fn builder(&self) -> SessionsBuilder {
        let ring = self.old_ring.clone();
        Sessions::builder(Arc::clone(&self.store) as _, ring, "portal")
            .clock(Arc::clone(&self.clock) as _)
            .rotation_grace(MINUTE)
            .no_end_hook()
    }

    pub(crate) async fn node(&self) -> Sessions {
        self.builder().build().await.expect("good settings")
    }

    /// A node on which a principal may have one session.
    pub(crate) async fn strict(&self) -> Sessions {
        let builder = self
            .builder()
            .sessions_per_principal(1, OnExcess::RefuseNewest);
        builder.build().await.expect("good settings")
    }
}

/// A stored session with one attribute.
pub(crate) async fn stored(node: &Sessions) -> (Session, Token) {
    let session = node.start().expect("starts");
    session.set("theme", "dark").expect("fits");
    let token = session.commit().await.expect("commits").expect("a token");
    (session, token)
}

pub(crate) async fn resumed(node: &Sessions, token: &Token) -> Session {
    node.resume(token)
        .await
        .expect("answers")
        .expect("it is live")
}

pub(crate) async fn opens(node: &Sessions, token: &Token) -> bool {
    node.resume_passive(token).await.expect("answers").is_some()
}
