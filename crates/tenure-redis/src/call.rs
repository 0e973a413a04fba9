//! One command on its way: a script, or a plain read.

use std::sync::OnceLock;

use deadpool_redis::redis::{Arg, Cmd, Script as Hasher, ToRedisArgs, cmd};

use crate::keys::{self, Key, Shard};

/// A script: an operation that is one atomic step.
pub(crate) struct Script {
    pub(crate) code: &'static str,
    hash: OnceLock<String>,
}

impl Script {
    pub(crate) const fn new(code: &'static str) -> Self {
        Self {
            code,
            hash: OnceLock::new(),
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
    /// What reapers and operators do to many.
    Bulk,
    /// What waits for replicas.
    Replicated,
}

/// Where a write has to be before it is acknowledged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Reach {
    /// On the primary.
    Primary,
    /// On as many replicas as the options say, if they do.
    Replicas,
}

/// A command, complete but for its answer.
#[derive(Clone)]
pub(crate) struct Call {
    cmd: Cmd,
    script: Option<&'static Script>,
    pub(crate) lane: Lane,
    pub(crate) reach: Reach,
}

impl Call {
    /// A plain command, whose first argument is a key.
    pub(crate) fn plain(name: &str) -> Self {
        Self::of(cmd(name))
    }

    /// A plain command on these keys, however many: room for them is made once.
    pub(crate) fn on_keys(name: &str, keys: &[Vec<u8>]) -> Self {
        let bytes = keys.iter().map(Vec::len).sum::<usize>();
        let mut cmd = Cmd::with_capacity(1 + keys.len(), name.len() + bytes);
        cmd.arg(name).arg(keys);
        Self::of(cmd)
    }

    fn of(cmd: Cmd) -> Self {
        Self {
            cmd,
            script: None,
            lane: Lane::Requests,
            reach: Reach::Primary,
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

    /// An end: it is acknowledged when it is as safe as was asked for.
    pub(crate) fn replicated(self) -> Self {
        let reach = Reach::Replicas;
        Self { reach, ..self }
    }

    /// The cluster's slot in which all its keys lie.
    pub(crate) fn slot(&self) -> u16 {
        let first_key = if self.script.is_some() { 3 } else { 1 };
        match self.cmd.args_iter().nth(first_key) {
            Some(Arg::Simple(key)) => keys::slot(key),
            _ => 0,
        }
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
