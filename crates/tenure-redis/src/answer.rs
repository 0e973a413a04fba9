//! What Redis answers, taken apart.

use deadpool_redis::redis::Value;
use tenure_store::{Error, ErrorKind, Result, SessionId, Timestamp};

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

/// What no script answers, and no key of Tenure's holds.
pub(crate) fn unexpected() -> Error {
    Error::new(
        ErrorKind::Corrupt,
        "Redis holds or answered something that Tenure never wrote: give it a prefix of its own",
    )
}
