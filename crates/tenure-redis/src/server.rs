//! One Redis server: its connections, and how a command goes out on one.

use std::time::Duration;

use deadpool_redis::redis::{
    Cmd, ConnectionInfo, RedisResult, Value, cmd, make_extension_error, pipe,
};

use crate::call::Lane;
use crate::link::{Link, Wire};

pub(crate) struct Server {
    pub(crate) info: ConnectionInfo,
    links: [Link; 3],
}

/// How a command is sent.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Manner {
    /// The server is only just getting the data: it has to be told that this is known.
    pub(crate) asking: bool,
    /// How many replicas have to have it, and how long they are waited for.
    pub(crate) replicas: Option<(u32, Duration)>,
}

impl Server {
    pub(crate) fn new(info: ConnectionInfo, patience: Duration) -> RedisResult<Self> {
        let link = || Link::new(&info, patience);
        let links = [link()?, link()?, link()?];
        Ok(Self { info, links })
    }

    pub(crate) fn link(&self, lane: Lane) -> &Link {
        match lane {
            Lane::Requests => &self.links[0],
            Lane::Bulk => &self.links[1],
            Lane::Replicated => &self.links[2],
        }
    }

    /// Whether it ended one of its connections.
    pub(crate) fn is_hung_up(&self) -> bool {
        self.links.iter().any(Link::is_hung_up)
    }

    /// Lets go of all connections.
    pub(crate) fn close(&self) {
        self.links.iter().for_each(Link::close);
    }
}

/// Sends a command, once. Whoever drops this has the command sent as a whole, or not.
pub(crate) async fn send(wire: &Wire, command: &Cmd, manner: Manner) -> RedisResult<Value> {
    let mut connection = wire.connection.clone();
    if !manner.asking && manner.replicas.is_none() {
        let answer = connection.send_packed_command(command).await?;
        return answer.extract_error();
    }
    // In one piece, as others send on this connection too.
    let mut piece = pipe();
    let mut count = 1;
    if manner.asking {
        piece.add_command(cmd("ASKING"));
        count += 1;
    }
    piece.add_command(command.clone());
    if let Some((replicas, patience)) = manner.replicas {
        let millis = u64::try_from(patience.as_millis()).unwrap_or(u64::MAX);
        piece.cmd("WAIT").arg(replicas).arg(millis.max(1));
        count += 1;
    }
    let mut answers = connection.send_packed_commands(&piece, 0, count).await?;
    let waited = manner.replicas.map(|(wanted, _)| (wanted, answers.pop()));
    let answer = answers.pop().unwrap_or_default().extract_error()?;
    match waited {
        Some((wanted, Some(Value::Int(followed)))) if followed >= i64::from(wanted) => Ok(answer),
        None => Ok(answer),
        Some(_) => Err(make_extension_error(
            "NOREPLICAS".to_owned(),
            Some("done on the primary alone".to_owned()),
        )),
    }
}
