//! Ends that are acknowledged when replicas have them.
//!
//! The work is done first, on the connections of all others, and no work waits behind a
//! confirmation. Then a write that changes nothing goes out on a connection of its own, with
//! one `WAIT` behind it, for all that was done on that server until then. It has to be a
//! write: since Redis 7.2 `WAIT` is about its connection's own writes alone.

use std::sync::{Arc, Mutex, PoisonError};

use deadpool_redis::redis::RedisError;
use futures_util::future::join_all;
use tenure_store::{Error, Result};
use tokio::sync::oneshot;
use tokio::time::{Instant, timeout, timeout_at};

use crate::call::{Call, Lane};
use crate::error::from_driver;
use crate::joint::Flight;
use crate::scripts::CONFIRM;
use crate::server::{Server, is, send_and_wait};
use crate::servers::Servers;

/// Where an operation has written: what has to reach replicas before it is acknowledged.
pub(crate) struct Trail {
    begun: Instant,
    written: Mutex<Vec<Written>>,
}

struct Written {
    server: Arc<Server>,
    /// The run of the server that did it.
    run: String,
    /// A key of the same shard as what was written.
    key: Vec<u8>,
}

/// One that waits for replicas of what is done already.
pub(crate) struct Waiter {
    run: String,
    key: Vec<u8>,
    caller: oneshot::Sender<Result<()>>,
}

impl Trail {
    pub(crate) fn new() -> Self {
        Self {
            begun: Instant::now(),
            written: Mutex::default(),
        }
    }

    pub(crate) fn add(&self, server: &Arc<Server>, run: &str, call: &Call) {
        let mut all = self.written.lock().unwrap_or_else(PoisonError::into_inner);
        // One confirmation for each run of a server is for all that was done in it.
        if !all
            .iter()
            .any(|known| is(&known.server, server) && known.run == run)
        {
            all.push(Written {
                server: Arc::clone(server),
                run: run.to_owned(),
                key: call.key().to_vec(),
            });
        }
    }
}

impl Servers {
    /// Waits until replicas have what was written: until the operation's deadline at most.
    pub(crate) async fn replicated(self: &Arc<Self>, trail: Trail) -> Result<()> {
        let until = trail.begun + self.deadline;
        let written = trail.written.into_inner();
        let written = written.unwrap_or_else(PoisonError::into_inner);
        let waiting = written.into_iter().map(|written| async {
            let Written { server, run, key } = written;
            let (caller, answer) = oneshot::channel();
            let waiter = Waiter { run, key, caller };
            if let Some(flight) = server.waiters.here().join(waiter, 1) {
                tokio::spawn(confirm(Arc::clone(self), server, flight));
            }
            match timeout_at(until, answer).await {
                Ok(Ok(answer)) => answer,
                _ => Err(unconfirmed(None)),
            }
        });
        join_all(waiting).await.into_iter().collect()
    }
}

/// Serves those that wait for the replicas of a server, until nobody does.
async fn confirm(servers: Arc<Servers>, server: Arc<Server>, mut flight: Flight<Waiter>) {
    while let Some(waiters) = flight.take(usize::MAX, |waiter| !waiter.caller.is_closed()) {
        let (run, outcome) = match confirm_once(&servers, &server, &waiters[0].key).await {
            Ok(run) => (Some(run), None),
            Err(error) => (None, Some(Arc::new(error))),
        };
        for waiter in waiters {
            let confirmed = match &outcome {
                None if run.as_deref() == Some(&*waiter.run) => Ok(()),
                // It has started anew since, and may have come back without it.
                None => Err(unconfirmed(None)),
                Some(error) => Err(unconfirmed(Some(error))),
            };
            // A caller that has gone meanwhile does not want it.
            let _ = waiter.caller.send(confirmed);
        }
    }
}

/// Says which run of the server confirmed.
async fn confirm_once(
    servers: &Servers,
    server: &Server,
    key: &[u8],
) -> std::result::Result<String, RedisError> {
    let wire = server.wire(Lane::Replicated).await?;
    let write = CONFIRM.on_key(key.to_vec()).with_code();
    let patience = servers.deadline * 3 / 4;
    let waiting = send_and_wait(&wire, &write, servers.replicas, patience);
    match timeout(servers.deadline, waiting).await {
        Ok(Ok(())) => Ok(wire.run().to_owned()),
        Ok(Err(error)) => {
            if error.code().is_none() {
                wire.discard();
            }
            Err(error)
        }
        Err(_) => {
            wire.discard();
            Err(std::io::Error::from(std::io::ErrorKind::TimedOut).into())
        }
    }
}

fn unconfirmed(cause: Option<&Arc<RedisError>>) -> Error {
    let error = Error::unavailable(
        "done on the primary, and too few replicas have it: see to them, or ask for fewer",
    );
    match cause {
        Some(cause) => error.with_source(from_driver(RedisError::clone(cause))),
        None => error,
    }
}
