//! A Redis of one's own.

use deadpool_redis::redis::{Client, Cmd, Value};

use super::folder::Folder;
use super::server::{Recipe, Server};
use super::{binaries, ports, settings};

pub(crate) struct Redis {
    pub(crate) server: Server,
    port: u16,
}

impl Redis {
    /// Empty, and with the [settings] that tests rely on.
    pub(crate) fn start() -> Self {
        Self::start_with(&[])
    }

    /// With these settings besides.
    pub(crate) fn start_with(more: &[(&str, &str)]) -> Self {
        Self::start_at(ports::free(), more)
    }

    /// On this port.
    pub(crate) fn start_at(port: u16, more: &[(&str, &str)]) -> Self {
        let folder = Folder::new();
        let here = port.to_string();
        let path = folder.path().display().to_string();
        let own = [("port", &*here), ("bind", "127.0.0.1"), ("dir", &path)];
        let mut command = vec![binaries::REDIS.path().display().to_string()];
        for (name, value) in own.iter().chain(settings::REDIS).chain(more) {
            command.extend([format!("--{name}"), (*value).to_owned()]);
        }
        let server = Server::start(Recipe {
            folder,
            command,
            ready: "Ready to accept connections",
            last: "KILL",
        });
        Self { server, port }
    }

    pub(crate) fn url(&self) -> String {
        format!("redis://127.0.0.1:{}", self.port)
    }

    pub(crate) fn port(&self) -> u16 {
        self.port
    }

    /// Asks it something, past any store.
    ///
    /// # Panics
    /// If it does not answer, or says no.
    pub(crate) fn ask(&self, command: &Cmd) -> Value {
        let client = Client::open(self.url()).expect("a good URL");
        let mut connection = client.get_connection().expect("it listens");
        command.query(&mut connection).expect("it agrees")
    }
}
