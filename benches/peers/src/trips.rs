//! How often an operation goes to the server and back: seen on a wire between the two.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

use crate::lineup::{Backend, server};
use crate::seat::Seat;
use crate::subject::Result;
use crate::window::{Window, Work};

/// Long enough that what is sent every few seconds, such as a ping, does not show.
const SPAN: Duration = Duration::from_millis(300);

/// For each of these and each work so many round trips an operation, one at a time. Nothing for
/// a backend without a server.
pub(crate) fn measure(
    backend: Backend,
    names: &[&'static str],
    sessions: usize,
    runtime: &tokio::runtime::Runtime,
) -> Result<Vec<(&'static str, Work, f64)>> {
    let mut counted = Vec::new();
    let Some(variable) = backend.server() else {
        return Ok(counted);
    };
    let (url, trips) = runtime.block_on(wire(&server(variable)?))?;
    let window = Window {
        tasks: 1,
        span: SPAN,
    };
    for name in names {
        let mut seat = Seat::fill_through(backend, name, sessions, &[(variable, &url)])?;
        // The first to come would make connections.
        seat.measure(Work::Load, window)?;
        for work in Work::ALL {
            let before = trips.load(Ordering::Relaxed);
            let Some(sample) = seat.measure(work, window)? else {
                continue;
            };
            let made = trips.load(Ordering::Relaxed) - before;
            counted.push((*name, work, made as f64 / sample.operations as f64));
        }
        seat.tidy()?;
    }
    Ok(counted)
}

/// A wire to this server: the URL by which to go over it, and how many round trips it sees.
async fn wire(url: &str) -> Result<(String, Arc<AtomicU64>)> {
    let rest = url.split_once("://").ok_or("a URL")?.1;
    let address = rest.rsplit('@').next().unwrap_or(rest);
    let address = address.split('/').next().unwrap_or(address).to_owned();
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let through = url.replace(&address, &listener.local_addr()?.to_string());
    let trips = Arc::<AtomicU64>::default();
    let counted = Arc::clone(&trips);
    tokio::spawn(async move {
        while let Ok((client, _)) = listener.accept().await {
            let (address, trips) = (address.clone(), Arc::clone(&counted));
            tokio::spawn(async move {
                // It ends with either of them.
                let _ = carry(client, &address, &trips).await;
            });
        }
    });
    Ok((through, trips))
}

/// What is sent after an answer begins another round trip.
async fn carry(mut client: TcpStream, address: &str, trips: &AtomicU64) -> std::io::Result<()> {
    let mut server = TcpStream::connect(address).await?;
    client.set_nodelay(true)?;
    server.set_nodelay(true)?;
    let (mut sent, mut said) = (vec![0; 64 << 10], vec![0; 64 << 10]);
    let mut answered = true;
    loop {
        tokio::select! {
            read = client.read(&mut sent) => match read? {
                0 => return Ok(()),
                length => {
                    trips.fetch_add(u64::from(answered), Ordering::Relaxed);
                    answered = false;
                    server.write_all(&sent[..length]).await?;
                }
            },
            read = server.read(&mut said) => match read? {
                0 => return Ok(()),
                length => {
                    answered = true;
                    client.write_all(&said[..length]).await?;
                }
            },
        }
    }
}
