//! One Redis server: its connections, how a command goes out on one, and how many replicas
//! have what was written.

use std::sync::Arc;
use std::time::Duration;

use deadpool_redis::redis::{
    Cmd, ConnectionInfo, RedisResult, Value, cmd, make_extension_error, pipe,
};

use crate::call::Lane;
use crate::info::Kind;
use crate::joint::Joint;
use crate::link::{Dial, Link, Wire};
use crate::replicas::Waiter;
use crate::runtimes::{Local, PerRuntime};

pub(crate) struct Server {
    pub(crate) info: ConnectionInfo,
    dial: Dial,
    links: PerRuntime<Links>,
    /// Who waits for replicas.
    pub(crate) waiters: PerRuntime<Joint<Waiter>>,
}

#[derive(Default)]
struct Links([Link; 4]);

impl Local for Links {
    fn is_idle(&self) -> bool {
        self.0.iter().all(Link::is_idle)
    }
}

impl Server {
    pub(crate) fn new(info: ConnectionInfo, kind: Kind, patience: Duration) -> RedisResult<Self> {
        Ok(Self {
            dial: Dial::new(&info, kind, patience)?,
            info,
            links: PerRuntime::default(),
            waiters: PerRuntime::default(),
        })
    }

    /// The connection for such calls.
    pub(crate) async fn wire(&self, lane: Lane) -> RedisResult<Wire> {
        let links = self.links.here();
        links.0[lane as usize].wire(&self.dial).await
    }

    /// Whether it ended one of its connections since this was last asked.
    pub(crate) fn has_hung_up(&self) -> bool {
        let links = self.links.here();
        // Each of them says so once.
        let broken = links.0.iter().filter(|link| link.has_broken()).count();
        broken > 0
    }

    /// Lets go of all connections.
    pub(crate) fn close(&self) {
        for links in self.links.everywhere() {
            links.0.iter().for_each(Link::close);
        }
    }
}

/// Sends a command, once. Whoever drops this has the command sent as a whole, or not.
pub(crate) async fn send(wire: &Wire, command: &Cmd) -> RedisResult<Value> {
    let mut connection = wire.connection.clone();
    let answer = connection.send_packed_command(command).await?;
    wire.hears();
    answer.extract_error()
}

/// The same, to a server that is only just getting the data: it has to be told, in one piece,
/// as others send on this connection too.
pub(crate) async fn send_asking(wire: &Wire, command: &Cmd) -> RedisResult<Value> {
    let mut piece = pipe();
    piece.add_command(cmd("ASKING"));
    piece.add_command(command.clone());
    let mut connection = wire.connection.clone();
    let mut answers = connection.send_packed_commands(&piece, 0, 2).await?;
    wire.hears();
    answers.pop().unwrap_or_default().extract_error()
}

/// Waits until so many replicas have a write, and all before it.
pub(crate) async fn send_and_wait(
    wire: &Wire,
    write: &Cmd,
    replicas: u32,
    patience: Duration,
) -> RedisResult<()> {
    let millis = u64::try_from(patience.as_millis()).unwrap_or(u64::MAX);
    let mut piece = pipe();
    piece.add_command(write.clone());
    piece.cmd("WAIT").arg(replicas).arg(millis.max(1));
    let mut connection = wire.connection.clone();
    let mut answers = connection.send_packed_commands(&piece, 0, 2).await?;
    wire.hears();
    let followed = answers.pop().unwrap_or_default().extract_error()?;
    answers.pop().unwrap_or_default().extract_error()?;
    match followed {
        Value::Int(followed) if followed >= i64::from(replicas) => Ok(()),
        _ => Err(make_extension_error(
            "NOREPLICAS".to_owned(),
            Some("done on the primary alone".to_owned()),
        )),
    }
}

/// Two names for one server are the same only if their connections are.
pub(crate) fn is(one: &Arc<Server>, other: &Arc<Server>) -> bool {
    Arc::ptr_eq(one, other)
}
