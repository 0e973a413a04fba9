//! From a call to its answer: which server has the data, and what is done without telling
//! the caller when it does not.
//!
//! A call that may have been carried out is never sent twice. What is sent again is only
//! what Redis says it has not begun: see [`remedy`].

use std::borrow::Cow;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use deadpool_redis::redis::{Cmd, RedisError, RedisResult, Value};
use futures_util::future::join_all;
use tenure_store::{Error, Result};
use tokio::time::timeout;

use crate::call::{Call, Lane};
use crate::cluster::Cluster;
use crate::error::{Remedy, from_driver, remedy};
use crate::link::Wire;
use crate::replicas::Trail;
use crate::sentinel::Sentinel;
use crate::server::{Server, is, send, send_asking};

/// How the server that has the data is found.
pub(crate) enum Place {
    Single(Arc<Server>),
    Sentinel(Box<Sentinel>),
    Cluster(Arc<Cluster>),
}

pub(crate) struct Servers {
    pub(crate) place: Place,
    pub(crate) deadline: Duration,
    /// How many replicas have to have an end.
    pub(crate) replicas: u32,
    pub(crate) closed: AtomicBool,
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
        self.carry_out(&call).await.map(|(answer, ..)| answer)
    }

    /// The same of a call that is an end: where that was done is noted.
    pub(crate) async fn ask_to_end(&self, call: Call, trail: &Trail) -> Result<Value> {
        let (answer, server, wire) = self.carry_out(&call).await?;
        if self.replicas > 0 {
            trail.add(&server, wire.run(), &call);
        }
        Ok(answer)
    }

    async fn carry_out(&self, call: &Call) -> Result<(Value, Arc<Server>, Wire)> {
        if self.closed.load(Ordering::SeqCst) {
            return Err(Error::unavailable("the store is closed"));
        }
        let mut progress = Progress::default();
        let following = self.follow(call, &mut progress);
        if let Ok(answer) = timeout(self.deadline, following).await {
            return answer.map_err(from_driver);
        }
        // A silent connection may be dead without anybody's having said so.
        if let Some((server, wire)) = progress.sent {
            wire.discard();
            self.doubt(&server);
        }
        Err(progress.obstacle.map_or_else(|| self.late(), from_driver))
    }

    /// Has calls carried out, all at once: all of them, also when one fails.
    pub(crate) async fn ask_all(
        &self,
        calls: impl IntoIterator<Item = Call>,
    ) -> Result<Vec<Value>> {
        together(self.ask_each(calls).await)
    }

    /// The same, with what became of each.
    pub(crate) async fn ask_each(
        &self,
        calls: impl IntoIterator<Item = Call>,
    ) -> Vec<Result<Value>> {
        join_all(calls.into_iter().map(|call| self.ask(call))).await
    }

    /// Asks every primary the same, about itself.
    pub(crate) async fn ask_primaries(&self, command: Cmd) -> Result<Vec<Value>> {
        let asking = async {
            let primaries = match &self.place {
                Place::Single(server) => vec![Arc::clone(server)],
                Place::Sentinel(sentinel) => vec![sentinel.server().await?],
                Place::Cluster(cluster) => cluster.primaries().await?,
            };
            let answers = join_all(primaries.iter().map(|server| async {
                let wire = server.wire(Lane::Walks).await?;
                let answer = send(&wire, &command).await;
                if answer.as_ref().is_err_and(|error| error.code().is_none()) {
                    wire.discard();
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

    /// Lets go of all connections, and makes none any more.
    pub(crate) fn close(&self) {
        self.closed.store(true, Ordering::SeqCst);
        match &self.place {
            Place::Single(server) => server.close(),
            Place::Sentinel(sentinel) => sentinel.close(),
            Place::Cluster(cluster) => cluster.close(),
        }
    }

    async fn follow(
        &self,
        call: &Call,
        progress: &mut Progress,
    ) -> RedisResult<(Value, Arc<Server>, Wire)> {
        let (mut command, mut asked) = (Cow::Borrowed(call.short()), None);
        let mut has_broken = false;
        for attempt in 0.. {
            let asking = asked.is_some();
            let server = match asked.take() {
                Some(server) => server,
                None => self.server(call).await?,
            };
            let wire = match server.wire(call.lane).await {
                Ok(wire) => wire,
                // Nothing was sent.
                Err(error) => {
                    let replaced = self.is_replaced(&server, call).await;
                    if remedy(&error) == Remedy::Elsewhere {
                        pause(attempt).await;
                    } else if !replaced {
                        return Err(error);
                    }
                    progress.obstacle = Some(error);
                    continue;
                }
            };
            progress.sent = Some((Arc::clone(&server), wire.clone()));
            let sent = if asking {
                send_asking(&wire, &command).await
            } else {
                send(&wire, &command).await
            };
            progress.sent = None;
            let error = match sent {
                Ok(answer) => return Ok((answer, server, wire)),
                Err(error) => error,
            };
            match (remedy(&error), &self.place) {
                (Remedy::Code, _) => command = Cow::Owned(call.with_code()),
                (Remedy::Moved, Place::Cluster(map)) => {
                    map.moved(call.slot(), map.redirect(&server, &error)?);
                }
                (Remedy::Ask, Place::Cluster(map)) => asked = Some(map.redirect(&server, &error)?),
                (Remedy::Later, Place::Cluster(_)) if error.code() == Some("CLUSTERDOWN") => {
                    pause(attempt).await;
                    self.is_replaced(&server, call).await;
                }
                (Remedy::Later, _) => pause(attempt).await,
                (Remedy::Elsewhere, _) => {
                    // All that lead there: what they show may be behind.
                    server.close();
                    self.doubt(&server);
                    pause(attempt).await;
                }
                (Remedy::Tell | Remedy::Moved | Remedy::Ask, _) => {
                    // Whatever is not Redis' own word is the connection's end.
                    if error.code().is_some() {
                        return Err(error);
                    }
                    wire.discard();
                    self.doubt(&server);
                    // Reading again harms nobody.
                    if !call.reads || std::mem::replace(&mut has_broken, true) {
                        return Err(error);
                    }
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

    /// A server cannot be reached, or is no primary: whether there is another one now.
    async fn is_replaced(&self, lost: &Arc<Server>, call: &Call) -> bool {
        match &self.place {
            Place::Single(_) => false,
            Place::Sentinel(sentinel) => {
                sentinel.doubt(lost);
                let present = sentinel.server().await;
                present.is_ok_and(|present| !is(&present, lost))
            }
            Place::Cluster(cluster) => cluster.is_replaced(lost, call.slot()).await,
        }
    }

    fn doubt(&self, server: &Arc<Server>) {
        if let Place::Sentinel(sentinel) = &self.place {
            sentinel.doubt(server);
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
    all.map_err(|error| if any { in_part(error) } else { error })
}

/// The error of a step behind others that were taken.
pub(crate) fn in_part(error: Error) -> Error {
    if error.is_unavailable() {
        return error;
    }
    Error::unavailable("a part of it was not done").with_source(error)
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
