//! The operations: as a service performs them on the library, and as the library performs
//! them on the store in memory. Each one meets a session of its own.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use serde::{Deserialize, Serialize};
use tenure::{
    EndedSession, Error, KeyRing, ManualClock, MasterSecret, Randomness, Result, Session, Sessions,
    Token,
};
use tenure_memory::MemoryStore;
use tenure_store::{
    Access, After, Change, Created, EndReason, Hooks, Namespace, Payload, Record, Rotation,
    SessionId, SessionStore, Timeout, Timestamp, Updated, Version,
};

pub(crate) const OPERATIONS: [&str; 12] = [
    "library-change",
    "library-create",
    "library-end",
    "library-forged",
    "library-load",
    "library-touch",
    "library-unknown",
    "memory-create",
    "memory-end",
    "memory-load",
    "memory-touch",
    "memory-update",
];

const NOW: i64 = 1_767_268_800_000;
/// As large as a sealed visit.
const PAYLOAD: usize = 512;

/// A thing in the cart.
#[derive(Clone, Serialize, Deserialize)]
struct Item {
    article: String,
    title: String,
    count: u32,
    cents: u32,
}

/// What there is before anything is counted.
pub(crate) struct World {
    /// Where no access is so late that it is worth a write.
    calm: Sessions,
    /// Where every access is written.
    eager: Sessions,
    /// Of a session each.
    tokens: Vec<String>,
    /// Of a session that is over.
    unknown: String,
    forged: String,
    roles: Vec<&'static str>,
    csrf: String,
    cart: Vec<Item>,
    store: MemoryStore,
    ns: Namespace,
    records: Vec<Record>,
}

impl World {
    /// With so many sessions in the library, and as many in the store beside it, unless
    /// they are to be created there.
    pub(crate) async fn before(operation: &str, sessions: usize) -> Self {
        let store = MemoryStore::new();
        let ns = Namespace::sessions("portal").expect("a good name");
        store.open(&ns, Hooks::Expected).await.expect("it opens");
        let behind: Arc<dyn SessionStore> = Arc::new(MemoryStore::new());
        let day = Duration::from_hours(24);
        let calm = built(&behind, day / 2).await;
        let mut world = Self {
            eager: built(&behind, Duration::ZERO).await,
            calm,
            tokens: Vec::new(),
            unknown: String::new(),
            forged: String::new(),
            roles: vec!["customer", "reviewer", "newsletter"],
            csrf: "5bd1e995".repeat(8),
            cart: vec![
                item("Kettle, brushed steel, 1.7 litres, with thermometer"),
                item("Darjeeling, first flush, 250 g, whole leaf, organic"),
                item("Tea strainer with handle and drip bowl, stainless"),
            ],
            store,
            ns,
            records: (0..).map(record).take(sessions).collect(),
        };
        if operation != "memory-create" {
            world.perform("memory-create").await;
        }
        for _ in 0..sessions {
            let token = world.create().await.expect("it is created");
            world.tokens.push(token.as_str().to_owned());
        }
        let over = world.create().await.expect("it is created");
        world.calm.end(&over).await.expect("it ends");
        world.unknown = over.as_str().to_owned();
        let last = if world.unknown.ends_with('A') {
            "B"
        } else {
            "A"
        };
        world.forged = world.unknown[..world.unknown.len() - 1].to_owned() + last;
        world
    }

    /// An operation, for each session once.
    pub(crate) async fn perform(&self, operation: &str) {
        match operation.split_once('-') {
            Some(("library", operation)) => {
                for token in &self.tokens {
                    self.on_library(operation, token).await.expect("no error");
                }
                // The end hooks are a part of it.
                self.calm.shutdown().await;
            }
            Some(("memory", operation)) => {
                for record in &self.records {
                    let done = self.on_memory(operation, record).await;
                    assert!(done.expect("no error"), "nothing was done");
                }
            }
            _ => panic!("there is no operation {operation}"),
        }
    }

    async fn on_library(&self, operation: &str, token: &str) -> Result<()> {
        match operation {
            "load" => self.resume(&self.calm, token).await.map(drop),
            "touch" => {
                let session = self.resume(&self.eager, token).await?;
                session.commit().await.map(drop)
            }
            "change" => self.change(token).await,
            "create" => self.create().await.map(drop),
            "end" => self.calm.end(&Token::new(token)).await.map(drop),
            "unknown" => self.meet_none(&self.unknown).await,
            "forged" => self.meet_none(&self.forged).await,
            _ => panic!("the library has no operation {operation}"),
        }
    }

    async fn resume(&self, sessions: &Sessions, token: &str) -> Result<Session> {
        let session = sessions.resume(&Token::new(token)).await?;
        let session = session.expect("it is live");
        assert_eq!(session.get("user")?, Some(7_u64));
        Ok(session)
    }

    async fn change(&self, token: &str) -> Result<()> {
        let session = self.resume(&self.calm, token).await?;
        let mut cart: Vec<Item> = session.get("cart")?.expect("it has a cart");
        cart[0].count += 1;
        session.set("cart", &cart)?;
        session.commit().await.map(drop)
    }

    async fn create(&self) -> Result<Token> {
        let session = self.calm.start()?;
        session.set("user", &7_u64)?;
        session.set("roles", &self.roles)?;
        session.set("csrf", &self.csrf)?;
        session.set("cart", &self.cart)?;
        let token = session.commit().await?;
        Ok(token.expect("a new session has a token"))
    }

    async fn meet_none(&self, token: &str) -> Result<()> {
        let session = self.calm.resume(&Token::new(token)).await?;
        assert!(session.is_none(), "it opens nothing");
        Ok(())
    }

    /// Says whether it was done.
    async fn on_memory(&self, operation: &str, record: &Record) -> tenure_store::Result<bool> {
        let (store, ns, id, now) = (&self.store, &self.ns, record.id, record.created);
        Ok(match operation {
            "create" => store.create(ns, record, now).await? == Created::Done,
            "load" => store.load(ns, id, now).await?.is_some(),
            "touch" => store.touch(ns, id, now).await?,
            "update" => {
                let mut change = Change::new(Version::new(1), Access::Counts);
                change.payload = Some(record.payload.clone());
                let updated = store.update(ns, id, record.version, &change, now).await?;
                updated == Updated::Done
            }
            "end" => {
                let (reason, after) = (EndReason::Logout, After::Queue);
                store.end(ns, id, None, reason, after, now).await?.is_some()
            }
            _ => panic!("the store has no operation {operation}"),
        })
    }
}

async fn built(store: &Arc<dyn SessionStore>, touch_resolution: Duration) -> Sessions {
    let secret = "c17e2b9058d4a63f10b7e5928cfa4d6137e90b52d8c6f41ea37b5d0294c8fe61";
    let secret = MasterSecret::from_text(secret).expect("a good secret");
    let keys = KeyRing::new("2026-11", secret).expect("a good name");
    let now = Timestamp::from_millis_clamped(NOW);
    let sessions = Sessions::builder(Arc::clone(store), keys, "portal")
        .idle_timeout(Duration::from_hours(24))
        .lifetime(None)
        .touch_resolution(touch_resolution)
        .clock(Arc::new(ManualClock::new(now)))
        .randomness(Arc::new(Repeatable(AtomicU64::new(1))))
        .on_end(|_: EndedSession| async { Ok::<_, Error>(()) })
        .build();
    sessions.await.expect("they are built")
}

/// Bytes that are the same in each process, and cost next to nothing.
#[derive(Debug)]
struct Repeatable(AtomicU64);

impl Randomness for Repeatable {
    fn fill(&self, bytes: &mut [u8]) -> Result<()> {
        for chunk in bytes.chunks_mut(8) {
            let number = scattered(self.0.fetch_add(1, Ordering::Relaxed));
            chunk.copy_from_slice(&number.to_le_bytes()[..chunk.len()]);
        }
        Ok(())
    }
}

/// Numbers in order, in no order.
fn scattered(number: u64) -> u64 {
    let number = number.wrapping_mul(0x9e37_79b9_7f4a_7c15);
    (number ^ number >> 29).wrapping_mul(0xbf58_476d_1ce4_e5b9)
}

fn item(title: &str) -> Item {
    Item {
        article: "000000000217".to_owned(),
        title: title.to_owned(),
        count: 1,
        cents: 1_999,
    }
}

fn record(number: u32) -> Record {
    let created = Timestamp::from_millis_clamped(NOW + i64::from(number));
    let half = scattered(u64::from(number) + 1).to_le_bytes();
    let mut digest = [0; 16];
    digest[..8].copy_from_slice(&half);
    digest[8..].copy_from_slice(&half);
    Record {
        id: SessionId::from_digest(digest),
        created,
        last_access: created,
        accesses: 1,
        idle_timeout: Some(Timeout::from_millis(1_200_000).expect("in range")),
        lifetime: None,
        leaves_at: None,
        principal: None,
        rotation: Rotation::default(),
        version: Version::new(0),
        payload: Payload::new(vec![7; PAYLOAD]),
    }
}
