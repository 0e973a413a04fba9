//! A wire between a store and its server that counts what goes over it, and breaks where
//! it is told to.

use std::io;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinSet;

use super::servers::ports;

/// Gone with this handle, and every connection with it.
pub(crate) struct Proxy {
    address: SocketAddr,
    wire: Arc<Wire>,
    /// Ends with it.
    _accepting: JoinSet<()>,
}

/// What the line is like, from now on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Line {
    Open,
    /// Every answer comes so much later.
    Slow(Duration),
    /// Connections stay open and can be made, and nothing passes. What was sent meanwhile
    /// passes when the line is another again.
    BlackHole,
    /// Nobody can connect. Who is connected stays so.
    Refusing,
}

/// Where the connection of the next request is cut.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Cut {
    /// The server gets nothing of it.
    Before,
    /// The server gets half of it.
    Within,
    /// The server gets it, and its answer finds nobody.
    After,
    /// The server has answered, so it is done; the answer is dropped.
    Answered,
}

/// What all connections of a proxy share.
struct Wire {
    line: watch::Sender<Line>,
    /// Counts up; a connection of an earlier number is over.
    age: watch::Sender<u64>,
    /// Likewise; it stays open, and nothing passes any more.
    hushed: watch::Sender<u64>,
    /// Where new connections lead.
    server: Mutex<SocketAddr>,
    cut: Mutex<Option<Cut>>,
    round_trips: AtomicU64,
    connections: AtomicU64,
}

impl Proxy {
    /// Leads to this address, on a port of its own.
    pub(crate) async fn to(server: SocketAddr) -> Self {
        let address = SocketAddr::from(([127, 0, 0, 1], ports::free()));
        let wire = Arc::new(Wire {
            line: watch::Sender::new(Line::Open),
            age: watch::Sender::new(0),
            hushed: watch::Sender::new(0),
            server: Mutex::new(server),
            cut: Mutex::default(),
            round_trips: AtomicU64::new(0),
            connections: AtomicU64::new(0),
        });
        let listener = TcpListener::bind(address).await.expect("the port is free");
        let mut accepting = JoinSet::new();
        accepting.spawn(accept(listener, address, Arc::clone(&wire)));
        Self {
            address,
            wire,
            _accepting: accepting,
        }
    }

    /// Leads to the server of a URL such as `postgres://user@127.0.0.1:5432/postgres`, and
    /// to it by the URL that comes back.
    pub(crate) async fn before(url: &str) -> (Self, String) {
        let (_, rest) = url.split_once("//").expect("a URL");
        let host = rest.split(['/', '?']).next().unwrap_or_default();
        let host = host.rsplit('@').next().unwrap_or_default();
        let server = host.replace("localhost", "127.0.0.1");
        let server = server.parse().expect("an address and a port");
        let proxy = Self::to(server).await;
        let url = url.replacen(host, &proxy.address.to_string(), 1);
        (proxy, url)
    }

    /// Where to connect.
    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// How often, since it was last asked, a client has sent something and waited: bytes
    /// of a client's after bytes of the server's, or as the first.
    pub(crate) fn round_trips(&self) -> u64 {
        self.wire.round_trips.swap(0, Ordering::SeqCst)
    }

    /// How many connections were made since it was last asked.
    pub(crate) fn connections(&self) -> u64 {
        self.wire.connections.swap(0, Ordering::SeqCst)
    }

    pub(crate) fn set(&self, line: Line) {
        self.wire.line.send_replace(line);
    }

    /// Cuts the connection of the next request, whichever that is, there.
    pub(crate) fn cut_next(&self, cut: Cut) {
        *self.wire.cut.lock().expect("nobody panics with it") = Some(cut);
    }

    /// Not after all, if it has not been cut yet.
    pub(crate) fn cut_none(&self) {
        *self.wire.cut.lock().expect("nobody panics with it") = None;
    }

    /// Whether the cut that was ordered last has been made.
    pub(crate) fn has_cut(&self) -> bool {
        let cut = self.wire.cut.lock().expect("nobody panics with it");
        cut.is_none()
    }

    /// Forgets all connections that there are, as a firewall does: neither side is told.
    pub(crate) fn hush_all(&self) {
        self.wire.hushed.send_modify(|hushed| *hushed += 1);
    }

    /// Leads to another server, whoever connects from now on.
    pub(crate) fn lead_to(&self, server: SocketAddr) {
        *self.wire.server.lock().expect("nobody panics with it") = server;
    }

    /// Cuts all connections that there are.
    pub(crate) fn cut_all(&self) {
        self.wire.age.send_modify(|age| *age += 1);
    }
}

async fn accept(listener: TcpListener, here: SocketAddr, wire: Arc<Wire>) {
    let mut listener = Some(listener);
    let mut line = wire.line.subscribe();
    let mut connections = JoinSet::new();
    loop {
        if *line.borrow_and_update() == Line::Refusing {
            // Only a port where nobody listens refuses.
            listener = None;
        } else if listener.is_none() {
            listener = Some(TcpListener::bind(here).await.expect("it was ours"));
        }
        let accepted = async {
            match &listener {
                Some(listener) => listener.accept().await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            accepted = accepted => if let Ok((client, _)) = accepted {
                // In this order: who refuses and then cuts is to miss no connection that was
                // on its way meanwhile.
                let age = wire.age.subscribe();
                if *wire.line.borrow() != Line::Refusing {
                    wire.connections.fetch_add(1, Ordering::SeqCst);
                    connections.spawn(carry(client, Arc::clone(&wire), age));
                }
            },
            changed = line.changed() => if changed.is_err() {
                return;
            },
        }
    }
}

/// One connection, until either side or a fault ends it.
async fn carry(client: TcpStream, wire: Arc<Wire>, mut age: watch::Receiver<u64>) {
    let mut hushed = wire.hushed.subscribe();
    let carried = async {
        wire.passable().await;
        let server = *wire.server.lock().expect("nobody panics with it");
        let server = TcpStream::connect(server).await?;
        // As both ends do: nothing waits for company.
        client.set_nodelay(true)?;
        server.set_nodelay(true)?;
        let (from_client, to_client) = client.into_split();
        let (from_server, to_server) = server.into_split();
        let talk = Talk {
            wire: Arc::clone(&wire),
            turn: Mutex::new(Turn::Client),
        };
        tokio::select! {
            end = talk.requests(from_client, to_server) => end,
            end = talk.answers(from_server, to_client) => end,
        }
    };
    let mut carried = std::pin::pin!(carried);
    tokio::select! {
        // An error of either side is the end of both, as any other.
        _ended = &mut carried => {}
        _cut = age.changed() => {}
        _forgotten = hushed.changed() => drop(age.changed().await),
    }
}

/// Whose bytes came last.
enum Turn {
    /// The server's, or none yet.
    Client,
    /// The client's; if its connection is to be cut with the answer, then that.
    Server(Option<Cut>),
}

struct Talk {
    wire: Arc<Wire>,
    turn: Mutex<Turn>,
}

impl Talk {
    async fn requests(&self, mut from: OwnedReadHalf, mut to: OwnedWriteHalf) -> io::Result<()> {
        let mut buffer = vec![0; 1 << 16];
        loop {
            let n = from.read(&mut buffer).await?;
            if n == 0 {
                return Ok(());
            }
            self.wire.passable().await;
            match self.begin() {
                None | Some(Cut::Answered) => to.write_all(&buffer[..n]).await?,
                Some(Cut::Before) => return Ok(()),
                Some(Cut::Within) => return to.write_all(&buffer[..n / 2]).await,
                Some(Cut::After) => return to.write_all(&buffer[..n]).await,
            }
        }
    }

    async fn answers(&self, mut from: OwnedReadHalf, mut to: OwnedWriteHalf) -> io::Result<()> {
        let mut buffer = vec![0; 1 << 16];
        loop {
            let n = from.read(&mut buffer).await?;
            if n == 0 {
                return Ok(());
            }
            let late = match *self.wire.line.borrow() {
                Line::Slow(late) => late,
                _ => Duration::ZERO,
            };
            #[allow(
                clippy::disallowed_methods,
                reason = "time that passes is what a slow line is made of"
            )]
            tokio::time::sleep(late).await;
            self.wire.passable().await;
            // Before the client can have it, and ask again.
            if self.answered() == Some(Cut::Answered) {
                return Ok(());
            }
            to.write_all(&buffer[..n]).await?;
        }
    }

    /// Bytes of the client's are here: what is to be done to them.
    fn begin(&self) -> Option<Cut> {
        let mut turn = self.turn.lock().expect("nobody panics with it");
        if matches!(*turn, Turn::Client) {
            self.wire.round_trips.fetch_add(1, Ordering::SeqCst);
            let cut = self.wire.cut.lock().expect("nobody panics with it").take();
            *turn = Turn::Server(cut);
            return cut;
        }
        None
    }

    /// Bytes of the server's are here: what was to be done to the answer.
    fn answered(&self) -> Option<Cut> {
        let mut turn = self.turn.lock().expect("nobody panics with it");
        match std::mem::replace(&mut *turn, Turn::Client) {
            Turn::Client => None,
            Turn::Server(cut) => cut,
        }
    }
}

impl Wire {
    /// Waits until something passes.
    async fn passable(&self) {
        let mut line = self.line.subscribe();
        // It is there for as long as this is.
        drop(line.wait_for(|line| *line != Line::BlackHole).await);
    }
}
