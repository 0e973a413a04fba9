//! What lies on a server's disk opens nothing and tells nothing: dumps, tables, logs.

#[path = "support/mod.rs"]
#[allow(dead_code, reason = "each test uses its part")]
mod support;

/// These read the files of servers that they start themselves.
mod own_server {
    use std::path::Path;
    use std::process::Command;
    use std::sync::Arc;

    use deadpool_redis::redis::cmd;
    use tenure::{EndedSession, Error, ManualClock, Sessions, Token};

    use crate::support::keys::ring;
    use crate::support::place::postgres;
    use crate::support::servers::binaries;
    use crate::support::servers::postgres::Postgres;
    use crate::support::servers::redis::Redis;

    const PRINCIPAL: &str = "carol of the fourth floor";
    const VALUE: &str = "4111 1111 1111 1111";
    const NAME: &str = "credit-card";

    /// Sessions of every kind with the canaries in them: live, ended, never told of the end.
    async fn live(url: &str) -> Vec<Token> {
        let store = tenure_connect::connect(url).await.expect("connects");
        let sessions = Sessions::builder(Arc::clone(&store), ring("2026-11", 7), "portal")
            .clock(Arc::new(ManualClock::default()) as _)
            .on_end(|_: EndedSession| async { Err::<(), _>(Error::Gone) })
            .build()
            .await
            .expect("the settings are good");
        let mut tokens = Vec::new();
        for number in 0..4 {
            let session = sessions.start().expect("starts");
            session.set(NAME, VALUE).expect("fits");
            session.set("number", &number).expect("fits");
            tokens.extend(session.commit().await.expect("commits"));
            session.log_in(PRINCIPAL).expect("a good name");
            session.set(NAME, &VALUE.repeat(100)).expect("fits");
            tokens.extend(session.commit().await.expect("commits"));
            if number % 2 == 0 {
                session.end().await.expect("ends");
            }
        }
        sessions.shutdown().await;
        store.close().await.expect("closes");
        assert_eq!(tokens.len(), 8);
        tokens
    }

    /// That whoever reads this finds the principal, which is there to be found, and nothing
    /// of what must not be.
    fn search(what: &str, bytes: &[u8], tokens: &[Token]) {
        let holds = |canary: &[u8]| {
            let first = canary[0];
            let mut starts = bytes.iter().enumerate().filter(|(_, byte)| **byte == first);
            starts.any(|(place, _)| bytes[place..].starts_with(canary))
        };
        assert!(
            holds(PRINCIPAL.as_bytes()),
            "{what}: the search finds nothing"
        );
        assert!(!holds(VALUE.as_bytes()), "{what}: an attribute's value");
        assert!(!holds(NAME.as_bytes()), "{what}: an attribute's name");
        for token in tokens {
            let text = token.as_str();
            let raw = data_encoding::BASE64URL_NOPAD.decode(text.as_bytes());
            let raw = raw.expect("a token");
            assert!(!holds(text.as_bytes()), "{what}: a token");
            assert!(!holds(&raw[16..35]), "{what}: a sealed secret");
        }
    }

    /// All files of these folders, one after the other.
    fn files(folders: &[&Path]) -> Vec<u8> {
        let mut all = Vec::new();
        let mut open: Vec<_> = folders.iter().map(|folder| folder.to_path_buf()).collect();
        while let Some(path) = open.pop() {
            if path.is_dir() {
                let entries = std::fs::read_dir(path).expect("a folder");
                open.extend(entries.map(|entry| entry.expect("readable").path()));
            } else if path.is_file() {
                all.extend(std::fs::read(path).expect("readable"));
            }
        }
        all
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    #[ignore = "needs PostgreSQL: run scripts/test"]
    async fn postgres_keeps_nothing_that_opens_or_tells() {
        let server = Postgres::start();
        let tokens = live(&server.url()).await;

        let dump = Command::new(binaries::PG_DUMP.path())
            .arg(server.url())
            .output()
            .expect("it runs");
        assert!(
            dump.status.success(),
            "{}",
            String::from_utf8_lossy(&dump.stderr)
        );
        search("pg_dump", &dump.stdout, &tokens);
        postgres::run(&server.url(), "CHECKPOINT").await;
        let data = server.server.folder().join("data");
        search("tables", &files(&[&data.join("base")]), &tokens);
        search("log of writes", &files(&[&data.join("pg_wal")]), &tokens);
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    #[ignore = "needs Redis: run scripts/test"]
    async fn redis_keeps_nothing_that_opens_or_tells() {
        // Else it makes strings shorter where it can, and the search finds less.
        let server = Redis::start_with(&[("rdbcompression", "no")]);
        let tokens = live(&server.url()).await;

        server.ask(&cmd("SAVE"));
        let folder = server.server.folder();
        let snapshot = std::fs::read(folder.join("dump.rdb")).expect("readable");
        search("snapshot", &snapshot, &tokens);
        search(
            "log of writes",
            &files(&[&folder.join("appendonlydir")]),
            &tokens,
        );
    }
}
