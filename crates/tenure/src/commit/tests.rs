//! What only a handle's inside can show.

use std::sync::Arc;

use tenure_memory::MemoryStore;
use tenure_store::Version;

use super::*;
use crate::{KeyRing, MasterSecret, Sessions};

#[tokio::test]
async fn a_session_that_has_used_up_its_tokens_says_so_and_lives_on() {
    let keys = KeyRing::new("key", MasterSecret::generate().expect("random")).expect("a ring");
    let builder = Sessions::builder(Arc::new(MemoryStore::new()), keys, "portal");
    let sessions = builder.build().await.expect("good settings");
    let session = sessions.start().expect("starts");
    session.set("n", &1).expect("fits");
    session.commit().await.expect("commits");
    let (core, id) = (&session.inner.core, session.id());
    let now = core.now();
    let stored = core.store.load(&core.ns, id, now).await.expect("answers");
    let mut change = Change::new(Version::new(1), Access::Passive);
    change.rotation = Some(Rotation::new(Rotation::MAX, None).expect("24 bits"));
    let expected = stored.expect("live").version;
    let updated = core
        .store
        .update(&core.ns, id, expected, &change, now)
        .await;
    assert_eq!(updated.expect("answers"), Updated::Done);
    let last = session.inner.token(Rotation::MAX).expect("a token");

    let session = sessions
        .resume(&last)
        .await
        .expect("answers")
        .expect("live");
    session.log_in("alice").expect("a good name");
    let refused = session.commit().await;
    assert!(
        matches!(refused, Err(Error::RotationsExhausted)),
        "{refused:?}"
    );
    assert!(sessions.resume(&last).await.expect("answers").is_some());
}
