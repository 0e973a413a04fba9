//! The servers that tests start are ready, keep what they acknowledged, and leave nothing.

#[path = "support/mod.rs"]
#[allow(dead_code, reason = "each test uses its part")]
mod support;

/// They take no URL: they start and kill servers of their own.
mod own_server {
    use std::io::{BufRead as _, BufReader, Read as _};
    use std::net::TcpStream;
    use std::process::{Command, Stdio};

    use deadpool_redis::redis::{Value, cmd};
    use sqlx::{Executor as _, Row as _};

    use crate::support::place::postgres;
    use crate::support::servers::cluster::Cluster;
    use crate::support::servers::pgbouncer::Pgbouncer;
    use crate::support::servers::postgres::Postgres;
    use crate::support::servers::redis::Redis;
    use crate::support::servers::sentinel::Sentinel;

    #[tokio::test]
    #[ignore = "needs PostgreSQL: run scripts/test"]
    async fn a_killed_postgres_comes_back_with_what_was_acknowledged() {
        let mut server = Postgres::start();
        postgres::run(
            &server.url(),
            "CREATE TABLE t (n int); INSERT INTO t VALUES (7)",
        )
        .await;
        for _ in 0..3 {
            server.server.kill();
            server.server.restart();
        }
        let mut connection = postgres::connect(&server.url()).await;
        let row = connection.fetch_one("SELECT n FROM t").await;
        assert_eq!(row.expect("it is there").get::<i32, _>(0), 7);
        let folder = server.server.folder().to_owned();
        drop((connection, server));
        assert!(!folder.exists(), "it leaves nothing");
    }

    #[tokio::test]
    #[ignore = "needs PostgreSQL and pgbouncer: run scripts/test"]
    async fn a_pgbouncer_leads_to_its_postgres() {
        let server = Postgres::start();
        let front = Pgbouncer::start(&server, "transaction", &[]);
        postgres::run(&front.url(), "CREATE TABLE t (n int)").await;
        postgres::run(&server.url(), "INSERT INTO t VALUES (7)").await;
    }

    #[test]
    #[ignore = "needs Redis: run scripts/test"]
    fn a_killed_redis_comes_back_with_what_was_acknowledged() {
        let mut server = Redis::start();
        server.ask(cmd("SET").arg("n").arg(7));
        for _ in 0..3 {
            server.server.kill();
            server.server.restart();
        }
        let found = server.ask(cmd("GET").arg("n"));
        assert_eq!(found, Value::BulkString(b"7".to_vec()));
        let folder = server.server.folder().to_owned();
        drop(server);
        assert!(!folder.exists(), "it leaves nothing");
    }

    #[test]
    #[ignore = "needs Redis: run scripts/test"]
    fn a_cluster_serves_every_slot() {
        let cluster = Cluster::start();
        for node in &cluster.nodes {
            let Value::BulkString(info) = node.ask(cmd("CLUSTER").arg("INFO")) else {
                panic!("a text");
            };
            let info = String::from_utf8(info).expect("a text");
            assert!(info.contains("cluster_state:ok"), "{info}");
            assert!(info.contains("cluster_slots_ok:16384"), "{info}");
        }
    }

    #[test]
    #[ignore = "needs Redis: run scripts/test"]
    fn a_sentinel_makes_the_replica_the_primary() {
        let mut sentinel = Sentinel::start();
        sentinel.primary.ask(cmd("SET").arg("n").arg(7));
        let copied = cmd("WAIT").arg(1).arg(10_000).clone();
        assert_eq!(sentinel.primary.ask(&copied), Value::Int(1));
        sentinel.primary.server.kill();
        sentinel.replica.server.wait_for("MASTER MODE enabled");
        sentinel.replica.ask(cmd("SET").arg("n").arg(8));
    }

    #[test]
    #[ignore = "needs Redis: run scripts/test"]
    fn a_server_ends_with_its_process_however_that_ends() {
        let this = std::env::current_exe().expect("this program has a path");
        let mut child = Command::new(this)
            .args(["--exact", "own_server::holds_a_server_until_killed"])
            .args(["--ignored", "--nocapture"])
            .env("TENURE_HOLD_A_SERVER", "yes")
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("this program can be run again");
        let out = child.stdout.take().expect("piped");
        let said = BufReader::new(out).lines().find_map(|line| {
            let line = line.expect("a text");
            line.strip_prefix("serves ").map(str::to_owned)
        });
        let said = said.expect("it starts");
        let (port, folder) = said.split_once(' ').expect("a port and a folder");
        let port = port.parse().expect("a number");
        let mut client = TcpStream::connect(("127.0.0.1", port)).expect("it listens");
        child.kill().expect("it runs");
        child.wait().expect("it ends");
        let left = client.read(&mut [0]);
        assert!(matches!(left, Ok(0) | Err(_)), "the server is gone");
        // Its guard has the other end, and holds it until it has cleaned up.
        let mut rest = String::new();
        let mut end = child.stderr.take().expect("piped");
        end.read_to_string(&mut rest).expect("a text");
        assert!(!std::path::Path::new(folder).exists(), "and its folder");
    }

    /// The child of the test above; nothing by itself.
    #[test]
    #[ignore = "needs a parent"]
    #[allow(clippy::print_stdout, reason = "this is how a parent is told")]
    fn holds_a_server_until_killed() {
        if std::env::var_os("TENURE_HOLD_A_SERVER").is_none() {
            return;
        }
        let server = Redis::start();
        let folder = server.server.folder().display();
        // The runner's own line has no end yet.
        println!("\nserves {} {folder}", server.port());
        loop {
            std::thread::park();
        }
    }
}
