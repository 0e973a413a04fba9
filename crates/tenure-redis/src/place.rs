//! Places in the order of a list, (created, id), as bytes whose order is the same: so that
//! a sorted set in byte order *is* a list, and a page a range of it.

use deadpool_redis::redis::Value;
use tenure_store::{Cursor, Filter, Principal, Result, SessionId, Timestamp};

use crate::answer::{self, unexpected};
use crate::call::Call;
use crate::keys::{Key, Shard};

/// The bytes of a place in a list: their order is its order.
pub(crate) fn bytes(place: Cursor) -> [u8; 24] {
    let created = place.created.as_millis().cast_unsigned() ^ 1 << 63;
    let mut bytes = [0; 24];
    bytes[..8].copy_from_slice(&created.to_be_bytes());
    bytes[8..].copy_from_slice(place.id.as_bytes());
    bytes
}

/// The place that has these bytes.
fn place(bytes: &[u8]) -> Result<Cursor> {
    let (created, id) = bytes.split_at_checked(8).ok_or_else(unexpected)?;
    let created = created.try_into().map(u64::from_be_bytes);
    let millis = created.map_err(|_| unexpected())? ^ 1 << 63;
    Ok(Cursor {
        created: Timestamp::from_millis(millis.cast_signed()).map_err(|_| unexpected())?,
        id: SessionId::from_bytes(id.try_into().map_err(|_| unexpected())?),
    })
}

/// The places that end a list's members.
pub(crate) fn places(value: Value) -> Result<Vec<Cursor>> {
    let members = answer::array(value)?;
    let places = members.iter().map(|member| match member {
        Value::BulkString(bytes) => {
            let length = bytes.len().checked_sub(24).ok_or_else(unexpected)?;
            place(&bytes[length..])
        }
        _ => Err(unexpected()),
    });
    places.collect()
}

/// A principal's next places in a shard.
pub(crate) fn theirs(
    shard: &Shard,
    principal: &Principal,
    behind: Option<Cursor>,
    limit: u32,
) -> Call {
    let mut filter = Filter::all(limit);
    filter.principal = Some(principal.clone());
    filter.after = behind;
    // The very last instant is in it too.
    let end = [0xff; 24];
    between(shard, &filter, &end, limit).bulk()
}

/// A principal's places in a shard before one of them, the newest first.
pub(crate) fn older(shard: &Shard, principal: &Principal, than: Cursor, limit: u32) -> Call {
    let name = [principal.as_str().as_bytes(), b"\0"].concat();
    Call::plain("ZREVRANGEBYLEX")
        .arg(shard.key(Key::Principals))
        .arg([b"(", &name[..], &bytes(than)].concat())
        .arg([b"[", &name[..]].concat())
        .arg("LIMIT")
        .arg(0)
        .arg(limit)
}

/// The next places in a shard that a filter may let pass.
pub(crate) fn range(shard: &Shard, filter: &Filter, limit: u32) -> Call {
    let id = SessionId::from_bytes([0; 16]);
    let created = filter.created.end;
    let end = bytes(Cursor { created, id });
    between(shard, filter, &end[..8], limit)
}

/// The next places in a shard before an end.
fn between(shard: &Shard, filter: &Filter, end: &[u8], limit: u32) -> Call {
    let (key, name) = match &filter.principal {
        Some(principal) => (
            Key::Principals,
            [principal.as_str().as_bytes(), b"\0"].concat(),
        ),
        None => (Key::Created, Vec::new()),
    };
    let id = SessionId::from_bytes([0; 16]);
    let created = filter.created.start;
    // Nothing sorts before a place's first eight bytes but what is created earlier.
    let start = [b"[", &name[..], &bytes(Cursor { created, id })[..8]].concat();
    let start = match filter.after.filter(|after| after.created >= created) {
        Some(after) => [b"(", &name[..], &bytes(after)].concat(),
        None => start,
    };
    Call::plain("ZRANGEBYLEX")
        .arg(shard.key(key))
        .arg(start)
        .arg([b"(", &name[..], end].concat())
        .arg("LIMIT")
        .arg(0)
        .arg(limit)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_order_of_places_is_that_of_their_bytes() {
        let instants = [i64::MIN, -1, 0, 1, i64::MAX].map(Timestamp::from_millis_clamped);
        let ids = [0, 0x80, 0xff].map(|byte| SessionId::from_bytes([byte; 16]));
        let mut before: Option<[u8; 24]> = None;
        for created in instants {
            for id in ids {
                let place_bytes = bytes(Cursor { created, id });
                assert!(before.is_none_or(|before| before < place_bytes));
                assert_eq!(
                    place(&place_bytes).expect("it is one"),
                    Cursor { created, id }
                );
                before = Some(place_bytes);
            }
        }
        assert!(place(&[0; 8]).is_err() && place(&[0; 25]).is_err());
    }
}
