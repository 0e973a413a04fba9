//! A pgbouncer in front of a PostgreSQL.

use super::folder::Folder;
use super::postgres::{self, Postgres};
use super::server::{Recipe, Server};
use super::{binaries, ports};

pub(crate) struct Pgbouncer {
    #[expect(dead_code, reason = "it is gone with this")]
    server: Server,
    port: u16,
}

impl Pgbouncer {
    /// With this `pool_mode`, for these users beside the one that is always there.
    pub(crate) fn start(upstream: &Postgres, mode: &str, users: &[String]) -> Self {
        let folder = Folder::new();
        let port = ports::free();
        let users = users.iter().map(String::as_str).chain(["tenure"]);
        let users: Vec<_> = users.map(|user| format!("\"{user}\" \"\"\n")).collect();
        let users = folder.write("users", &users.concat());
        let settings = folder.write(
            "pgbouncer.ini",
            &format!(
                "[databases]\n\
                 * = host=127.0.0.1 port={upstream}\n\
                 [pgbouncer]\n\
                 listen_addr = 127.0.0.1\n\
                 listen_port = {port}\n\
                 unix_socket_dir =\n\
                 auth_type = trust\n\
                 auth_file = {users}\n\
                 pool_mode = {mode}\n\
                 default_pool_size = 20\n\
                 max_db_connections = 200\n\
                 server_idle_timeout = 1\n\
                 max_client_conn = 1000\n",
                upstream = upstream.port(),
            ),
        );
        let server = Server::start(Recipe {
            folder,
            command: vec![binaries::PGBOUNCER.path().display().to_string(), settings],
            ready: "process up",
            last: "KILL",
        });
        Self { server, port }
    }

    pub(crate) fn url(&self) -> String {
        postgres::url(self.port)
    }
}
