//! What Redis answers, taken apart.

use deadpool_redis::redis::Value;
use tenure_store::{Cursor, Error, ErrorKind, Result, SessionId, Timestamp};

/// The contents of a list.
pub(crate) fn array(value: Value) -> Result<Vec<Value>> {
    match value {
        Value::Array(values) | Value::Set(values) => Ok(values),
        // RESP3 has pairs where RESP2 has twice as many elements.
        Value::Map(pairs) => Ok(pairs
            .into_iter()
            .flat_map(|(key, value)| [key, value])
            .collect()),
        _ => Err(unexpected()),
    }
}

/// A list of so many.
pub(crate) fn tuple<const N: usize>(value: Value) -> Result<[Value; N]> {
    array(value)?.try_into().map_err(|_| unexpected())
}

/// Bytes; `None` for nothing.
pub(crate) fn bytes(value: Value) -> Result<Option<Vec<u8>>> {
    match value {
        Value::Nil => Ok(None),
        Value::BulkString(bytes) => Ok(Some(bytes)),
        _ => Err(unexpected()),
    }
}

pub(crate) fn text(value: &Value) -> Result<&str> {
    match value {
        Value::BulkString(bytes) => str::from_utf8(bytes).map_err(|_| unexpected()),
        Value::SimpleString(text) | Value::VerbatimString { text, .. } => Ok(text),
        _ => Err(unexpected()),
    }
}

/// A whole number, as one or as text.
pub(crate) fn number(value: &Value) -> Result<i64> {
    match value {
        Value::Int(number) => Ok(*number),
        value => text(value)?.parse().map_err(|_| unexpected()),
    }
}

pub(crate) fn count(value: &Value) -> Result<u64> {
    number(value)?.try_into().map_err(|_| unexpected())
}

pub(crate) fn instant(value: &Value) -> Result<Timestamp> {
    Timestamp::from_millis(number(value)?).map_err(|_| unexpected())
}

/// An instant that may be `inf`: never.
pub(crate) fn maybe_instant(value: &Value) -> Result<Option<Timestamp>> {
    match value {
        Value::BulkString(text) if text == b"inf" => Ok(None),
        value => instant(value).map(Some),
    }
}

/// An epoch; `None` where the namespace was never opened.
pub(crate) fn epoch(value: &Value) -> Result<Option<u64>> {
    match value {
        Value::Nil => Ok(None),
        value => count(value).map(Some),
    }
}

pub(crate) fn id(value: &Value) -> Result<SessionId> {
    match value {
        Value::BulkString(bytes) => bytes
            .as_slice()
            .try_into()
            .map(SessionId::from_bytes)
            .map_err(|_| unexpected()),
        _ => Err(unexpected()),
    }
}

/// The bytes of a place in a list: their order is its order.
pub(crate) fn place_bytes(place: Cursor) -> [u8; 24] {
    let created = place.created.as_millis().cast_unsigned() ^ 1 << 63;
    let mut bytes = [0; 24];
    bytes[..8].copy_from_slice(&created.to_be_bytes());
    bytes[8..].copy_from_slice(place.id.as_bytes());
    bytes
}

/// The place that has these bytes.
pub(crate) fn place(bytes: &[u8]) -> Result<Cursor> {
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
    let members = array(value)?;
    let places = members.iter().map(|member| match member {
        Value::BulkString(bytes) => {
            let length = bytes.len().checked_sub(24).ok_or_else(unexpected)?;
            place(&bytes[length..])
        }
        _ => Err(unexpected()),
    });
    places.collect()
}

/// What no script answers, and no key of Tenure's holds.
pub(crate) fn unexpected() -> Error {
    Error::new(
        ErrorKind::Corrupt,
        "Redis holds or answered something that Tenure never wrote: give it a prefix of its own",
    )
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
                let bytes = place_bytes(Cursor { created, id });
                assert!(before.is_none_or(|before| before < bytes));
                assert_eq!(place(&bytes).expect("it is one"), Cursor { created, id });
                before = Some(bytes);
            }
        }
        assert!(place(&[0; 8]).is_err() && place(&[0; 25]).is_err());
    }
}
