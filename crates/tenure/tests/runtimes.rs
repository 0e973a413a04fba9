//! What runs where: hooks that block, requests outside a runtime, and sessions without one.

use std::pin::pin;
use std::sync::mpsc::channel;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Wake, Waker};
use std::thread::Thread;
use std::time::Duration;

use tenure::{
    BoxError, EndedSession, Error, KeyRing, ManualClock, MasterSecret, Sessions, SessionsBuilder,
};
use tenure_memory::MemoryStore;
use tokio::sync::mpsc;
use tokio::time::timeout;

const SECOND: Duration = Duration::from_secs(1);

fn builder(clock: &Arc<ManualClock>) -> SessionsBuilder {
    let secret = MasterSecret::generate().expect("random bytes");
    let keys = KeyRing::new("key", secret).expect("a ring");
    let store = Arc::new(MemoryStore::new());
    Sessions::builder(store, keys, "portal").clock(Arc::clone(clock) as _)
}

/// Drives a future without a runtime, as other executors do.
fn drive<F: Future>(work: F) -> F::Output {
    struct Unpark(Thread);
    impl Wake for Unpark {
        fn wake(self: Arc<Self>) {
            self.0.unpark();
        }
    }
    let waker = Waker::from(Arc::new(Unpark(std::thread::current())));
    let mut work = pin!(work);
    loop {
        if let Poll::Ready(done) = work.as_mut().poll(&mut Context::from_waker(&waker)) {
            return done;
        }
        std::thread::park();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 3)]
async fn a_hook_that_blocks_has_no_second_beside_it() {
    let clock = Arc::new(ManualClock::default());
    let (begun, mut has_begun) = mpsc::unbounded_channel();
    let (go_on, blocked) = channel::<()>();
    let blocked = Arc::new(Mutex::new(blocked));
    let sessions = builder(&clock)
        .hook_time_limit(Duration::from_millis(1))
        .on_end(move |session: EndedSession| {
            let (begun, blocked) = (begun.clone(), Arc::clone(&blocked));
            async move {
                begun.send(session.attempt())?;
                if session.attempt() == 1 {
                    let blocked = blocked.lock().expect("one at a time").recv();
                    blocked?;
                    std::future::pending::<()>().await;
                }
                Ok::<_, BoxError>(())
            }
        })
        .build()
        .await
        .expect("good settings");
    let session = sessions.start().expect("starts");
    session.set("n", &1).expect("fits");
    session.commit().await.expect("commits");
    sessions.reset().await.expect("resets");

    let first = sessions.reaper().expect("a hook");
    let first = tokio::spawn(async move { first.run_once().await });
    assert_eq!(has_begun.recv().await, Some(1));
    let other = sessions.reaper().expect("a hook");
    for _ in 0..80 {
        clock.advance(SECOND);
        let second = async {
            other.run_once().await.expect("answers");
            has_begun.recv().await
        };
        let second = timeout(Duration::from_millis(5), second).await;
        assert!(second.is_err(), "it is over its limit, and has not stopped");
    }
    go_on.send(()).expect("the hook waits");
    let reaped = first.await.expect("no panic").expect("answers");
    assert_eq!(reaped.failed, 1);
    clock.advance(SECOND);
    assert_eq!(other.run_once().await.expect("answers").succeeded, 1);
    assert_eq!(has_begun.recv().await, Some(2));
}

#[test]
fn an_end_under_another_executor_has_its_hook() {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .enable_all()
        .build()
        .expect("a runtime starts");
    let clock = Arc::new(ManualClock::default());
    let (ended, has_ended) = channel();
    let build = builder(&clock).on_end(move |session: EndedSession| {
        let told = ended.send(session.id());
        async move { told }
    });
    let sessions = runtime.block_on(build.build()).expect("good settings");
    let session = sessions.start().expect("starts");
    session.set("n", &1).expect("fits");
    let token = drive(session.commit()).expect("commits");
    let token = token.expect("a token for a new session");
    assert!(drive(session.end()).expect("ends"));
    assert_eq!(has_ended.recv(), Ok(session.id()));
    assert!(!drive(sessions.end(&token)).expect("answers"), "once");
    drive(sessions.shutdown());
    let reaper = sessions.reaper().expect("a hook").spawn();
    runtime.block_on(reaper.shutdown());
}

#[test]
fn sessions_without_a_runtime_are_refused_before_anything_is_done() {
    let clock = Arc::new(ManualClock::default());
    let refused = drive(builder(&clock).build());
    assert!(
        matches!(&refused, Err(Error::Policy(why)) if why.contains("Tokio")),
        "{refused:?}"
    );
}
