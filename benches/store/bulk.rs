//! What is done to many sessions at once.

use std::sync::Arc;
use std::time::{Duration, Instant};

use tenure::{EndedSession, Error, Sessions};
use tenure_store::{Hooks, Namespace, SessionStore};

use crate::subject::{fill, now};
use crate::support::keys::ring;

/// One step of reaping takes no more.
const STEP: u32 = 1_000;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Bulk {
    Reset,
    Purge,
    /// What a reset left, each with an end hook.
    Hooks,
}

impl Bulk {
    pub(crate) const ALL: [Self; 3] = [Self::Reset, Self::Purge, Self::Hooks];

    pub(crate) fn words(self) -> &'static str {
        match self {
            Self::Reset => "reset",
            Self::Purge => "reap without a hook",
            Self::Hooks => "library: reap with a hook",
        }
    }

    /// How long it takes for so many sessions, which are gone afterwards.
    pub(crate) async fn timed(self, store: &Arc<dyn SessionStore>, sessions: u64) -> Duration {
        if self == Self::Hooks {
            return hooks(store, sessions).await;
        }
        let ns = Namespace::sessions("bulk").expect("a good name");
        let opened = store.open(&ns, Hooks::Withdrawn).await;
        opened.expect("opens");
        fill(store, &ns, sessions).await;
        let began = Instant::now();
        store.reset(&ns, now()).await.expect("reset");
        let reset = began.elapsed();
        let began = Instant::now();
        let mut removed = 0;
        loop {
            let purged = store.purge(&ns, STEP, now()).await.expect("purged");
            removed += purged.removed;
            if !purged.more {
                break;
            }
        }
        assert_eq!(removed, sessions);
        if self == Self::Reset {
            reset
        } else {
            began.elapsed()
        }
    }
}

async fn hooks(store: &Arc<dyn SessionStore>, sessions: u64) -> Duration {
    let service = Sessions::builder(Arc::clone(store), ring("2026-11", 7), "hooked")
        .on_end(|_: EndedSession| async { Ok::<_, Error>(()) })
        .build()
        .await
        .expect("the settings are good");
    fill(
        store,
        &Namespace::sessions("hooked").expect("a good name"),
        sessions,
    )
    .await;
    service.reset().await.expect("reset");
    let reaper = service.reaper().expect("there is a hook");
    let began = Instant::now();
    let reaped = reaper.run_once().await.expect("reaped");
    assert_eq!(reaped.succeeded, sessions);
    began.elapsed()
}
