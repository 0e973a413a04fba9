//! Two requests at once: nobody's change is lost, nobody's is made twice.

use std::sync::Arc;

use tenure::{Attribute, Error, Sessions, Token};
use tokio::task::JoinSet;

use crate::support::world::{World, resumed, stored};

const HITS: Attribute<u64> = Attribute::new("hits");

pub(crate) async fn commits_of_different_attributes_all_survive(world: World) {
    let sessions = world.sessions().await;
    let (_, token) = stored(&sessions).await;
    let mut requests = JoinSet::new();
    for n in 0..64u64 {
        let session = resumed(&sessions, &token).await;
        requests.spawn(async move {
            session.set(format!("tab {n}").as_str(), &n)?;
            session.commit().await
        });
    }
    while let Some(done) = requests.join_next().await {
        done.expect("no panic").expect("commits");
    }
    let session = resumed(&sessions, &token).await;
    for n in 0..64u64 {
        let value = session
            .get::<u64>(format!("tab {n}").as_str())
            .expect("a number");
        assert_eq!(value, Some(n));
    }
    assert_eq!(session.names().len(), 65);
}

pub(crate) async fn of_one_attribute_the_last_commit_wins(world: World) {
    let sessions = world.sessions().await;
    let (_, token) = stored(&sessions).await;
    let first = resumed(&sessions, &token).await;
    let second = resumed(&sessions, &token).await;
    second.set("theme", "second").expect("fits");
    first.set("theme", "first").expect("fits");
    second.commit().await.expect("commits");
    first.commit().await.expect("commits");
    let theme = resumed(&sessions, &token)
        .await
        .get::<String>("theme")
        .expect("text");
    assert_eq!(theme.as_deref(), Some("first"), "it was committed last");
}

pub(crate) async fn updates_of_one_attribute_add_up(world: World) {
    let sessions = world.sessions().await;
    let (_, token) = stored(&sessions).await;
    let sum = count_together(&[sessions.clone(), world.sessions().await], &token, 64, 50).await;
    assert_eq!(sum, 64 * 50);
}

pub(crate) async fn updates_add_up_even_when_answers_get_lost(world: World) {
    let sessions = world.sessions().await;
    let (_, token) = stored(&sessions).await;
    world.store.lose_every_nth_answer(3);
    let sum = count_together(&[sessions.clone(), world.sessions().await], &token, 8, 25).await;
    assert_eq!(sum, 8 * 25, "each write happened, and none twice");
}

pub(crate) async fn a_lost_answer_is_found_under_what_others_wrote_since(world: World) {
    let sessions = world.sessions().await;
    let elsewhere = world.sessions().await;
    let (_, token) = stored(&sessions).await;
    let session = resumed(&sessions, &token).await;
    let (store, good) = (Arc::clone(&world.store), token.clone());
    world.store.lose_every_nth_answer(1);
    world.store.meanwhile(Box::pin(async move {
        store.lose_every_nth_answer(0);
        for _ in 0..20 {
            let other = resumed(&elsewhere, &good).await;
            let counted = other.update(HITS, |hits| hits.unwrap_or(0) + 1).await;
            counted.expect("counts");
        }
    }));
    let counted = session.update(HITS, |hits| hits.unwrap_or(0) + 1).await;
    counted.expect("it had happened");
    let hits = resumed(&sessions, &token)
        .await
        .get(HITS)
        .expect("a number");
    assert_eq!(hits, Some(21), "once, though twenty others came between");
}

async fn count_up(sessions: &Sessions, token: &Token) -> tenure::Result<()> {
    let session = resumed(sessions, token).await;
    session.update(HITS, |hits| hits.unwrap_or(0) + 1).await?;
    Ok(())
}

/// Tasks on two nodes count up one attribute of one session.
async fn count_together(nodes: &[Sessions; 2], token: &Token, tasks: u64, each: u64) -> u64 {
    let mut requests = JoinSet::new();
    for task in 0..tasks {
        let sessions = nodes[usize::from(task % 2 == 1)].clone();
        let token = token.clone();
        requests.spawn(async move {
            for _ in 0..each {
                // Where the machine is slow, other writers may take all the time that there
                // is: then nothing was written, and this one asks again.
                while let Err(error) = count_up(&sessions, &token).await {
                    assert!(matches!(error, Error::Contended), "{error}");
                }
            }
        });
    }
    while let Some(done) = requests.join_next().await {
        done.expect("every update is stored, or is told that it was not");
    }
    let session = resumed(&nodes[0], token).await;
    session.get(HITS).expect("a number").unwrap_or(0)
}

pub(crate) async fn two_first_commits_of_a_new_session_make_one(world: World) {
    let sessions = world.sessions().await;
    let session = sessions.start().expect("starts");
    session.set("a", &1).expect("fits");
    let first = session.commit().await.expect("commits");
    let clone = session.clone();
    clone.set("b", &2).expect("fits");
    let (second, third) = tokio::join!(session.commit(), clone.commit());
    assert!(second.expect("commits").is_none() && third.expect("commits").is_none());
    let token = first.expect("one token");
    assert_eq!(resumed(&sessions, &token).await.names(), ["a", "b"]);

    let session = sessions.start().expect("starts");
    session.set("a", &1).expect("fits");
    let clone = session.clone();
    let (one, two) = tokio::join!(session.commit(), clone.commit());
    let tokens = [one.expect("commits"), two.expect("commits")];
    assert_eq!(
        tokens.iter().flatten().count(),
        1,
        "the client is sent one token"
    );
    assert_eq!(world.counts().await.live, 2);
}

pub(crate) async fn a_new_session_whose_answer_got_lost_is_stored_once(world: World) {
    let sessions = world.sessions().await;
    world.store.lose_every_nth_answer(1);
    let session = sessions.start().expect("starts");
    session.set("a", &1).expect("fits");
    let token = session
        .commit()
        .await
        .expect("found to have happened")
        .expect("a token");
    assert_eq!(resumed(&sessions, &token).await.names(), ["a"]);
    assert_eq!(world.counts().await.live, 1);
}

pub(crate) async fn a_commit_dropped_at_any_await_leaves_the_old_or_the_new(world: World) {
    let sessions = world.sessions().await;
    let (_, token) = stored(&sessions).await;
    for polls in 0..12u32 {
        let session = resumed(&sessions, &token).await;
        let before: Option<u32> = session.get("n").expect("a number");
        session.set("n", &polls).expect("fits");
        session.set("other", &polls).expect("fits");
        {
            let mut commit = Box::pin(session.commit());
            for _ in 0..polls {
                if futures_util::poll!(&mut commit).is_ready() {
                    break;
                }
                tokio::task::yield_now().await;
            }
        }
        let seen = resumed(&sessions, &token).await;
        let n: Option<u32> = seen.get("n").expect("a number");
        let other: Option<u32> = seen.get("other").expect("a number");
        assert_eq!(n, other, "never half a commit");
        assert!(n == before || n == Some(polls), "the old or the new");
        // The handle still has what may not have been stored, and can store it.
        session.commit().await.expect("commits");
        let n: Option<u32> = resumed(&sessions, &token).await.get("n").expect("a number");
        assert_eq!(n, Some(polls));
    }
}

pub(crate) async fn a_commit_that_could_not_be_stored_can_be_tried_again(world: World) {
    let sessions = world.sessions().await;
    let (_, token) = stored(&sessions).await;
    let session = Arc::new(resumed(&sessions, &token).await);
    session.set("n", &1).expect("fits");
    world.store.fail_next(2);
    let refused = session.commit().await.expect_err("the store is away");
    assert!(
        matches!(&refused, Error::Store(error) if error.is_unavailable()),
        "{refused:?}"
    );
    assert_eq!(
        session.get::<u8>("n").expect("a number"),
        Some(1),
        "nothing is lost"
    );
    session.commit().await.expect("the store is back");
    assert_eq!(
        resumed(&sessions, &token)
            .await
            .get::<u8>("n")
            .expect("a number"),
        Some(1)
    );
}
