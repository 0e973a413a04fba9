//! Values of many operations as one: a JSON array, which SQLite takes apart again with
//! `json_each`, and one blob for all payloads. Text goes as hexadecimal, so that nothing
//! needs escaping.

use std::fmt::{self, Display, Write};

use tenure_store::{Namespace, Payload, SessionId, Timestamp};

/// The values of one operation: an array inside the array.
pub(crate) struct Fields(String);

impl Fields {
    /// Begins with the namespace's kind and application, and the session's id: numbers 0,
    /// 1 and 2.
    pub(crate) fn of(ns: &Namespace, id: SessionId) -> Self {
        let (kind, application, id) = (ns.kind().code(), ns.application(), hex(id.as_bytes()));
        Self(format!(r#"[{kind},"{application}","{id}""#))
    }

    pub(crate) fn number(self, value: impl Into<i64>) -> Self {
        self.maybe(Some(value))
    }

    pub(crate) fn instant(self, value: Timestamp) -> Self {
        self.number(value.as_millis())
    }

    pub(crate) fn maybe(self, value: Option<impl Into<i64>>) -> Self {
        match value {
            Some(value) => self.push(value.into()),
            None => self.push("null"),
        }
    }

    pub(crate) fn maybe_text(self, value: Option<&str>) -> Self {
        match value {
            Some(value) => self.push(format_args!(r#""{}""#, hex(value.as_bytes()))),
            None => self.push("null"),
        }
    }

    fn push(mut self, value: impl Display) -> Self {
        // Writing to a String cannot fail.
        let _ = write!(self.0, ",{value}");
        self
    }
}

impl Display for Fields {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}]", self.0)
    }
}

/// Payloads end to end. `substr` of it gives each back by its place and length.
pub(crate) struct Payloads(Vec<u8>);

impl Payloads {
    /// Begins with a byte that is nobody's, because `substr` makes NULL of an empty blob.
    pub(crate) fn new() -> Self {
        Self(vec![0])
    }

    /// Adds the place, which counts from 1, and the length.
    pub(crate) fn add(&mut self, payload: Option<&Payload>, fields: Fields) -> Fields {
        let Some(payload) = payload else {
            return fields.push("null").push("null");
        };
        let place = self.0.len() + 1;
        self.0.extend_from_slice(payload.as_bytes());
        fields.push(place).push(payload.len())
    }

    pub(crate) fn into_bytes(self) -> Vec<u8> {
        self.0
    }
}

/// A JSON array of these parts.
pub(crate) fn json(parts: impl IntoIterator<Item = impl Display>) -> String {
    let mut json = String::from("[");
    for part in parts {
        let comma = if json.len() > 1 { "," } else { "" };
        // Writing to a String cannot fail.
        let _ = write!(json, "{comma}{part}");
    }
    json.push(']');
    json
}

/// An id as a member of such an array by itself.
pub(crate) fn text(id: SessionId) -> String {
    format!(r#""{}""#, hex(id.as_bytes()))
}

/// What SQL's `unhex` reads.
pub(crate) fn hex(bytes: &[u8]) -> String {
    let digit = |value: u8| char::from(b"0123456789abcdef"[usize::from(value & 15)]);
    let digits = bytes
        .iter()
        .flat_map(|byte| [digit(byte >> 4), digit(*byte)]);
    digits.collect()
}

/// `json_each(?1)`, each with its namespace: what every statement on many begins with.
///
/// A `CROSS JOIN` here would bring an `UPDATE … FROM` to go through all of the table that
/// it writes, which stands to the left.
macro_rules! each {
    () => {
        "json_each(?1) AS given JOIN namespace \
         ON namespace.kind = given.value ->> 0 AND namespace.application = given.value ->> 1"
    };
}
pub(crate) use each;
