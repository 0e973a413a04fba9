//! A live session is changed, if it still has the version that was read.

use tenure_store::{
    Access, Change, Field, Namespace, Result, SessionId, Timeout, Timestamp, Updated, Version,
};

use crate::answer::{self, unexpected};
use crate::call::{Call, Script};
use crate::error::is_full;
use crate::keys::Key;
use crate::scripts::{SHRINK, UPDATE};
use crate::store::Core;

/// A change of one session.
pub(crate) struct Update {
    pub(crate) ns: Namespace,
    pub(crate) id: SessionId,
    pub(crate) expected: Version,
    pub(crate) change: Change,
    pub(crate) now: Timestamp,
}

/// What became of it.
pub(crate) enum Attempt {
    Settled(Updated),
    /// The mark that it asked for stands no more.
    Overtaken,
}

impl Update {
    /// Changes the session, if it is live and has the expected version.
    pub(crate) async fn run(&self, core: &Core) -> Result<Updated> {
        match self.attempt(core, b"").await? {
            Attempt::Settled(updated) => Ok(updated),
            Attempt::Overtaken => Err(unexpected()),
        }
    }

    /// The same, if its principal's mark is this one; an empty one asks for none.
    pub(crate) async fn attempt(&self, core: &Core, mark: &[u8]) -> Result<Attempt> {
        let mut updated = core.servers.ask(self.call(&UPDATE, core, mark)).await;
        if updated.as_ref().is_err_and(is_full) {
            // What takes no more room than there was is let in all the same.
            updated = core.servers.ask(self.call(&SHRINK, core, mark)).await;
        }
        match answer::number(&updated?)? {
            0 => Ok(Attempt::Settled(Updated::Gone)),
            1 => Ok(Attempt::Settled(Updated::Done)),
            2 => Ok(Attempt::Settled(Updated::Changed)),
            3 => Ok(Attempt::Overtaken),
            _ => Err(unexpected()),
        }
    }

    fn call(&self, script: &'static Script, core: &Core, mark: &[u8]) -> Call {
        let change = &self.change;
        let keys = [
            Key::Epoch,
            Key::Record(self.id),
            Key::Due,
            Key::Principals,
            Key::Marks,
        ];
        let (rotation, previous) = match change.rotation {
            Some(rotation) => {
                let previous = Field::from_option(rotation.previous_until());
                (rotation.number().to_string(), instant(&previous))
            }
            None => (String::new(), String::new()),
        };
        let principal = match &change.principal {
            Field::Keep => Vec::new(),
            Field::Clear => b"=".to_vec(),
            Field::Set(principal) => marked(principal.as_str().as_bytes()),
        };
        let payload = change.payload.as_ref();
        script
            .on(&core.shard(&self.ns, self.id), keys)
            .arg(self.id.as_bytes())
            .arg(self.now.as_millis())
            .arg(&self.expected.get().to_be_bytes())
            .arg(&change.version.get().to_be_bytes())
            .arg(if change.access == Access::Counts {
                "1"
            } else {
                "0"
            })
            .arg(span(&change.idle_timeout))
            .arg(span(&change.lifetime))
            .arg(instant(&change.leaves_at))
            .arg(rotation)
            .arg(previous)
            .arg(payload.map_or_else(Vec::new, |payload| marked(payload.as_bytes())))
            .arg(principal)
            .arg(mark)
    }
}

/// Bytes that are there, even if there are none of them.
fn marked(bytes: &[u8]) -> Vec<u8> {
    let mut marked = Vec::with_capacity(1 + bytes.len());
    marked.push(b'=');
    marked.extend_from_slice(bytes);
    marked
}

fn span(field: &Field<Timeout>) -> String {
    written(field, |timeout| timeout.as_millis())
}

fn instant(field: &Field<Timestamp>) -> String {
    written(field, |at| at.as_millis())
}

fn written<T>(field: &Field<T>, millis: impl Fn(&T) -> i64) -> String {
    match field {
        Field::Keep => String::new(),
        Field::Clear => "-".to_owned(),
        Field::Set(value) => millis(value).to_string(),
    }
}
