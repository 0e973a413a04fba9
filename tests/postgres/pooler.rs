//! Behind a pgbouncer that hands out server connections anew for each transaction: all of the
//! contract, as without it.

/// It starts servers of its own, which all of its tests share.
mod own_server {
    use std::fmt::Write as _;
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};

    use async_trait::async_trait;
    use sqlx::{Executor as _, Row as _};
    use tenure_conformance::Fixture;
    use tenure_store::SessionStore;
    use tokio::sync::OnceCell;

    use crate::support::place::postgres as server;
    use crate::support::servers::pgbouncer::Pgbouncer;
    use crate::support::servers::postgres::Postgres;

    /// More than there are cases.
    const ROLES: usize = 250;

    struct Behind {
        pooler: Pgbouncer,
        _server: Postgres,
    }

    /// The role of one case. What it makes is found by its `search_path`, which is its name:
    /// a URL's would not reach the server.
    struct Role {
        pooler: &'static Pgbouncer,
        name: String,
    }

    impl Behind {
        async fn start() -> Self {
            let server = Postgres::start();
            let names: Vec<String> = (0..ROLES).map(|number| format!("case{number}")).collect();
            let mut statements = String::new();
            for name in &names {
                // Writing to a string cannot fail.
                let _ = write!(
                    statements,
                    "CREATE ROLE {name} LOGIN; CREATE SCHEMA {name} AUTHORIZATION {name};"
                );
            }
            server::run(&server.url(), &statements).await;
            let pooler = Pgbouncer::start(&server, "transaction", &names);
            Self {
                pooler,
                _server: server,
            }
        }
    }

    async fn role() -> Box<dyn Fixture> {
        static BEHIND: OnceCell<Behind> = OnceCell::const_new();
        static NEXT: AtomicUsize = AtomicUsize::new(0);
        let behind = BEHIND.get_or_init(Behind::start).await;
        Box::new(Role {
            pooler: &behind.pooler,
            name: format!("case{}", NEXT.fetch_add(1, Ordering::Relaxed)),
        })
    }

    #[async_trait]
    impl Fixture for Role {
        async fn node(&self) -> Arc<dyn SessionStore> {
            let (url, name) = (self.pooler.url(), &self.name);
            let url = format!("{url}?user={name}&pooling=transaction&deadline_ms=120000");
            let store = tenure_connect::connect(&url).await;
            store.expect("the pooler has room for one more")
        }

        /// Gone with the server.
        async fn close(self: Box<Self>) {}
    }

    mod postgres {
        tenure_conformance::suite!(
            ignore = "needs PostgreSQL and pgbouncer: run scripts/test",
            super::role()
        );
    }

    #[tokio::test]
    #[ignore = "needs PostgreSQL and pgbouncer: run scripts/test"]
    async fn a_pooler_by_transaction_that_nobody_spoke_of_is_told() {
        let server = Postgres::start();
        let pooler = Pgbouncer::start(&server, "transaction", &[]);
        let mut error = None;
        // It may well go well for a while.
        for _ in 0..20 {
            let url = format!("{}?writers=8&readers=8", pooler.url());
            error = tenure_connect::connect(&url).await.err();
            if error.is_some() {
                break;
            }
        }
        let error = error.expect("it cannot go well for long");
        assert_eq!(
            error.kind(),
            tenure_store::ErrorKind::Misconfigured,
            "{error:?}"
        );
        assert!(
            error.to_string().contains("Pooling::Transaction"),
            "{error}"
        );
    }

    #[tokio::test]
    #[ignore = "needs PostgreSQL and pgbouncer: run scripts/test"]
    async fn a_pooler_by_session_needs_no_setting() {
        use tenure_conformance::props::{at, id, record};
        use tenure_conformance::story::Story as _;

        let server = Postgres::start();
        let pooler = Pgbouncer::start(&server, "session", &[]);
        let store = tenure_connect::connect(&pooler.url())
            .await
            .expect("connects");
        let ns = crate::base::portal();
        let opened = store.open(&ns, tenure_store::Hooks::Expected).await;
        opened.expect("opens");
        store.put(&ns, &record(1)).await.expect("stored");
        assert!(store.touch(&ns, id(1), at(1)).await.expect("answers"));
        store.close().await.expect("closes");
    }

    #[tokio::test]
    #[ignore = "needs PostgreSQL and pgbouncer: run scripts/test"]
    async fn what_nobody_waits_for_any_more_is_given_up_by_the_server_behind_a_pooler() {
        use tenure_conformance::props::{at, id, record};
        use tenure_conformance::story::Story as _;

        let server = Postgres::start();
        let pooler = Pgbouncer::start(&server, "transaction", &[]);
        let url = format!("{}?pooling=transaction&deadline_ms=500", pooler.url());
        let store = tenure_connect::connect(&url).await.expect("connects");
        let ns = crate::base::portal();
        let opened = store.open(&ns, tenure_store::Hooks::Expected).await;
        opened.expect("opens");
        store.put(&ns, &record(1)).await.expect("stored");
        let mut outsider = server::connect(&server.url()).await;
        let lock = "BEGIN; SELECT 1 FROM tenure_session FOR UPDATE";
        outsider.execute(lock).await.expect("locked");
        for _ in 0..10 {
            let touched = store.touch(&ns, id(1), at(1)).await;
            touched.expect_err("it is locked");
            let mut looks = server::connect(&server.url()).await;
            let waiting = "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock'";
            let waiting: i64 = looks.fetch_one(waiting).await.expect("answers").get(0);
            assert!(waiting <= 1, "{waiting} of the server's connections wait");
        }
        outsider.execute("ROLLBACK").await.expect("let go");
        assert!(store.touch(&ns, id(1), at(1)).await.expect("answers"));
        store.close().await.expect("closes");
    }

    #[tokio::test]
    #[ignore = "needs PostgreSQL and pgbouncer: run scripts/test"]
    async fn what_a_pooler_refuses_on_connecting_is_misconfigured() {
        let server = Postgres::start();
        let by_statement = Pgbouncer::start(&server, "statement", &[]);
        let by_session = Pgbouncer::start(&server, "session", &[]);
        let options = "?options=-c%20search_path%3Dpublic";
        for (url, advice) in [
            (by_statement.url(), "pool_mode"),
            (
                format!("{}?pooling=transaction", by_statement.url()),
                "pool_mode",
            ),
            (by_session.url() + options, "ignore_startup_parameters"),
            (by_session.url().replace("tenure@", "nobody@"), "user"),
        ] {
            let error = tenure_connect::connect(&url).await.expect_err("refused");
            assert_eq!(
                error.kind(),
                tenure_store::ErrorKind::Misconfigured,
                "{url}: {error:?}"
            );
            assert!(error.to_string().contains(advice), "{url}: {error}");
        }
    }
}
