//! What keys are called, and which of them lie together.
//!
//! A namespace is spread over [`SHARDS`] shards. All keys of one have the same hash tag, so
//! that on a Redis Cluster they lie on one server, and one script may use them all.

use tenure_store::{Kind, Namespace, SessionId};

/// How many shards a namespace has. It is noted beside the data: with another number,
/// nothing would be found again.
pub(crate) const SHARDS: u8 = 16;

/// A shard of a namespace.
#[derive(Clone, Debug)]
pub(crate) struct Shard {
    /// What all its keys begin with: `t:{1:portal:7}:`.
    base: String,
}

/// One of a shard's keys.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Key {
    /// String: the shard's epoch; there if the namespace was opened.
    Epoch,
    /// Hash: whether hooks are expected, and when each epoch was reset.
    Notes,
    /// Sorted set: ids of what has not ended, of the present epoch, by the instant before
    /// which no reaper need look.
    Due,
    /// The same of an older epoch.
    Old(u64),
    /// Sorted set: ids of waiting tombstones, by when they are due.
    Waiting,
    /// Sorted set: ids of held tombstones, by the end of the lease.
    Held,
    /// Sorted set: ids of dead letters, by their end.
    Dead,
    /// Sorted set, in byte order: (created, id) of every session.
    Created,
    /// Sorted set, in byte order: principal, NUL, (created, id).
    Principals,
    /// Hash: for a principal, the mark of the log-in with a limit that came by last.
    Marks,
    /// String: a record.
    Record(SessionId),
}

impl Shard {
    /// Where a session lies.
    pub(crate) fn of(prefix: &str, ns: &Namespace, id: SessionId) -> Self {
        Self::numbered(prefix, ns, number(id))
    }

    /// All of a namespace's, in the order of their numbers.
    pub(crate) fn all(prefix: &str, ns: &Namespace) -> Vec<Self> {
        let shard = |number| Self::numbered(prefix, ns, number);
        (0..SHARDS).map(shard).collect()
    }

    fn numbered(prefix: &str, ns: &Namespace, number: u8) -> Self {
        let name = field(ns);
        Self {
            base: format!("{prefix}:{{{name}:{number}}}:"),
        }
    }

    pub(crate) fn key(&self, key: Key) -> Vec<u8> {
        let mut name = Vec::with_capacity(self.base.len() + 18);
        name.extend_from_slice(self.base.as_bytes());
        match key {
            Key::Epoch => name.push(b'e'),
            Key::Notes => name.push(b'n'),
            Key::Due => name.push(b'd'),
            Key::Waiting => name.push(b'w'),
            Key::Held => name.push(b'h'),
            Key::Dead => name.push(b'x'),
            Key::Created => name.push(b'c'),
            Key::Principals => name.push(b'p'),
            Key::Marks => name.push(b'm'),
            Key::Old(epoch) => name.extend_from_slice(format!("o:{epoch}").as_bytes()),
            Key::Record(id) => {
                name.extend_from_slice(b"s:");
                name.extend_from_slice(id.as_bytes());
            }
        }
        name
    }
}

/// The number of the shard in which a session lies.
pub(crate) fn number(id: SessionId) -> u8 {
    id.as_bytes()[0] % SHARDS
}

/// Hash: every namespace. Not of a shard.
pub(crate) fn namespaces(prefix: &str) -> Vec<u8> {
    format!("{prefix}:namespaces").into_bytes()
}

/// Hash: the layout's version, and the number of shards. Not of a shard.
pub(crate) fn layout(prefix: &str) -> Vec<u8> {
    format!("{prefix}:layout").into_bytes()
}

/// What a namespace is called in [`namespaces`] and in its shards' keys: `1:portal`.
pub(crate) fn field(ns: &Namespace) -> String {
    format!("{}:{}", ns.kind().code(), ns.application())
}

/// The namespace that is called so.
pub(crate) fn namespace(field: &str) -> Option<Namespace> {
    let (kind, application) = field.split_once(':')?;
    let kind = Kind::from_code(kind.parse().ok()?)?;
    Namespace::new(kind, application).ok()
}

/// The cluster's slot of a key: CRC-16 of what stands between its first braces, or of all
/// of it.
pub(crate) fn slot(key: &[u8]) -> u16 {
    let tag = key.iter().position(|byte| *byte == b'{').and_then(|open| {
        let rest = &key[open + 1..];
        let close = rest.iter().position(|byte| *byte == b'}')?;
        (close > 0).then(|| &rest[..close])
    });
    let crc = tag.unwrap_or(key).iter().fold(0u16, |crc, byte| {
        (0..8).fold(crc ^ u16::from(*byte) << 8, |crc, _| {
            (crc << 1) ^ if crc & 0x8000 == 0 { 0 } else { 0x1021 }
        })
    });
    crc % 16_384
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_keys_of_a_shard_have_its_hash_tag() -> tenure_store::Result<()> {
        let (ns, id) = (
            Namespace::sessions("portal")?,
            SessionId::from_digest([0x2b; 16]),
        );
        let shard = Shard::of("t", &ns, id);
        assert_eq!(shard.key(Key::Epoch), b"t:{1:portal:11}:e");
        assert_eq!(shard.key(Key::Old(3)), b"t:{1:portal:11}:o:3");
        let record = shard.key(Key::Record(id));
        assert_eq!(record, [b"t:{1:portal:11}:s:", &id.as_bytes()[..]].concat());
        assert_eq!(slot(&record), slot(b"1:portal:11"));
        Ok(())
    }

    #[test]
    fn a_slot_is_the_one_that_redis_computes() {
        // From Redis' own documentation and tests.
        assert_eq!(slot(b"123456789"), 0x31c3);
        assert_eq!(slot(b"foo"), 12_182);
        assert_eq!(slot(b"{user1000}.following"), slot(b"user1000"));
        assert_eq!(slot(b"foo{}{bar}"), 8_363);
        assert_eq!(slot(b"foo{{bar}}zap"), slot(b"{bar"));
    }

    #[test]
    fn a_namespace_is_found_by_its_field() -> tenure_store::Result<()> {
        for ns in [
            Namespace::sessions("a.b_C-1")?,
            Namespace::visitors("portal")?,
        ] {
            assert_eq!(namespace(&field(&ns)), Some(ns));
        }
        for bad in ["", "1", "3:portal", "1:a b", "portal:1"] {
            assert_eq!(namespace(bad), None, "{bad}");
        }
        Ok(())
    }
}
