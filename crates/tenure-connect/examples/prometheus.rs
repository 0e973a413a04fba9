//! Serves the library's metrics to Prometheus.
//!
//! `cargo run --example prometheus` plays some traffic, asks its own page for the figures
//! and prints them; `cargo run --example prometheus -- --listen 127.0.0.1:9464` goes on
//! serving until it is stopped.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use metrics_exporter_prometheus::PrometheusBuilder;
use tenure::{BoxError, EndedSession, KeyRing, MasterSecret, Sessions, Token};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

#[tokio::main]
async fn main() -> Result<(), BoxError> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let (address, stays) = match arguments.as_slice() {
        [] => (a_free_address().await?, false),
        [flag, address] if flag == "--listen" => (address.parse()?, true),
        _ => return Err("usage: prometheus [--listen ADDRESS:PORT]".into()),
    };
    // Before any Sessions is built: that is when its counters are made.
    PrometheusBuilder::new()
        .with_http_listener(address)
        .install()?;

    let store = tenure_connect::connect("memory:").await?;
    let keys = KeyRing::new("today", MasterSecret::generate()?)?;
    let sessions = Sessions::builder(Arc::clone(&store), keys, "portal")
        .on_end(|_: EndedSession| async { Ok::<_, BoxError>(()) })
        .build()
        .await?;
    let reaper = sessions.reaper()?.spawn();
    some_traffic(&sessions).await?;
    if stays {
        say(&format!("http://{address}/metrics"));
        tokio::signal::ctrl_c().await?;
    } else {
        let page = page(address).await?;
        let ours: Vec<&str> = page
            .lines()
            .filter(|line| line.starts_with("tenure_"))
            .collect();
        say(&ours.join("\n"));
        let created = r#"application="portal",kind="sessions",outcome="created"} 100"#;
        if !page.contains(created) {
            return Err(format!("the page should have {created}").into());
        }
    }
    reaper.shutdown().await;
    sessions.shutdown().await;
    Ok(())
}

async fn some_traffic(sessions: &Sessions) -> Result<(), BoxError> {
    for n in 0..100 {
        let session = sessions.start()?;
        session.set("n", &n)?;
        let token = session.commit().await?.ok_or("a new session has a token")?;
        sessions.peek(&token).await?;
        sessions.peek(&Token::new("forged")).await?;
        if n % 2 == 0 {
            session.end().await?;
        }
    }
    Ok(())
}

async fn a_free_address() -> Result<SocketAddr, BoxError> {
    Ok(TcpListener::bind("127.0.0.1:0").await?.local_addr()?)
}

/// What a scrape gets.
async fn page(address: SocketAddr) -> Result<String, BoxError> {
    let asked = async {
        let mut connection = TcpStream::connect(address).await?;
        let request = "GET /metrics HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n";
        connection.write_all(request.as_bytes()).await?;
        let mut page = String::new();
        connection.read_to_string(&mut page).await?;
        Ok::<_, BoxError>(page)
    };
    tokio::time::timeout(Duration::from_secs(10), asked).await?
}

#[allow(clippy::print_stdout, reason = "printing is what the example is for")]
fn say(what: &str) {
    println!("{what}");
}
