//! A service at work while its sessions move.

use std::collections::BTreeMap;
use std::sync::Arc;

use tenure::Clock as _;
use tenure::{CopyOptions, EndReason, ManualClock, Sessions, Token, copy, verify};
use tenure_store::{Namespace, SessionStore, Timestamp};
use tokio::task::JoinSet;

use crate::pairs::{Pair, World};
use crate::support::hooks::Notebook;
use crate::support::keys::ring;

const SESSIONS: usize = 192;
const TASKS: usize = 64;
const ROUNDS: u64 = 6;

/// A service on a store, with a notebook for a hook.
async fn service(
    store: Arc<dyn SessionStore>,
    ns: &Namespace,
    clock: &Arc<ManualClock>,
    notes: &Notebook,
) -> Sessions {
    Sessions::builder(store, ring("2026-11", 7), ns.application())
        .clock(Arc::clone(clock) as _)
        .on_end(notes.clone())
        .build()
        .await
        .expect("good settings")
}

struct Town {
    world: World,
    clock: Arc<ManualClock>,
    notes: Notebook,
    /// Two nodes on both stores.
    nodes: [Sessions; 2],
    tokens: Vec<Token>,
}

/// Sessions of a service that knew the old store alone, and two nodes of the next one.
async fn town(pair: &Pair) -> Town {
    let world = pair.world().await;
    let (clock, notes) = (Arc::new(ManualClock::default()), Notebook::default());
    let before = service(Arc::clone(&world.old), &world.ns, &clock, &notes).await;
    let mut tokens = Vec::new();
    for _ in 0..SESSIONS {
        tokens.push(started(&before).await);
    }
    let both = [
        service(Arc::new(world.node()), &world.ns, &clock, &notes).await,
        service(Arc::new(world.node()), &world.ns, &clock, &notes).await,
    ];
    Town {
        world,
        clock,
        notes,
        nodes: both,
        tokens,
    }
}

impl Town {
    fn options(&self) -> CopyOptions {
        let clock = Arc::clone(&self.clock) as _;
        CopyOptions::default().batch(20).unbounded().clock(clock)
    }

    /// A copy that runs on beside what the test does.
    fn copying(&self) -> tokio::task::JoinHandle<()> {
        let (node, ns, options) = (self.world.node(), self.world.ns.clone(), self.options());
        tokio::spawn(async move {
            for _ in 0..200 {
                // Beside a reset, it may be told to try again.
                let _ = copy(&node, &ns, &options).await;
                if verify(&node, &ns, Timestamp::MIN)
                    .await
                    .is_ok_and(|v| v.is_done())
                {
                    return;
                }
                tokio::task::yield_now().await;
            }
        })
    }

    async fn reap(&self) {
        for node in &self.nodes {
            node.reaper()
                .expect("hooks")
                .run_once()
                .await
                .expect("answers");
        }
    }
}

async fn started(sessions: &Sessions) -> Token {
    let session = sessions.start().expect("starts");
    session.set("hits", &0_u64).expect("fits");
    let token = session.commit().await.expect("commits");
    token.expect("a token for a new session")
}

/// What a task's sessions should be at the end: hits by token, or ended.
type Book = Vec<(Token, Option<u64>)>;

async fn visitor(nodes: [Sessions; 2], mine: Vec<Token>) -> Book {
    let mut book: Book = mine.into_iter().map(|token| (token, Some(0))).collect();
    book.push((started(&nodes[0]).await, Some(0)));
    for round in 0..ROUNDS {
        let node = &nodes[usize::from(round % 2 == 0)];
        for (number, (token, hits)) in book.iter_mut().enumerate() {
            let Some(count) = hits else {
                assert!(
                    node.resume(token).await.expect("answers").is_none(),
                    "it came back"
                );
                continue;
            };
            let session = node.resume(token).await.expect("answers");
            let session = session.expect("nobody is logged out");
            if round == 3 && number == 0 {
                assert!(session.end().await.expect("ends"));
                *hits = None;
                continue;
            }
            let now = session
                .update("hits", |n: Option<u64>| n.unwrap_or(0) + 1)
                .await;
            *count += 1;
            assert_eq!(now.expect("updates"), *count);
        }
        tokio::task::yield_now().await;
    }
    book
}

pub(crate) async fn sessions_in_use_survive_a_copy(pair: &Pair) {
    let town = town(pair).await;
    let copying = town.copying();
    let mut visitors = JoinSet::new();
    for mine in town.tokens.chunks(SESSIONS / TASKS) {
        visitors.spawn(visitor(town.nodes.clone(), mine.to_vec()));
    }
    assert_eq!(visitors.len(), TASKS);
    let book: Book = visitors.join_all().await.into_iter().flatten().collect();
    copying.await.expect("no panic");

    let report = copy(&town.world.node(), &town.world.ns, &town.options()).await;
    assert!(report.expect("answers").is_complete());
    // The next deployment knows the new store alone.
    let after = service(
        Arc::clone(&town.world.new),
        &town.world.ns,
        &town.clock,
        &town.notes,
    )
    .await;
    for (token, hits) in &book {
        let session = after.resume(token).await.expect("answers");
        let found = session.map(|session| session.get::<u64>("hits").expect("readable"));
        assert_eq!(found, hits.map(Some));
    }
    for node in &town.nodes {
        node.shutdown().await;
    }
    after
        .reaper()
        .expect("hooks")
        .run_once()
        .await
        .expect("answers");
    let hooks = town.notes.by_session();
    assert_eq!(hooks.len(), TASKS, "one of each task's ended");
    assert!(hooks.values().all(|count| *count == 1), "each hook once");
    let live = town
        .world
        .new
        .count(&town.world.ns, town.clock.now())
        .await
        .expect("answers");
    assert_eq!(live.live, (SESSIONS + TASKS - TASKS) as u64);
}

pub(crate) async fn a_reset_during_a_copy_ends_everything_once(pair: &Pair) {
    let town = town(pair).await;
    let copying = town.copying();
    let mut visitors = JoinSet::new();
    for mine in town.tokens.chunks(SESSIONS / TASKS) {
        let (node, mine) = (town.nodes[0].clone(), mine.to_vec());
        visitors.spawn(async move {
            for token in mine.iter().chain(&mine) {
                // It may be gone, and it may be in other hands: but not broken.
                if let Ok(Some(session)) = node.resume(token).await {
                    let _ = session
                        .update("hits", |n: Option<u64>| n.unwrap_or(0) + 1)
                        .await;
                }
            }
        });
    }
    for _ in 0..20 {
        tokio::task::yield_now().await;
    }
    town.nodes[1].reset().await.expect("answers");
    let survivor = started(&town.nodes[1]).await;
    for token in &town.tokens {
        assert!(
            town.nodes[1]
                .resume(token)
                .await
                .expect("answers")
                .is_none()
        );
    }
    visitors.join_all().await;
    copying.await.expect("no panic");
    for token in &town.tokens {
        assert!(
            town.nodes[0]
                .resume(token)
                .await
                .expect("answers")
                .is_none()
        );
    }
    assert!(
        town.nodes[0]
            .resume(&survivor)
            .await
            .expect("answers")
            .is_some()
    );
    for _ in 0..4 {
        town.reap().await;
        town.clock.advance(std::time::Duration::from_secs(61));
    }
    let hooks: BTreeMap<_, _> = town.notes.by_session();
    assert_eq!(hooks.len(), SESSIONS);
    assert!(hooks.values().all(|count| *count == 1), "each hook once");
    let calls = town.notes.calls();
    assert!(
        calls
            .iter()
            .all(|call| call.reason() == EndReason::ApplicationReset)
    );
}

pub(crate) async fn log_ins_find_sessions_in_both_stores(pair: &Pair) {
    let town = town(pair).await;
    let [one, two] = &town.nodes;
    for token in &town.tokens[..6] {
        let session = one.resume(token).await.expect("answers").expect("live");
        session.log_in("alice").expect("a good name");
        session.commit().await.expect("commits");
    }
    let before = service(
        Arc::clone(&town.world.old),
        &town.world.ns,
        &town.clock,
        &town.notes,
    )
    .await;
    for token in &town.tokens[6..9] {
        let session = before.resume(token).await.expect("answers").expect("live");
        session.log_in("alice").expect("a good name");
        session.commit().await.expect("commits");
    }
    assert_eq!(two.end_principal("alice").await.expect("answers"), 9);
    for token in &town.tokens[..9] {
        assert!(one.resume(token).await.expect("answers").is_none());
    }
}
