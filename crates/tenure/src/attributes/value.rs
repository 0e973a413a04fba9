//! One value, as MessagePack with the names of fields, so that a user's type can gain
//! some and tools can show what they find.
//!
//! A type may have two forms, one for people and one for machines, as an IP address has. The
//! one for people is written: inside tagged, untagged and flattened types serde reads that one
//! only. What was written when it was the other is still read.
//!
//! A serialiser's own messages are not passed on: they quote the value.

use bytes::Bytes;
use rmp_serde::config::SerializerConfig;
use rmp_serde::{Deserializer, Serializer, decode, encode};
use serde::de::{DeserializeOwned, IgnoredAny};
use serde::{Deserialize, Serialize};

use super::guard::{Guard, REFUSALS};
use crate::{Error, Result};

/// How many arrays and maps may be inside one another; as many as `serde_json` reads.
const DEPTH: usize = 128;

/// Most values are written into this many bytes without growing step by step: to grow is
/// what the C library's allocator does one thread at a time.
const USUAL: usize = 512;

/// A value's stored form.
///
/// # Errors
/// `Attribute` for a value that cannot be encoded, or that could not be read again.
pub(crate) fn encode_value<T: Serialize + ?Sized>(name: &str, value: &T) -> Result<Bytes> {
    let mut bytes = Vec::with_capacity(USUAL);
    let mut writer = Serializer::new(&mut bytes)
        .with_struct_map()
        .with_human_readable();
    value.serialize(Guard(&mut writer)).map_err(|error| {
        let why = match error {
            encode::Error::DepthLimitExceeded => Some(TOO_DEEP),
            encode::Error::Syntax(said) => REFUSALS.into_iter().find(|why| *why == said),
            _ => None,
        };
        refused(name, why.unwrap_or("its type refuses to be encoded"))
    })?;
    check_depth(&bytes).map_err(|error| refused(name, fault(&error)))?;
    Ok(bytes.into())
}

/// The value with this stored form.
///
/// # Errors
/// `Attribute` if it is not one of this type.
pub(crate) fn decode_value<T: DeserializeOwned>(name: &str, bytes: &Bytes) -> Result<T> {
    let decoded = check_depth(bytes).and_then(|()| {
        let mut for_people = reader(bytes).with_human_readable();
        read_whole(&mut for_people).or_else(|error| {
            // As it was written once. The first error is the one to tell of.
            read_whole(&mut reader(bytes)).map_err(|_| error)
        })
    });
    decoded.map_err(|error| refused(name, fault(&error)))
}

fn read_whole<'de, T, R, C>(deserializer: &mut Deserializer<R, C>) -> Result<T, decode::Error>
where
    T: DeserializeOwned,
    R: decode::ReadSlice<'de>,
    C: SerializerConfig,
{
    let value = T::deserialize(&mut *deserializer)?;
    // Nothing must be left. The deserialiser does not tell where it is, but reading on
    // fails at the first byte of a value exactly if there is none.
    match bool::deserialize(deserializer) {
        Err(decode::Error::InvalidMarkerRead(_)) => Ok(value),
        _ => Err(decode::Error::LengthMismatch(0)),
    }
}

/// The deserialiser counts how deep it is everywhere but in enums, and would follow those
/// until the stack is full. A value with that few bytes that may open something cannot be
/// too deep: to count them is far quicker than to read it, and does for nearly all.
fn check_depth(bytes: &[u8]) -> Result<(), decode::Error> {
    if openings(bytes) > DEPTH {
        IgnoredAny::deserialize(&mut reader(bytes))?;
    }
    Ok(())
}

/// How many bytes may be the first of a map, an array or an extension. Others are among
/// them: parts of a text or a number, and the first of one that is long.
fn openings(bytes: &[u8]) -> usize {
    let may_open = |byte: &u8| u8::from(matches!(byte, 0x80..=0x9f | 0xc7..=0xdf));
    // In sums of one byte, as those are added sixteen at a time.
    let sums = bytes
        .chunks(255)
        .map(|chunk| chunk.iter().map(may_open).sum::<u8>());
    sums.map(usize::from).sum()
}

fn reader(bytes: &[u8]) -> Deserializer<decode::ReadRefReader<'_, [u8]>> {
    let mut deserializer = Deserializer::from_read_ref(bytes);
    deserializer.set_max_depth(DEPTH + 1);
    deserializer
}

const TOO_DEEP: &str = "it is nested more than 128 deep";

fn fault(error: &decode::Error) -> &'static str {
    match error {
        decode::Error::DepthLimitExceeded => TOO_DEEP,
        decode::Error::OutOfRange => "it has a number outside the type's range",
        decode::Error::LengthMismatch(_) => "it has more or fewer elements than the type",
        decode::Error::InvalidMarkerRead(_) | decode::Error::InvalidDataRead(_) => {
            "its stored form is cut short"
        }
        decode::Error::Utf8Error(_) => "it has text that is not UTF-8",
        decode::Error::TypeMismatch(_)
        | decode::Error::Uncategorized(_)
        | decode::Error::Syntax(_) => {
            "it has a value of another kind, or lacks a field that has no `#[serde(default)]`"
        }
    }
}

fn refused(name: &str, why: &'static str) -> Error {
    Error::Attribute {
        name: name.to_owned(),
        source: why.into(),
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::fmt::Debug;

    use serde_json::{Value, json};

    use super::*;

    fn comes_back<T>(value: &T)
    where
        T: Serialize + DeserializeOwned + PartialEq + Debug,
    {
        let bytes = encode_value("name", value).expect("encodes");
        let read: T = decode_value("name", &bytes).expect("decodes");
        assert_eq!(read, *value);
    }

    /// An error's text, `Debug` form and sources.
    fn told(error: Error) -> String {
        assert!(matches!(error, Error::Attribute { .. }), "{error:?}");
        let shown = format!("{error:?}");
        let error: crate::BoxError = error.into();
        let source = error.source().map(ToString::to_string).unwrap_or_default();
        format!("{error}: {source} {shown}")
    }

    fn refusal<T: DeserializeOwned>(bytes: &[u8]) -> String {
        match decode_value::<T>("name", &Bytes::copy_from_slice(bytes)) {
            Err(error) => told(error),
            Ok(_) => panic!("expected a refused value"),
        }
    }

    fn nested(depth: usize) -> Value {
        (0..depth).fold(json!(1), |inner, _| json!([inner]))
    }

    #[derive(Serialize, Deserialize, PartialEq, Debug)]
    enum Chain {
        Next(Box<Chain>),
        End,
    }

    #[derive(Serialize, Deserialize, PartialEq, Debug)]
    enum Shape {
        Nothing,
        One(u8),
        Two(u8, String),
        Named { width: f64, name: Option<String> },
    }

    struct Refuses;
    impl Serialize for Refuses {
        fn serialize<S: serde::Serializer>(&self, _: S) -> Result<S::Ok, S::Error> {
            Err(serde::ser::Error::custom("canary"))
        }
    }

    #[test]
    fn every_value_comes_back() {
        comes_back(&());
        comes_back(&String::new());
        comes_back(&"a\0b 日本 🦀".to_owned());
        comes_back(&Vec::<u8>::new());
        comes_back(&(0..=255).collect::<Vec<u8>>());
        comes_back(&(i64::MIN, i64::MAX, u64::MAX, 0u8, -1i8));
        comes_back(&(f64::INFINITY, f64::MIN_POSITIVE, -0.0f64, f32::MAX));
        comes_back(&[Some(true), None]);
        comes_back(&'é');
        comes_back(&BTreeMap::from([(-1i64, vec!["x".to_owned()])]));
        comes_back(&vec![
            Shape::Nothing,
            Shape::One(7),
            Shape::Two(7, "b".into()),
            Shape::Named {
                width: 1.5,
                name: None,
            },
        ]);
        comes_back(&json!({"a": [1, -2.5, null, true], "ü": {"": i64::MIN, "b": u64::MAX}}));

        let bytes = encode_value("name", &f64::NAN).expect("encodes");
        assert!(
            decode_value::<f64>("name", &bytes)
                .expect("decodes")
                .is_nan()
        );
    }

    #[test]
    fn a_type_may_gain_and_lose_fields() {
        #[derive(Serialize)]
        struct Old {
            id: u32,
            dropped: String,
        }
        #[derive(Deserialize, PartialEq, Debug)]
        struct New {
            #[serde(default)]
            gained: Vec<u8>,
            id: u32,
        }
        let old = Old {
            id: 7,
            dropped: "x".into(),
        };
        let bytes = encode_value("name", &old).expect("encodes");
        let new = New {
            gained: vec![],
            id: 7,
        };
        assert_eq!(decode_value::<New>("name", &bytes).expect("decodes"), new);
        let shown: Value = decode_value("name", &bytes).expect("a tool can show it");
        assert_eq!(shown, json!({"id": 7, "dropped": "x"}));
    }

    #[test]
    fn what_is_written_is_never_too_deep_to_be_read() {
        comes_back(&nested(DEPTH));
        let error = encode_value("name", &nested(DEPTH + 1)).expect_err("too deep");
        assert!(told(error).contains("128 deep"));

        let chain = |links| (0..links).fold(Chain::End, |next, _| Chain::Next(Box::new(next)));
        comes_back(&chain(DEPTH));
        assert!(encode_value("name", &chain(DEPTH + 1)).is_err());
    }

    #[test]
    fn depth_without_end_is_refused_before_the_stack_is_full() {
        let arrays = vec![0x91; 1 << 20];
        assert!(refusal::<Value>(&arrays).contains("128 deep"));
        assert!(refusal::<Chain>(&arrays).contains("128 deep"));
        // `{"Next": {"Next": …` as the enum reads it.
        let chain = b"\x81\xa4Next".repeat(1 << 20);
        assert!(refusal::<Chain>(&chain).contains("128 deep"));
        assert!(refusal::<Value>(&chain).contains("128 deep"));
    }

    #[test]
    fn a_stored_form_that_is_cut_short_goes_on_or_lies_about_its_length_is_refused() {
        let whole = encode_value("name", &json!({"a": [1, "text"]})).expect("encodes");
        for end in 0..whole.len() {
            refusal::<Value>(&whole[..end]);
        }
        for more in [0x01, 0xc1, 0x91] {
            refusal::<Value>(&[&whole[..], &[more]].concat());
        }
        for marker in [0xc6, 0xc9, 0xdb, 0xdd, 0xdf] {
            let huge = [marker, 0xff, 0xff, 0xff, 0xff, 0x01];
            refusal::<Value>(&huge);
            refusal::<Vec<u64>>(&huge);
            refusal::<String>(&huge);
        }
    }

    #[test]
    fn text_that_is_not_utf_8_is_refused() {
        refusal::<String>(&[0xa2, 0xff, 0xfe]);
        refusal::<Value>(&[0xa2, 0xff, 0xfe]);
    }

    #[test]
    fn errors_say_what_is_wrong_and_show_nothing_of_the_value() {
        #[derive(Deserialize, Debug)]
        #[serde(deny_unknown_fields)]
        struct Other {
            #[allow(dead_code, reason = "only decoded")]
            field: u8,
        }
        let canary = encode_value("name", &json!({"canary": "canary"})).expect("encodes");
        for shown in [
            refusal::<Other>(&canary),
            refusal::<u64>(&canary),
            refusal::<Shape>(&canary),
            refusal::<u64>(b"\xa6canary"),
            refusal::<Shape>(b"\xa6canary"),
            refusal::<u8>(&[0xcd, 0x30, 0x39]),
            refusal::<(u8, u8)>(&[0x93, 0x7b, 0x7b, 0x7b]),
        ] {
            assert!(shown.contains("name"), "{shown}");
            for secret in ["canary", "12345", "123"] {
                assert!(!shown.contains(secret), "{shown}");
            }
        }

        let shown = told(encode_value("name", &Refuses).expect_err("it refuses"));
        assert!(!shown.contains("canary"), "{shown}");
    }
}
