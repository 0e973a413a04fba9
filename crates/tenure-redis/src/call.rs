//! One command on its way: a script, or a plain read.

use std::sync::OnceLock;

use deadpool_redis::redis::{Arg, Cmd, Script as Hasher, ToRedisArgs, cmd};

use crate::keys::{self, Key, Shard};

/// A script: an operation that is one atomic step.
pub(crate) struct Script {
    pub(crate) code: &'static str,
    hash: OnceLock<String>,
    reads: bool,
}

impl Script {
    pub(crate) const fn new(code: &'static str) -> Self {
        Self::of_kind(code, false)
    }

    /// One that changes nothing.
    pub(crate) const fn reading(code: &'static str) -> Self {
        Self::of_kind(code, true)
    }

    const fn of_kind(code: &'static str, reads: bool) -> Self {
        Self {
            code,
            hash: OnceLock::new(),
            reads,
        }
    }

    /// The script on these keys of a shard: all that it uses.
    pub(crate) fn on(&'static self, shard: &Shard, keys: impl IntoIterator<Item = Key>) -> Call {
        self.call(keys.into_iter().map(|key| shard.key(key)))
    }

    /// The script on one key that is of no shard.
    pub(crate) fn on_key(&'static self, key: Vec<u8>) -> Call {
        self.call([key].into_iter())
    }

    fn call(&'static self, keys: impl Iterator<Item = Vec<u8>>) -> Call {
        let keys: Vec<_> = keys.collect();
        let mut cmd = cmd("EVALSHA");
        cmd.arg(self.hash()).arg(keys.len());
        for key in keys {
            cmd.arg(key);
        }
        Call {
            script: Some(self),
            reads: self.reads,
            ..Call::of(cmd)
        }
    }

    fn hash(&self) -> &str {
        let hash = || Hasher::new(self.code).get_hash().to_owned();
        self.hash.get_or_init(hash)
    }
}

/// Which of a server's connections a call takes: so that nobody's short one waits behind
/// somebody's long one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Lane {
    /// What a service's requests do to one session.
    Requests,
    /// What reapers do, and what ends many.
    Bulk,
    /// What operators look at, which may be everything.
    Walks,
    /// What waits for replicas.
    Replicated,
}

/// A command, complete but for its answer.
#[derive(Clone)]
pub(crate) struct Call {
    cmd: Cmd,
    script: Option<&'static Script>,
    pub(crate) lane: Lane,
    /// Whether it changes nothing, so that it may be sent again whatever became of it.
    pub(crate) reads: bool,
}

impl Call {
    /// A plain command that reads, whose first argument is a key.
    pub(crate) fn plain(name: &str) -> Self {
        Self::of(cmd(name)).reading()
    }

    /// A plain command that reads these keys, however many: room for them is made once.
    pub(crate) fn on_keys(name: &str, keys: &[Vec<u8>]) -> Self {
        let bytes = keys.iter().map(Vec::len).sum::<usize>();
        let mut cmd = Cmd::with_capacity(1 + keys.len(), name.len() + bytes);
        cmd.arg(name).arg(keys);
        Self::of(cmd).reading()
    }

    fn of(cmd: Cmd) -> Self {
        Self {
            cmd,
            script: None,
            lane: Lane::Requests,
            reads: false,
        }
    }

    pub(crate) fn arg(mut self, arg: impl ToRedisArgs) -> Self {
        self.cmd.arg(arg);
        self
    }

    pub(crate) fn bulk(self) -> Self {
        let lane = Lane::Bulk;
        Self { lane, ..self }
    }

    /// By the way of those that may look at everything.
    pub(crate) fn walking(self) -> Self {
        let lane = Lane::Walks;
        Self { lane, ..self }
    }

    /// Nothing changes by it.
    pub(crate) fn reading(self) -> Self {
        let reads = true;
        Self { reads, ..self }
    }

    /// The first of its keys.
    pub(crate) fn key(&self) -> &[u8] {
        let first_key = if self.script.is_some() { 3 } else { 1 };
        match self.cmd.args_iter().nth(first_key) {
            Some(Arg::Simple(key)) => key,
            _ => &[],
        }
    }

    /// The cluster's slot in which all its keys lie.
    pub(crate) fn slot(&self) -> u16 {
        keys::slot(self.key())
    }

    /// As it is sent first: a script by its hash.
    pub(crate) fn short(&self) -> &Cmd {
        &self.cmd
    }

    /// As it is sent to a server that does not know the script, which then does.
    pub(crate) fn with_code(&self) -> Cmd {
        let Some(script) = self.script else {
            return self.cmd.clone();
        };
        let mut whole = cmd("EVAL");
        whole.arg(script.code);
        for arg in self.cmd.args_iter().skip(2) {
            if let Arg::Simple(arg) = arg {
                whole.arg(arg);
            }
        }
        whole
    }
}
