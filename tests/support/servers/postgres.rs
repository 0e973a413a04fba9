//! A PostgreSQL of one's own.

use super::folder::Folder;
use super::guard::run_to_the_end;
use super::server::{Recipe, Server};
use super::{binaries, ports, settings};

pub(crate) struct Postgres {
    pub(crate) server: Server,
    port: u16,
}

impl Postgres {
    /// Empty, and with the [settings] that tests rely on.
    pub(crate) fn start() -> Self {
        Self::start_with(&[])
    }

    /// With these settings besides.
    pub(crate) fn start_with(more: &[(&str, &str)]) -> Self {
        let folder = Folder::new();
        let data = folder.path().join("data").display().to_string();
        run_to_the_end(
            folder
                .owner()
                .command(binaries::INITDB.path())
                .args(["--auth=trust", "--username=tenure", "--encoding=UTF8"])
                // What is made here need not survive a power cut before the server runs.
                .args(["--no-locale", "--no-sync", "--pgdata", &data])
                .current_dir(folder.path()),
        );
        Self::run(
            folder,
            more,
            "database system is ready to accept connections",
        )
    }

    /// A standby with all that this one has written, which has to be down. It hears of nothing
    /// that comes later.
    pub(crate) fn copy_as_standby(&self) -> Self {
        let folder = Folder::new();
        let data = self.server.folder().join("data");
        let copied = folder.path().join("data");
        let mut copy = folder.owner().command("cp");
        run_to_the_end(copy.arg("-a").arg(data).arg(&copied));
        std::fs::remove_file(copied.join("postmaster.pid")).expect("it was killed");
        folder.write("data/standby.signal", "");
        Self::run(folder, &[], "ready to accept read-only connections")
    }

    /// In this folder, where its data is.
    fn run(folder: Folder, more: &[(&str, &str)], ready: &'static str) -> Self {
        let data = folder.path().join("data").display().to_string();
        let port = ports::free();
        let mut command = vec![
            binaries::POSTGRES.path().display().to_string(),
            "-D".to_owned(),
            data,
        ];
        let here = format!("port={port}");
        let own = [
            "listen_addresses=127.0.0.1",
            &here,
            "unix_socket_directories=",
        ];
        let settings = settings::POSTGRES.iter().chain(more);
        let settings = settings.map(|(name, value)| format!("{name}={value}"));
        for setting in own.map(str::to_owned).into_iter().chain(settings) {
            command.extend(["-c".to_owned(), setting]);
        }
        let server = Server::start(Recipe {
            folder,
            command,
            ready,
            // At once, and without the piece of shared memory that a killed one leaves.
            last: "QUIT",
        });
        Self { server, port }
    }

    pub(crate) fn url(&self) -> String {
        url(self.port)
    }

    pub(crate) fn port(&self) -> u16 {
        self.port
    }
}

/// Of the one user and database there are, on this port.
pub(crate) fn url(port: u16) -> String {
    format!("postgres://tenure@127.0.0.1:{port}/postgres")
}
