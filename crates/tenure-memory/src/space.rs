//! The namespaces, and what each of them has.

use std::hash::BuildHasher;
use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError, RwLock};

use foldhash::fast::RandomState;
use tenure_store::{Hooks, Namespace, SessionId};

use crate::epoch::Epochs;
use crate::shard::Shard;

/// So many that callers on some dozens of cores rarely meet in one.
const SHARDS: usize = 64;

/// One namespace's sessions. Whoever locks a shard locks nothing else meanwhile, or all
/// shards in their order.
pub(crate) struct Space {
    pub(crate) epochs: Epochs,
    hooks_expected: RwLock<bool>,
    shards: Box<[Mutex<Shard>]>,
    hasher: RandomState,
}

impl Space {
    fn new() -> Self {
        Self {
            epochs: Epochs::default(),
            hooks_expected: RwLock::default(),
            shards: (0..SHARDS).map(|_| Mutex::default()).collect(),
            hasher: RandomState::default(),
        }
    }

    /// Takes note of what somebody says about end hooks.
    pub(crate) fn expect(&self, hooks: Hooks) {
        let expected = match hooks {
            Hooks::Expected => true,
            Hooks::Withdrawn => false,
            Hooks::Unstated => return,
        };
        let lock = self.hooks_expected.write();
        *lock.unwrap_or_else(PoisonError::into_inner) = expected;
    }

    pub(crate) fn expects_hooks(&self) -> bool {
        let lock = self.hooks_expected.read();
        *lock.unwrap_or_else(PoisonError::into_inner)
    }

    /// Does something that may only be done while no end hooks are expected; `None`
    /// if they are. An expectation that comes meanwhile waits until it is done.
    pub(crate) fn without_hooks<R>(&self, work: impl FnOnce() -> R) -> Option<R> {
        let lock = self.hooks_expected.read();
        let expected = lock.unwrap_or_else(PoisonError::into_inner);
        (!*expected).then(work)
    }

    /// Locks the shard in which a session is, or would be.
    pub(crate) fn shard_of(&self, id: SessionId) -> MutexGuard<'_, Shard> {
        self.shard(self.number_of(id))
    }

    /// The number of the shard in which a session is, or would be.
    pub(crate) fn number_of(&self, id: SessionId) -> usize {
        let hash = self.hasher.hash_one(id);
        usize::try_from(hash).unwrap_or_default() % SHARDS
    }

    /// Locks a shard by its number in [`shards`](Self::shards).
    pub(crate) fn shard(&self, number: usize) -> MutexGuard<'_, Shard> {
        lock(&self.shards[number])
    }

    /// Locks one shard after the other: each guard goes before the next one comes.
    pub(crate) fn shards(&self) -> impl Iterator<Item = MutexGuard<'_, Shard>> {
        self.shards.iter().map(lock)
    }

    /// Locks all shards, for what concerns several of them in one step.
    pub(crate) fn all_shards(&self) -> Vec<MutexGuard<'_, Shard>> {
        self.shards.iter().map(lock).collect()
    }

    /// Forgets the resets of epochs of which no session is left to be reaped.
    pub(crate) fn forget_epochs(&self) {
        self.epochs.forget_all_but(|| {
            let epochs = |shard: MutexGuard<'_, Shard>| shard.queues().epochs().collect::<Vec<_>>();
            self.shards().flat_map(epochs).collect()
        });
    }
}

/// No code of this crate panics under a lock; if it did, every session but the one at
/// hand would still be in order.
fn lock(shard: &Mutex<Shard>) -> MutexGuard<'_, Shard> {
    shard.lock().unwrap_or_else(PoisonError::into_inner)
}

/// All namespaces that were ever opened: a hash table that only grows, so that looking
/// one up, as every call does, takes no lock and writes nothing that cores would share.
pub(crate) struct Spaces {
    buckets: Box<[Link]>,
    hasher: RandomState,
}

/// The rest of a bucket.
type Link = OnceLock<Box<Node>>;

struct Node {
    namespace: Namespace,
    space: Space,
    next: Link,
}

impl Spaces {
    const BUCKETS: u64 = 256;

    pub(crate) fn new() -> Self {
        Self {
            buckets: (0..Self::BUCKETS).map(|_| Link::new()).collect(),
            hasher: RandomState::default(),
        }
    }

    /// The space of a namespace that was opened.
    pub(crate) fn get(&self, namespace: &Namespace) -> Option<&Space> {
        let nodes = chain(self.bucket(namespace));
        nodes
            .into_iter()
            .find(|node| node.namespace == *namespace)
            .map(|node| &node.space)
    }

    /// The space of a namespace, made if there is none.
    pub(crate) fn open(&self, namespace: &Namespace) -> &Space {
        let mut link = self.bucket(namespace);
        loop {
            let node = link.get_or_init(|| {
                Box::new(Node {
                    namespace: namespace.clone(),
                    space: Space::new(),
                    next: Link::new(),
                })
            });
            if node.namespace == *namespace {
                return &node.space;
            }
            link = &node.next;
        }
    }

    /// The namespaces, in order.
    pub(crate) fn namespaces(&self) -> Vec<Namespace> {
        let nodes = self.buckets.iter().flat_map(chain);
        let mut namespaces: Vec<_> = nodes.map(|node| node.namespace.clone()).collect();
        namespaces.sort_unstable();
        namespaces
    }

    fn bucket(&self, namespace: &Namespace) -> &Link {
        let number = self.hasher.hash_one(namespace) % Self::BUCKETS;
        &self.buckets[usize::try_from(number).unwrap_or_default()]
    }
}

fn chain(link: &Link) -> impl Iterator<Item = &Node> {
    let first = link.get().map(|node| &**node);
    std::iter::successors(first, |node| node.next.get().map(|next| &**next))
}
