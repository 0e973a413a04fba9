//! Keys come from outside, and who else can read them is told.

use std::fs::{self, File, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::sync::Arc;

use tenure::{KeyRing, MasterSecret};

use crate::support::world::{MINUTE, World, opens, stored};

/// The text of a secret, and another.
const FIRST: &str = "1fc04e6a93b57d28e1f60c8a5b3972d4f89e0b6c1d7a4352be9f08c6d1a37e54";
const SECOND: &str = "a6d30f8b2e794c15d80a6be3f127c954830dfb6e9a41c27508e5b9d6f3c81a70";

fn alone(text: &str) -> KeyRing {
    let secret = MasterSecret::from_text(text).expect("strong enough");
    KeyRing::new("alone", secret).expect("a good name")
}

/// What is wrong with a text is tested where it is read; here, that a good one makes the
/// ring that was meant.
pub(crate) async fn a_ring_from_a_file_is_the_ring_that_was_meant(world: World) {
    let folder = tempfile::tempdir().expect("a temporary folder can be made");
    let path = folder.path().join("keys");
    // The world's clock starts with 2026.
    let text = format!("new {FIRST}\nold {SECOND} until 2026-01-01T00:01:00Z\n");
    fs::write(&path, text).expect("a file to read");
    let (_, old) = stored(&world.node(alone(SECOND)).await).await;

    let keys = KeyRing::from_file(&path).expect("a good file");
    let sessions = world.node(keys).await;
    assert!(opens(&sessions, &old).await);
    let (_, new) = stored(&sessions).await;
    let first = world.node(alone(FIRST)).await;
    assert!(opens(&first, &new).await, "the first line seals");
    world.clock.advance(MINUTE);
    assert!(!opens(&sessions, &old).await, "its date has come");
}

pub(crate) async fn a_key_file_that_everybody_can_read_is_told_of(_: World) {
    let folder = tempfile::tempdir().expect("a temporary folder can be made");
    let path = folder.path().join("keys");
    fs::write(&path, format!("new {FIRST}\n")).expect("a file to read");
    let told = |mode| {
        fs::set_permissions(&path, Permissions::from_mode(mode)).expect("it is ours");
        let log = folder.path().join("log");
        let file = File::create(&log).expect("a file to write");
        let subscriber = tracing_subscriber::fmt()
            .with_ansi(false)
            .with_writer(Arc::new(file))
            .finish();
        tracing::subscriber::with_default(subscriber, || {
            KeyRing::from_file(&path).expect("it is used all the same");
        });
        fs::read_to_string(&log).expect("text")
    };
    for private in [0o600, 0o400, 0o640] {
        assert_eq!(told(private), "", "{private:o}");
    }
    for public in [0o604, 0o644, 0o606] {
        let line = told(public);
        assert!(
            line.contains("WARN") && line.contains("chmod 600"),
            "{line}"
        );
        assert!(line.contains(&format!("mode={public:o}")), "{line}");
        assert!(!line.contains(&FIRST[..6]), "{line}");
    }
}
