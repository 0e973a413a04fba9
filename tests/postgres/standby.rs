//! An address that moves to another server while the service runs.

/// It starts servers of its own.
mod own_server {
    use std::net::SocketAddr;

    use sqlx::Executor as _;
    use tenure_conformance::props::{at, id, record};
    use tenure_conformance::story::Story as _;
    use tenure_store::{After, EndReason, Error, ErrorKind, Hooks};

    use crate::base::{connect, portal};
    use crate::calls::{KINDS, call};
    use crate::support::place::postgres as server;
    use crate::support::proxy::Proxy;
    use crate::support::servers::postgres::Postgres;

    fn address(server: &Postgres) -> SocketAddr {
        SocketAddr::from(([127, 0, 0, 1], server.port()))
    }

    fn assert_standby(error: &Error, what: &str) {
        assert!(error.is_unavailable(), "{what}: {error:?}");
        assert!(error.to_string().contains("standby"), "{what}: {error}");
    }

    #[tokio::test]
    #[ignore = "needs PostgreSQL: run scripts/test"]
    async fn nothing_is_read_from_a_standby_that_the_address_moved_to() {
        let mut primary = Postgres::start();
        let (proxy, url) = Proxy::before(&primary.url()).await;
        let store = connect(&url).await;
        let opened = store.open(&portal(), Hooks::Expected).await;
        opened.expect("opens");
        store.put(&portal(), &record(1)).await.expect("stored");
        primary.server.kill();
        let standby = primary.copy_as_standby();
        primary.server.restart();
        // Which the standby never hears of.
        let (logout, queue) = (EndReason::Logout, After::Queue);
        let mut ended = store
            .end(&portal(), id(1), None, logout, queue, at(1))
            .await;
        if ended.is_err() {
            ended = store
                .end(&portal(), id(1), None, logout, queue, at(1))
                .await;
        }
        assert!(ended.expect("answers").is_some());

        primary.server.kill();
        proxy.lead_to(address(&standby));
        proxy.cut_all();
        for kind in KINDS {
            let error = call(&store, kind, 1)
                .await
                .expect_err("there is no primary");
            // The connection that was cut says so at first.
            let error = if error.to_string().contains("standby") {
                error
            } else {
                let again = call(&store, kind, 1).await;
                again.expect_err("there is no primary")
            };
            assert_standby(&error, kind);
        }
        let refused = tenure_connect::connect(&standby.url()).await;
        let error = refused.expect_err("a standby");
        assert_eq!(error.kind(), ErrorKind::Misconfigured, "{error:?}");

        server::run(&standby.url(), "SELECT pg_promote()").await;
        for kind in KINDS {
            let done = call(&store, kind, 1).await;
            done.unwrap_or_else(|error| panic!("{kind} after the promotion: {error:?}"));
        }
        store.close().await.expect("closes");
    }

    #[tokio::test]
    #[ignore = "needs PostgreSQL: run scripts/test"]
    async fn a_server_of_another_encoding_that_the_address_moved_to_is_refused() {
        let (one, other) = (Postgres::start(), Postgres::start());
        let (proxy, url) = Proxy::before(&one.url()).await;
        let store = connect(&url).await;
        let opened = store.open(&portal(), Hooks::Expected).await;
        opened.expect("opens");
        store.put(&portal(), &record(1)).await.expect("stored");
        let mut outsider = server::connect(&other.url()).await;
        for statement in [
            "CREATE DATABASE latin ENCODING 'LATIN1' LOCALE 'C' TEMPLATE template0",
            "ALTER DATABASE postgres RENAME TO utf8",
        ] {
            // Not from within the database that is renamed.
            if statement.starts_with("ALTER") {
                let latin = other.url().replace("/postgres", "/latin");
                outsider = server::connect(&latin).await;
            }
            outsider.execute(statement).await.expect("done");
        }
        drop(outsider);
        let utf8 = other.url().replace("/postgres", "/utf8");
        server::run(&utf8, "ALTER DATABASE latin RENAME TO postgres").await;

        proxy.lead_to(address(&other));
        proxy.cut_all();
        let first = call(&store, "load", 1).await.expect_err("another server");
        let error = match first.kind() {
            ErrorKind::Misconfigured => first,
            _ => call(&store, "load", 1).await.expect_err("another server"),
        };
        assert_eq!(error.kind(), ErrorKind::Misconfigured, "{error:?}");
        assert!(error.to_string().contains("UTF8"), "{error}");
        proxy.lead_to(address(&one));
        proxy.cut_all();
        call(&store, "load", 1).await.expect("answers");
        store.close().await.expect("closes");
    }
}
