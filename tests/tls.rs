//! Encrypted connections: made where the URL wants them, and not to whoever says he is the
//! server.

#[path = "support/mod.rs"]
#[allow(dead_code, reason = "each test uses its part")]
mod support;

/// These start servers that want encryption.
mod own_server {
    use std::fs::{self, Permissions};
    use std::os::unix::fs::PermissionsExt as _;
    use std::process::Command;

    use rcgen::{CertifiedKey, generate_simple_self_signed};
    use tenure_conformance::props::{at, id, record};
    use tenure_conformance::story::Story as _;
    use tenure_store::{ErrorKind, Hooks, Namespace, Result};

    use crate::support::place::postgres as outside;
    use crate::support::servers::folder::Folder;
    use crate::support::servers::ports;
    use crate::support::servers::postgres::Postgres;
    use crate::support::servers::redis::Redis;

    /// Set for the process that a test starts: the URL that it is to use.
    const STORE: &str = "TENURE_TEST_STORE";

    /// A server's certificate, which is its own authority, and its key.
    struct Papers {
        folder: Folder,
    }

    impl Papers {
        fn draw() -> Self {
            let names = ["localhost".to_owned(), "127.0.0.1".to_owned()];
            let drawn = generate_simple_self_signed(names).expect("good names");
            let CertifiedKey { cert, signing_key } = drawn;
            let folder = Folder::new();
            folder.write("certificate", &cert.pem());
            let key = folder.write("key", &signing_key.serialize_pem());
            // PostgreSQL takes no key that others can read.
            fs::set_permissions(key, Permissions::from_mode(0o600)).expect("it is ours");
            Self { folder }
        }

        fn certificate(&self) -> String {
            self.folder.path().join("certificate").display().to_string()
        }

        fn key(&self) -> String {
            self.folder.path().join("key").display().to_string()
        }
    }

    /// What anybody does with a store.
    async fn use_it(url: &str) -> Result<()> {
        let ns = Namespace::sessions("portal")?;
        let store = tenure_connect::connect(url).await?;
        store.open(&ns, Hooks::Expected).await?;
        store.put(&ns, &record(1)).await?;
        assert!(store.touch(&ns, id(1), at(1)).await?);
        assert!(store.load(&ns, id(1), at(2)).await?.is_some());
        store.close().await
    }

    #[tokio::test]
    #[ignore = "needs PostgreSQL: run scripts/test"]
    async fn postgres_is_spoken_to_in_secret_and_must_show_its_certificate() {
        let (papers, other) = (Papers::draw(), Papers::draw());
        let server = Postgres::start_with(&[
            ("ssl", "on"),
            ("ssl_cert_file", &papers.certificate()),
            ("ssl_key_file", &papers.key()),
            // Who comes, and how.
            ("log_connections", "on"),
        ]);
        let url = |papers: &Papers| {
            let root = papers.certificate();
            format!("{}?sslmode=verify-full&sslrootcert={root}", server.url())
        };
        use_it(&url(&papers)).await.expect("all of it works");
        server.server.wait_for("SSL enabled (protocol=TLSv1.3");

        let error = use_it(&url(&other)).await.expect_err("another certificate");
        assert_eq!(error.kind(), ErrorKind::Misconfigured, "{error:?}");
        outside::run(&server.url(), "SELECT 1").await;
    }

    #[tokio::test]
    #[ignore = "needs Redis: run scripts/test"]
    async fn redis_is_spoken_to_in_secret_and_must_show_its_certificate() {
        if let Ok(url) = std::env::var(STORE) {
            return use_it(&url).await.expect("all of it works");
        }
        let (papers, other) = (Papers::draw(), Papers::draw());
        let port = ports::free().to_string();
        let _server = Redis::start_with(&[
            // Nothing else is listened to.
            ("port", "0"),
            ("tls-port", &port),
            ("tls-cert-file", &papers.certificate()),
            ("tls-key-file", &papers.key()),
            ("tls-ca-cert-file", &papers.certificate()),
            ("tls-auth-clients", "no"),
        ]);
        // Authorities are the system's, or those of a variable that is read once.
        let child = |papers: &Papers, scheme: &str| {
            let name = "own_server::redis_is_spoken_to_in_secret_and_must_show_its_certificate";
            Command::new(std::env::current_exe().expect("this test's own file"))
                .args(["--exact", name, "--include-ignored"])
                .env("SSL_CERT_FILE", papers.certificate())
                .env(STORE, format!("{scheme}://127.0.0.1:{port}"))
                .output()
                .expect("it runs")
                .status
                .success()
        };
        assert!(child(&papers, "rediss"), "all of it works");
        assert!(!child(&other, "rediss"), "another certificate");
        assert!(!child(&papers, "redis"), "no encryption");
    }
}
