//! Visitors: what a browser left here stays, beside its sessions and after them.

use std::sync::Arc;
use std::time::Duration;

use tenure::{Attribute, Error, Sessions, Token, Visitor, Visitors, VisitorsBuilder};
use tenure_store::{Counts, SessionStore};

use crate::support::world::{IDLE, MINUTE, World, resumed, stored};

const CART: Attribute<Vec<String>> = Attribute::new("cart");
const DAY: Duration = Duration::from_hours(24);
const MILLISECOND: Duration = Duration::from_millis(1);

fn builder(world: &World) -> VisitorsBuilder {
    let store: Arc<dyn SessionStore> = Arc::clone(&world.store) as _;
    Visitors::builder(store, world.keys.clone(), "portal").clock(Arc::clone(&world.clock) as _)
}

/// A node of the service.
async fn node(world: &World) -> Visitors {
    builder(world).build().await.expect("good settings")
}

/// A stored visitor with a cart, and its token.
async fn known(visitors: &Visitors) -> (Visitor, Token) {
    let visitor = visitors.start().expect("starts");
    visitor.set(CART, &vec!["tea".to_owned()]).expect("fits");
    let token = visitor.commit().await.expect("commits");
    (visitor, token.expect("a token for a new visitor"))
}

async fn visit(visitors: &Visitors, token: &Token) -> Visitor {
    let visitor = visitors.visit(token).await.expect("the store answers");
    visitor.expect("the visitor is known")
}

async fn counts(world: &World, visitors: &Visitors) -> Counts {
    let counts = world.store.count(visitors.namespace(), world.now());
    counts.await.expect("answers")
}

pub(crate) async fn a_cart_outlives_log_outs_time_outs_and_resets(world: World) {
    let sessions: Sessions = world.sessions().await;
    let visitors = node(&world).await;
    let (_, browser) = known(&visitors).await;
    let (session, _) = stored(&sessions).await;
    session.end().await.expect("ends");
    stored(&sessions).await;
    world.clock.advance(IDLE);
    let (_, token) = stored(&sessions).await;
    sessions.reset().await.expect("resets");
    assert!(sessions.resume(&token).await.expect("answers").is_none());
    let again = visit(&visitors, &browser).await;
    assert_eq!(
        again.get(CART).expect("texts"),
        Some(vec!["tea".to_owned()])
    );

    // And the other way round.
    let (_, token) = stored(&sessions).await;
    again.forget().await.expect("forgets");
    resumed(&sessions, &token).await;
    let (_, other) = known(&visitors).await;
    visitors.forget_all().await.expect("forgets");
    assert!(visitors.visit(&other).await.expect("answers").is_none());
    resumed(&sessions, &token).await;
}

pub(crate) async fn every_visit_counts_once_however_many_come_at_once(world: World) {
    let nodes = [node(&world).await, node(&world).await];
    let (first, token) = known(&nodes[0]).await;
    assert_eq!(first.visits(), 1);
    let visits: Vec<_> = (0..64)
        .map(|n| {
            let (visitors, token) = (nodes[n % 2].clone(), token.clone());
            tokio::spawn(async move {
                let visitor = visit(&visitors, &token).await;
                // However often it writes, it is one visit.
                visitor.set(&*format!("page {n}"), &n).expect("fits");
                visitor.commit().await.expect("commits");
                visitor.set("page", &n).expect("fits");
                visitor.commit().await.expect("commits");
                let add = |n: Option<u64>| n.unwrap_or(0) + 1;
                visitor.update("pages", add).await.expect("commits");
            })
        })
        .collect();
    for visit in visits {
        visit.await.expect("no visit fails");
    }
    first.set("more", &1).expect("fits");
    first.commit().await.expect("commits");
    let last = visit(&nodes[1], &token).await;
    assert_eq!(last.visits(), 1 + 64 + 1);
    assert_eq!(last.get::<u64>("pages").expect("a number"), Some(64));
    assert_eq!(last.names().len(), 64 + 4);
    assert_eq!(visit(&nodes[0], &token).await.visits(), 67);
}

pub(crate) async fn a_visit_counts_though_nothing_was_changed(world: World) {
    let visitors = node(&world).await;
    let (_, token) = known(&visitors).await;
    world.store.calls();
    let second = visit(&visitors, &token).await;
    assert_eq!(
        world.store.calls(),
        ["load", "touch"],
        "at the same instant"
    );
    assert!(second.commit().await.expect("nothing to do").is_none());
    drop(second);
    assert!(world.store.calls().is_empty());
    assert_eq!(visit(&visitors, &token).await.visits(), 3);
}

pub(crate) async fn the_last_visit_is_the_one_before_this(world: World) {
    let visitors = node(&world).await;
    let (first, token) = known(&visitors).await;
    let began = world.now();
    assert_eq!(first.last_visit(), None);
    assert_eq!(first.first_visit(), began);
    let mut before = began;
    for visits in 2..5 {
        world.clock.advance(DAY);
        let visitor = visit(&visitors, &token).await;
        visitor.set("visits", &visits).expect("fits");
        visitor.commit().await.expect("commits");
        assert_eq!(visitor.last_visit(), Some(before), "not this one");
        assert_eq!(visitor.first_visit(), began);
        assert_eq!(visitor.visits(), visits);
        before = world.now();
    }
}

pub(crate) async fn nothing_is_stored_for_who_leaves_nothing(world: World) {
    let visitors = node(&world).await;
    world.store.calls();
    let visitor = visitors.start().expect("starts");
    assert!(visitor.commit().await.expect("nothing to do").is_none());
    assert!(visitor.is_new());
    assert!(!visitor.forget().await.expect("nothing to forget"));
    assert!(world.store.calls().is_empty());
}

pub(crate) async fn who_does_not_come_for_ninety_days_is_forgotten(world: World) {
    let visitors = node(&world).await;
    let (_, token) = known(&visitors).await;
    for _ in 0..20 {
        world.clock.advance(DAY * 90 - MILLISECOND);
        let visitor = visit(&visitors, &token).await;
        assert_eq!(visitor.forgotten_at(), Some(world.now().plus(DAY * 90)));
    }
    world.clock.advance(DAY * 90);
    assert!(visitors.visit(&token).await.expect("answers").is_none());

    let builder = builder(&world).remembered_for(DAY);
    let visitors = builder.build().await.expect("good settings");
    let (_, token) = known(&visitors).await;
    world.clock.advance(DAY);
    assert!(visitors.visit(&token).await.expect("answers").is_none());
}

pub(crate) async fn the_purger_goes_by_the_last_visit_alone(world: World) {
    let visitors = node(&world).await;
    let mut tokens = Vec::new();
    let mut open = None;
    for _ in 0..25 {
        let (visitor, token) = known(&visitors).await;
        open = Some(visitor);
        tokens.push(token);
    }
    world.clock.advance(DAY * 60);
    let (come, stay_away) = tokens.split_at(10);
    for token in come {
        visit(&visitors, token).await;
    }
    // A page that is still open, and goes on writing, is no visit.
    let open = open.expect("the last one");
    open.set("late", &1).expect("fits");
    open.commit().await.expect("commits");
    world.clock.advance(DAY * 30 - MILLISECOND);
    let purger = visitors.purger(MINUTE).expect("a good interval").batch(4);
    assert_eq!(purger.run_once().await.expect("answers").purged, 0);
    world.clock.advance(MILLISECOND);
    world.store.calls();
    assert_eq!(purger.run_once().await.expect("answers").purged, 15);
    assert!(world.store.calls().len() >= 15 / 4, "in batches");
    let left = counts(&world, &visitors).await;
    assert_eq!((left.live, left.over, left.waiting), (10, 0, 0));
    for token in come {
        visit(&visitors, token).await;
    }
    for token in stay_away {
        assert!(visitors.visit(token).await.expect("answers").is_none());
    }
}

pub(crate) async fn purgers_side_by_side_do_no_harm(world: World) {
    let nodes = [node(&world).await, node(&world).await, node(&world).await];
    for _ in 0..50 {
        known(&nodes[0]).await;
    }
    world.clock.advance(DAY * 90);
    let (_, token) = known(&nodes[0]).await;
    let purges = nodes.each_ref().map(|visitors| {
        let purger = visitors.purger(MINUTE).expect("a good interval").batch(3);
        tokio::spawn(async move { purger.run_once().await.expect("answers").purged })
    });
    let mut purged = 0;
    for purge in purges {
        purged += purge.await.expect("no purger fails");
    }
    assert_eq!(purged, 50, "each by one of them");
    visit(&nodes[1], &token).await;
}

pub(crate) async fn a_purge_interval_of_zero_is_refused(world: World) {
    let visitors = node(&world).await;
    for bad in [Duration::ZERO, MILLISECOND] {
        let refused = visitors.purger(bad);
        assert!(matches!(refused, Err(Error::Policy(_))), "{refused:?}");
    }
    let refused = builder(&world).remembered_for(Duration::ZERO).build().await;
    assert!(matches!(refused, Err(Error::Store(_))), "{refused:?}");
}

pub(crate) async fn of_a_forgotten_visitor_nothing_is_left(world: World) {
    let visitors = node(&world).await;
    let (_, token) = known(&visitors).await;
    let late = visit(&visitors, &token).await;
    let visitor = visit(&visitors, &token).await;
    assert!(visitor.forget().await.expect("forgets"));
    assert!(!visitor.forget().await.expect("nothing to forget"));
    let entry = world
        .store
        .inspect(visitors.namespace(), visitor.id(), world.now());
    assert!(entry.await.expect("answers").is_none(), "no tombstone");
    late.set("late", &1).expect("buffered");
    assert!(matches!(late.commit().await, Err(Error::Gone)));
    assert!(visitors.visit(&token).await.expect("answers").is_none());

    let (_, token) = known(&visitors).await;
    assert!(visitors.forget(&token).await.expect("forgets"));
    assert!(!visitors.forget(&token).await.expect("nothing to forget"));
    assert_eq!(counts(&world, &visitors).await, Counts::default());

    // All at once: absent now, and gone with the next purge.
    let (_, token) = known(&visitors).await;
    visitors.forget_all().await.expect("forgets");
    assert!(visitors.visit(&token).await.expect("answers").is_none());
    let purger = visitors.purger(MINUTE).expect("a good interval");
    assert_eq!(purger.run_once().await.expect("answers").purged, 1);
    assert_eq!(counts(&world, &visitors).await, Counts::default());
}

pub(crate) async fn a_visitors_token_is_noise_to_sessions_and_theirs_to_it(world: World) {
    let sessions = world.sessions().await;
    let visitors = node(&world).await;
    let (_, session) = stored(&sessions).await;
    let (_, visitor) = known(&visitors).await;
    world.store.calls();
    assert!(sessions.resume(&visitor).await.expect("answers").is_none());
    assert!(sessions.peek(&visitor).await.expect("answers").is_none());
    assert!(!sessions.end(&visitor).await.expect("answers"));
    assert!(visitors.visit(&session).await.expect("answers").is_none());
    assert!(!visitors.forget(&session).await.expect("answers"));
    assert!(world.store.calls().is_empty(), "without asking the store");
}
