//! Every kind of call, for tests that make each of them under the same circumstances.

use std::future::poll_fn;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use tenure_conformance::props::{LEASE, at, counted, id, principal, record, version};
use tenure_store::{
    After, Change, EndReason, Entry, Epoch, Excess, Field, Filter, Hooks, Outcome, PrincipalLimit,
    Resolve, Result, SessionStore, State, Ticket,
};

use crate::base::portal;

pub(crate) const KINDS: [&str; 20] = [
    "open",
    "create",
    "load",
    "touch",
    "update",
    "log in",
    "end",
    "end of a principal",
    "reset",
    "claim",
    "renew",
    "settle",
    "purge",
    "inspect",
    "list",
    "count",
    "namespaces",
    "resolve",
    "import",
    "describe",
];

/// What only reads.
pub(crate) const READING: [&str; 6] =
    ["load", "inspect", "list", "count", "namespaces", "describe"];

/// Makes a call of this kind, of the session with this number where it is about one.
pub(crate) async fn call(store: &Arc<dyn SessionStore>, kind: &str, number: u64) -> Result<()> {
    let (ns, session) = (portal(), id(number));
    let ticket = Ticket {
        id: session,
        claim: 1,
    };
    match kind {
        "open" => store.open(&ns, Hooks::Expected).await,
        "create" => store
            .create(&ns, &record(number + 1_000), at(0))
            .await
            .map(drop),
        "load" => store.load(&ns, session, at(1)).await.map(drop),
        "touch" => store.touch(&ns, session, at(1)).await.map(drop),
        "update" => {
            let change = counted(number + 1);
            let updated = store.update(&ns, session, version(number), &change, at(1));
            updated.await.map(drop)
        }
        "log in" => {
            let change = log_in("alice", number + 1);
            let updated = store.update(&ns, session, version(number), &change, at(1));
            updated.await.map(drop)
        }
        "end" => {
            let (logout, queue) = (EndReason::Logout, After::Queue);
            store
                .end(&ns, session, None, logout, queue, at(1))
                .await
                .map(drop)
        }
        "end of a principal" => {
            let bob = principal("bob");
            let ended = store.end_principal(&ns, &bob, None, After::Queue, at(1));
            ended.await.map(drop)
        }
        "reset" => store.reset(&ns, at(1)).await,
        "claim" => store.claim(&ns, LEASE, 1, at(1)).await.map(drop),
        "renew" => store.renew(&ns, &[ticket], LEASE, at(1)).await.map(drop),
        "settle" => {
            let outcomes = [(ticket, Outcome::Done)];
            store.settle(&ns, &outcomes, at(1)).await.map(drop)
        }
        // Hooks are expected: it is asked, and refused.
        "purge" => match store.purge(&ns, 1, at(1)).await {
            Err(error) if error.is_unavailable() => Err(error),
            _ => Ok(()),
        },
        "inspect" => store.inspect(&ns, session, at(1)).await.map(drop),
        "list" => store.list(&ns, &Filter::all(10), at(1)).await.map(drop),
        "count" => store.count(&ns, at(1)).await.map(drop),
        "namespaces" => store.namespaces().await.map(drop),
        "resolve" => {
            let resolved = store.resolve(&ns, session, Resolve::Requeue, at(1));
            resolved.await.map(drop)
        }
        "import" => {
            let (record, state) = (record(number + 2_000), State::Live);
            let entry = Entry { record, state };
            let imported = store.import(&ns, &entry, Epoch::new(0), at(1));
            imported.await.map(drop)
        }
        "describe" => store.describe(at(1)).await.map(drop),
        other => panic!("no call is of the kind {other}"),
    }
}

/// Somebody logs in, and may have one session.
pub(crate) fn log_in(name: &str, next: u64) -> Change {
    let mut change = counted(next);
    change.principal = Field::Set(principal(name));
    change.principal_limit = Some(PrincipalLimit {
        sessions: 1,
        excess: Excess::EndOldest(After::Queue),
    });
    change
}

/// A call that its caller has begun, keeps, and does not go on with.
pub(crate) struct Neglected {
    call: Pin<Box<dyn Future<Output = Result<()>> + Send>>,
    answered: bool,
}

impl Neglected {
    pub(crate) fn new(store: &Arc<dyn SessionStore>, kind: &'static str, number: u64) -> Self {
        let store = Arc::clone(store);
        Self {
            call: Box::pin(async move { call(&store, kind, number).await }),
            answered: false,
        }
    }

    /// Goes on by one step, and is told of nothing that happens later.
    pub(crate) fn step(&mut self) {
        if !self.answered {
            let mut nobody = Context::from_waker(Waker::noop());
            self.answered = self.call.as_mut().poll(&mut nobody).is_ready();
        }
    }

    /// Goes on after all.
    pub(crate) async fn go_on(mut self) -> Result<()> {
        if self.answered {
            return Ok(());
        }
        poll_fn(|context| match self.call.as_mut().poll(context) {
            Poll::Ready(answer) => Poll::Ready(answer),
            Poll::Pending => Poll::Pending,
        })
        .await
    }
}
