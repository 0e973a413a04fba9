//! What a service's requests cost.

use std::sync::Arc;
use std::time::Duration;

use tenure::{EndedSession, Error, ManualClock, Sessions, Token};

use crate::line::Line;
use crate::support::keys::ring;

pub(crate) async fn a_request_is_as_many_round_trips_as_it_says(line: Line) {
    let clock = Arc::new(ManualClock::default());
    for round in 0..2 {
        let sessions = Sessions::builder(Arc::clone(&line.store), ring("2026-11", 7), "portal")
            .idle_timeout(Duration::from_mins(20))
            .clock(Arc::clone(&clock) as _)
            .on_end(|_: EndedSession| async { Ok::<_, Error>(()) })
            .build()
            .await
            .expect("the settings are good");
        let read = async |token: &Token| {
            let session = sessions
                .resume(token)
                .await
                .expect("answers")
                .expect("live");
            session.commit().await.expect("answers");
        };

        let (token, trips) = line
            .count(async {
                let session = sessions.start().expect("starts");
                session.set("theme", "dark").expect("fits");
                session.commit().await.expect("answers").expect("a token")
            })
            .await;
        assert_eq!(trips, 1, "a new session, round {round}");
        let ((), trips) = line.count(read(&token)).await;
        assert_eq!(trips, 1, "a request that only reads");
        clock.advance(Duration::from_mins(2));
        let ((), trips) = line.count(read(&token)).await;
        assert_eq!(trips, 2, "the same, and a touch is owed");
        let (_, trips) = line.count(sessions.peek(&token)).await;
        assert_eq!(trips, 1, "peek");
        clock.advance(Duration::from_mins(2));
        let ((), trips) = line
            .count(async {
                let session = sessions.resume(&token).await.expect("answers");
                let session = session.expect("live");
                session.set("theme", "light").expect("fits");
                session.commit().await.expect("answers");
            })
            .await;
        assert_eq!(trips, 2, "load, change, commit, and the touch that is owed");
        let (token, trips) = line
            .count(async {
                let session = sessions.resume(&token).await.expect("answers");
                let session = session.expect("live");
                session.log_in("alice").expect("a good name");
                session
                    .commit()
                    .await
                    .expect("answers")
                    .expect("a new token")
            })
            .await;
        assert_eq!(trips, 2, "a log-in");
        let forged = Token::new(token.as_str().replace('A', "B").replace('a', "b"));
        let (found, trips) = line.count(sessions.resume(&forged)).await;
        assert!(found.expect("answers").is_none());
        assert_eq!(trips, 0, "a forged token");
        let (ended, trips) = line.count(sessions.end(&token)).await;
        assert!(ended.expect("answers"));
        assert!(trips <= 2, "an end, and its hook's settlement: {trips}");
        sessions.shutdown().await;
        line.idle().await;
    }
}
