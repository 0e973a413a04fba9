//! The wire that tests put between a store and its server counts, and breaks as told.

#[path = "support/mod.rs"]
#[allow(dead_code, reason = "each test uses its part")]
mod support;

use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use support::proxy::{Cut, Line, Proxy};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::timeout;

/// Longer than anything here takes, if it happens at all.
const PATIENCE: Duration = Duration::from_secs(30);
/// Long enough to see that something does not happen.
const A_WHILE: Duration = Duration::from_millis(100);

/// A server that answers what it gets, and remembers it.
struct Echo {
    address: SocketAddr,
    got: Arc<Mutex<Vec<u8>>>,
}

impl Echo {
    async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let address = listener.local_addr().expect("it listens");
        let got = Arc::<Mutex<Vec<u8>>>::default();
        let all = Arc::clone(&got);
        tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                tokio::spawn(echo(client, Arc::clone(&all)));
            }
        });
        Self { address, got }
    }

    fn got(&self) -> String {
        let got = self.got.lock().expect("no panic").clone();
        String::from_utf8(got).expect("a text")
    }

    /// Waits for what is still on its way.
    async fn gets(&self, text: &str) {
        let arrives = async {
            while self.got() != text {
                tokio::task::yield_now().await;
            }
        };
        let arrived = timeout(PATIENCE, arrives).await;
        assert!(arrived.is_ok(), "got {:?} instead of {text:?}", self.got());
    }
}

async fn echo(mut client: TcpStream, got: Arc<Mutex<Vec<u8>>>) {
    let mut buffer = [0; 100];
    while let Ok(n @ 1..) = client.read(&mut buffer).await {
        got.lock()
            .expect("no panic")
            .extend_from_slice(&buffer[..n]);
        if client.write_all(&buffer[..n]).await.is_err() {
            return;
        }
    }
}

/// Sends it, and says what comes back; an end is an error.
async fn ask(client: &mut TcpStream, text: &str) -> io::Result<String> {
    client.write_all(text.as_bytes()).await?;
    let mut answer = vec![0; text.len()];
    let read = timeout(PATIENCE, client.read_exact(&mut answer)).await;
    read.expect("an answer or an end")?;
    Ok(String::from_utf8(answer).expect("a text"))
}

async fn connect(proxy: &Proxy) -> TcpStream {
    let connected = TcpStream::connect(proxy.address()).await;
    connected.expect("the proxy listens")
}

#[tokio::test]
async fn a_round_trip_is_what_is_sent_before_the_answer_comes() {
    let echo = Echo::start().await;
    let proxy = Proxy::to(echo.address).await;
    let mut one = connect(&proxy).await;
    let mut other = connect(&proxy).await;
    for _ in 0..3 {
        assert_eq!(ask(&mut one, "hello").await.expect("passes"), "hello");
    }
    assert_eq!(ask(&mut other, "you").await.expect("passes"), "you");
    assert_eq!((proxy.round_trips(), proxy.connections()), (4, 2));
    assert_eq!((proxy.round_trips(), proxy.connections()), (0, 0));
}

#[tokio::test]
async fn a_connection_is_cut_where_it_was_ordered_and_no_other() {
    for (cut, arrives) in [
        (Cut::Before, ""),
        (Cut::Within, "12345"),
        (Cut::After, "1234567890"),
        (Cut::Answered, "1234567890"),
    ] {
        let echo = Echo::start().await;
        let proxy = Proxy::to(echo.address).await;
        let mut one = connect(&proxy).await;
        let mut other = connect(&proxy).await;
        proxy.cut_next(cut);
        assert!(!proxy.has_cut());
        ask(&mut one, "1234567890").await.expect_err("it is cut");
        assert!(proxy.has_cut());
        echo.gets(arrives).await;
        ask(&mut one, "more").await.expect_err("it stays cut");
        let more = ask(&mut other, "more").await;
        assert_eq!(more.expect("the other is not"), "more", "{cut:?}");
        echo.gets(&format!("{arrives}more")).await;
    }
}

#[tokio::test]
async fn all_connections_are_cut_and_new_ones_are_not() {
    let echo = Echo::start().await;
    let proxy = Proxy::to(echo.address).await;
    let mut old = connect(&proxy).await;
    ask(&mut old, "1").await.expect("passes");
    proxy.cut_all();
    ask(&mut old, "2").await.expect_err("it is cut");
    let mut new = connect(&proxy).await;
    assert_eq!(ask(&mut new, "3").await.expect("passes"), "3");
}

#[tokio::test]
async fn nothing_passes_a_black_hole_until_it_is_closed() {
    let echo = Echo::start().await;
    let proxy = Proxy::to(echo.address).await;
    let mut old = connect(&proxy).await;
    ask(&mut old, "1").await.expect("passes");
    proxy.set(Line::BlackHole);
    let mut new = connect(&proxy).await;
    for client in [&mut old, &mut new] {
        let asked = timeout(A_WHILE, ask(client, "2")).await;
        assert!(asked.is_err(), "nothing comes, not even an end");
    }
    assert_eq!(echo.got(), "1");
    proxy.set(Line::Open);
    for client in [&mut old, &mut new] {
        let mut late = [0];
        client
            .read_exact(&mut late)
            .await
            .expect("it was on its way");
        assert_eq!(&late, b"2");
    }
}

#[tokio::test]
async fn answers_of_a_slow_line_come_late() {
    let echo = Echo::start().await;
    let proxy = Proxy::to(echo.address).await;
    let mut client = connect(&proxy).await;
    ask(&mut client, "1").await.expect("passes");
    proxy.set(Line::Slow(PATIENCE));
    let asked = timeout(A_WHILE, ask(&mut client, "2")).await;
    assert!(asked.is_err(), "not yet");
    echo.gets("12").await;
    proxy.set(Line::Slow(A_WHILE));
    let mut other = connect(&proxy).await;
    assert_eq!(ask(&mut other, "3").await.expect("comes"), "3");
}

#[tokio::test]
async fn a_refusing_line_lets_nobody_in_and_nobody_out() {
    let echo = Echo::start().await;
    let proxy = Proxy::to(echo.address).await;
    let mut old = connect(&proxy).await;
    ask(&mut old, "1").await.expect("passes");
    proxy.set(Line::Refusing);
    let refused = async {
        while let Ok(let_in) = TcpStream::connect(proxy.address()).await {
            drop(let_in);
            tokio::task::yield_now().await;
        }
    };
    timeout(PATIENCE, refused).await.expect("it takes effect");
    assert_eq!(ask(&mut old, "2").await.expect("passes"), "2");
    proxy.set(Line::Open);
    let back = async {
        loop {
            if let Ok(client) = TcpStream::connect(proxy.address()).await {
                return client;
            }
            tokio::task::yield_now().await;
        }
    };
    let mut new = timeout(PATIENCE, back).await.expect("it takes effect");
    assert_eq!(ask(&mut new, "3").await.expect("passes"), "3");
}
