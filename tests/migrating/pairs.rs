//! Two stores, and as many nodes on both as a test wants.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use tenure::MigratingStore;
use tenure_conformance::props::{at, id, record};
use tenure_conformance::story::Story;
use tenure_store::{
    EndReason, Ended, Entry, Hooks, Namespace, Outcome, SessionId, SessionStore, Timestamp,
};
use tokio::sync::OnceCell;

use crate::line::{Life, Line};
use crate::support::place::Place;

/// Which backends; each [`world`](Self::world) is a part of them that nobody has used.
pub(crate) struct Pair {
    old: &'static str,
    new: &'static str,
    stores: OnceCell<Arc<Stores>>,
    worlds: AtomicU64,
}

struct Stores {
    old: Arc<dyn SessionStore>,
    new: Arc<dyn SessionStore>,
    /// Gone after the stores.
    _places: [Place; 2],
}

impl Pair {
    pub(crate) fn of(old: &'static str, new: &'static str) -> Self {
        Self {
            old,
            new,
            stores: OnceCell::new(),
            worlds: AtomicU64::new(0),
        }
    }

    /// A namespace of its own, opened in both stores. Some cases want many worlds, and to
    /// set up a store takes some servers longer than the whole case.
    pub(crate) async fn world(&self) -> World {
        let stores = self.stores.get_or_init(|| self.stores()).await;
        let number = self.worlds.fetch_add(1, Ordering::SeqCst);
        let application = format!("portal-{number}");
        let world = World {
            old: Arc::clone(&stores.old),
            new: Arc::clone(&stores.new),
            ns: Namespace::sessions(&application).expect("a good name"),
            _stores: Arc::clone(stores),
        };
        world
            .node()
            .open(&world.ns, Hooks::Expected)
            .await
            .expect("opens");
        world
    }

    async fn stores(&self) -> Arc<Stores> {
        let places = [Place::on(self.old).await, Place::on(self.new).await];
        let [old, new] = [url(self.old, &places[0]), url(self.new, &places[1])];
        Arc::new(Stores {
            old: tenure_connect::connect(&old).await.expect("opens"),
            new: tenure_connect::connect(&new).await.expect("opens"),
            _places: places,
        })
    }
}

/// No case is about power cuts.
fn url(backend: &str, place: &Place) -> String {
    match backend {
        "sqlite" => place.url_with("synchronous=normal"),
        _ => place.url().to_owned(),
    }
}

pub(crate) struct World {
    pub(crate) old: Arc<dyn SessionStore>,
    pub(crate) new: Arc<dyn SessionStore>,
    pub(crate) ns: Namespace,
    _stores: Arc<Stores>,
}

impl World {
    /// One more node, which knows nothing of the others.
    pub(crate) fn node(&self) -> MigratingStore {
        MigratingStore::new(Arc::clone(&self.old), Arc::clone(&self.new))
    }

    /// A node that will die.
    pub(crate) fn mortal(&self, life: &Arc<Life>) -> MigratingStore {
        let cut = |store: &Arc<dyn SessionStore>| {
            Arc::new(Line {
                store: Arc::clone(store),
                births: None,
                life: Some(Arc::clone(life)),
            })
        };
        MigratingStore::new(cut(&self.old), cut(&self.new))
    }

    /// A session in the old store, from before the move began.
    pub(crate) async fn born_before(&self, number: u64) -> SessionId {
        self.old
            .put(&self.ns, &record(number))
            .await
            .expect("stored");
        id(number)
    }

    /// Everything that lies in a store.
    pub(crate) async fn all_in(&self, store: &Arc<dyn SessionStore>, now: Timestamp) -> Vec<Entry> {
        store.everything(&self.ns, now).await.expect("answers")
    }

    /// Whatever anybody may have left: claims and settles until nothing has come for
    /// several leases; says whose hooks ran and why.
    pub(crate) async fn reap_to_the_end(&self, from: i64) -> Vec<(SessionId, EndReason)> {
        let node = self.node();
        let mut hooks = Vec::new();
        for lease in 0..4 {
            let now = at(from + lease * 61_000);
            let ended = node.claim_all(&self.ns, now).await.expect("answers");
            let done: Vec<_> = ended.iter().map(|e| (e.ticket(), Outcome::Done)).collect();
            let settled = node.settle(&self.ns, &done, now).await.expect("answers");
            assert_eq!(settled, done.len() as u64);
            hooks.extend(
                ended
                    .iter()
                    .map(|e: &Ended| (e.record.id, e.tombstone.end.reason)),
            );
        }
        hooks
    }
}
