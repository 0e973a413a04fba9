//! From a call to its answer: which server has the data, and what is done without telling
//! the caller when it does not.
//!
//! A call that may have been carried out is never sent twice. What is sent again is only
//! what Redis says it has not begun: see [`remedy`].

use std::borrow::Cow;
use std::sync::Arc;
use std::time::Duration;

use deadpool_redis::redis::{Cmd, RedisError, RedisResult, Value};
use futures_util::future::join_all;
use tenure_store::{Error, Result};
use tokio::time::timeout;

use crate::call::{Call, Lane, Reach};
use crate::cluster::Cluster;
use crate::error::{Remedy, from_driver, remedy};
use crate::link::Wire;
use crate::sentinel::Sentinel;
use crate::server::{Manner, Server, send};

/// How the server that has the data is found.
pub(crate) enum Place {
    Single(Arc<Server>),
    Sentinel(Box<Sentinel>),
    Cluster(Box<Cluster>),
}

pub(crate) struct Servers {
    pub(crate) place: Place,
    pub(crate) deadline: Duration,
    /// How many replicas have to have an end.
    pub(crate) replicas: u32,
}

/// How far a call has come: what is to be known when its time is up.
#[derive(Default)]
struct Progress {
    /// On which connection it is waited for.
    sent: Option<(Arc<Server>, Wire)>,
    /// Why it has not been carried out yet.
    obstacle: Option<RedisError>,
}

impl Servers {
    /// Has a call carried out.
    pub(crate) async fn ask(&self, call: Call) -> Result<Value> {
        let mut progress = Progress::default();
        let lane = self.lane(&call);
        let following = self.follow(&call, lane, &mut progress);
        if let Ok(answer) = timeout(self.deadline, following).await {
            return answer.map_err(from_driver);
        }
        // A silent connection may be dead without anybody's having said so.
        if let Some((server, wire)) = progress.sent {
            server.link(lane).discard(&wire);
            self.doubt(&server);
        }
        Err(progress.obstacle.map_or_else(|| self.late(), from_driver))
    }

    /// Has calls carried out, all at once: all of them, also when one fails.
    pub(crate) async fn ask_all(
        &self,
        calls: impl IntoIterator<Item = Call>,
    ) -> Result<Vec<Value>> {
        together(join_all(calls.into_iter().map(|call| self.ask(call))).await)
    }

    /// Asks every primary the same, about itself.
    pub(crate) async fn ask_each(&self, command: Cmd) -> Result<Vec<Value>> {
        let asking = async {
            let primaries = match &self.place {
                Place::Single(server) => vec![Arc::clone(server)],
                Place::Sentinel(sentinel) => vec![sentinel.server().await?],
                Place::Cluster(cluster) => cluster.primaries().await?,
            };
            let answers = join_all(primaries.iter().map(|server| async {
                let wire = server.link(Lane::Bulk).wire().await?;
                let answer = send(&wire, &command, Manner::default()).await;
                if answer.as_ref().is_err_and(|error| error.code().is_none()) {
                    server.link(Lane::Bulk).discard(&wire);
                }
                answer
            }));
            answers.await.into_iter().collect::<RedisResult<Vec<_>>>()
        };
        match timeout(self.deadline, asking).await {
            Ok(answers) => answers.map_err(from_driver),
            Err(_) => Err(self.late()),
        }
    }

    pub(crate) fn is_cluster(&self) -> bool {
        matches!(self.place, Place::Cluster(_))
    }

    /// Lets go of all connections.
    pub(crate) fn close(&self) {
        match &self.place {
            Place::Single(server) => server.close(),
            Place::Sentinel(sentinel) => sentinel.close(),
            Place::Cluster(cluster) => cluster.close(),
        }
    }

    async fn follow(&self, call: &Call, lane: Lane, progress: &mut Progress) -> RedisResult<Value> {
        let manner = Manner {
            asking: false,
            replicas: (lane == Lane::Replicated).then(|| (self.replicas, self.deadline * 3 / 4)),
        };
        let (mut command, mut asked) = (Cow::Borrowed(call.short()), None);
        for attempt in 0.. {
            let asking = asked.is_some();
            let server = match asked.take() {
                Some(server) => server,
                None => self.server(call).await?,
            };
            let wire = match server.link(lane).wire().await {
                Ok(wire) => wire,
                // Nothing was sent.
                Err(error) => {
                    self.doubt(&server);
                    match &self.place {
                        Place::Cluster(map) if map.is_replaced(&server, call.slot()).await => {
                            continue;
                        }
                        _ => return Err(error),
                    }
                }
            };
            progress.sent = Some((Arc::clone(&server), wire.clone()));
            let manner = Manner { asking, ..manner };
            let error = match send(&wire, &command, manner).await {
                Ok(answer) => return Ok(answer),
                Err(error) => error,
            };
            progress.sent = None;
            match (remedy(&error), &self.place) {
                (Remedy::Code, _) => command = Cow::Owned(call.with_code()),
                (Remedy::Moved, Place::Cluster(map)) => {
                    map.moved(call.slot(), map.redirect(&server, &error)?);
                }
                (Remedy::Ask, Place::Cluster(map)) => asked = Some(map.redirect(&server, &error)?),
                (Remedy::Later, Place::Cluster(map)) if error.code() == Some("CLUSTERDOWN") => {
                    pause(attempt).await;
                    map.is_replaced(&server, call.slot()).await;
                }
                (Remedy::Later, _) => pause(attempt).await,
                (Remedy::Elsewhere, _) => {
                    server.link(lane).discard(&wire);
                    self.doubt(&server);
                    pause(attempt).await;
                }
                (Remedy::Tell | Remedy::Moved | Remedy::Ask, _) => {
                    // Whatever is not Redis' own word is the connection's end.
                    if error.code().is_none() {
                        server.link(lane).discard(&wire);
                        self.doubt(&server);
                    }
                    return Err(error);
                }
            }
            progress.obstacle = Some(error);
        }
        Err(std::io::Error::from(std::io::ErrorKind::TimedOut).into())
    }

    async fn server(&self, call: &Call) -> RedisResult<Arc<Server>> {
        match &self.place {
            Place::Single(server) => Ok(Arc::clone(server)),
            Place::Sentinel(sentinel) => sentinel.server().await,
            Place::Cluster(cluster) => cluster.server(call.slot()).await,
        }
    }

    fn doubt(&self, server: &Arc<Server>) {
        if let Place::Sentinel(sentinel) = &self.place {
            sentinel.doubt(server);
        }
    }

    fn lane(&self, call: &Call) -> Lane {
        match call.reach {
            Reach::Replicas if self.replicas > 0 => Lane::Replicated,
            _ => call.lane,
        }
    }

    pub(crate) fn late(&self) -> Error {
        let millis = self.deadline.as_millis();
        Error::unavailable(format!("no answer within {millis} ms"))
    }
}

/// The results of steps that were taken at once. Where some were and others not, it must not
/// be said that nothing happened.
pub(crate) fn together<T>(results: Vec<Result<T>>) -> Result<Vec<T>> {
    let any = results.iter().any(Result::is_ok);
    let all: Result<Vec<T>> = results.into_iter().collect();
    all.map_err(|error| {
        if any && !error.is_unavailable() {
            Error::unavailable("a part of it was not done").with_source(error)
        } else {
            error
        }
    })
}

/// Longer each time, so that a server in trouble is not pressed.
#[allow(
    clippy::disallowed_methods,
    reason = "waits for a server that does not say when it can again"
)]
async fn pause(attempt: u32) {
    let millis = 5 << attempt.min(5);
    tokio::time::sleep(Duration::from_millis(millis)).await;
}
