//! Whatever serde makes of a type: what is taken comes back as it was, or it is not taken.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Debug;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::num::NonZeroU16;
use std::ops::{Bound, Range};
use std::path::PathBuf;
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use proptest::prelude::*;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::guard::{HOLLOW, RAW, WIDE};
use super::{decode_value, encode_value};
use crate::Error;

#[derive(Clone, Serialize, Deserialize, PartialEq, Debug)]
struct Plain<T> {
    it: T,
}

#[derive(Clone, Serialize, Deserialize, PartialEq, Debug)]
struct New<T>(T);

#[derive(Clone, Serialize, Deserialize, PartialEq, Debug)]
enum External<T> {
    Unit,
    New(T),
    Two(T, T),
    Named { it: T },
}

#[derive(Clone, Serialize, Deserialize, PartialEq, Debug)]
#[serde(tag = "kind")]
enum Internal<T> {
    Unit,
    New(Plain<T>),
    Named { it: T },
}

#[derive(Clone, Serialize, Deserialize, PartialEq, Debug)]
#[serde(tag = "kind", content = "what")]
enum Adjacent<T> {
    Unit,
    New(T),
    Two(T, T),
    Named { it: T },
}

#[derive(Clone, Serialize, Deserialize, PartialEq, Debug)]
#[serde(untagged)]
enum Untagged<T> {
    Named { it: T },
    Three(T, u8, T),
}

#[derive(Clone, Serialize, Deserialize, PartialEq, Debug)]
struct Flat<T> {
    id: u8,
    #[serde(flatten)]
    rest: Plain<T>,
}

#[derive(Clone, Serialize, Deserialize, PartialEq, Debug)]
struct FlatMap<T> {
    id: u8,
    #[serde(flatten)]
    rest: BTreeMap<String, T>,
}

/// Why a value was not taken, or `None` if it came back as it was.
fn refusal<T>(value: &T) -> Option<String>
where
    T: Serialize + DeserializeOwned + PartialEq + Debug,
{
    match encode_value("name", value) {
        Ok(bytes) => {
            let read = decode_value::<T>("name", &bytes);
            assert_eq!(read.expect("what was taken can be read"), *value);
            None
        }
        Err(Error::Attribute { source, .. }) => Some(source.to_string()),
        Err(other) => panic!("{other:?}"),
    }
}

/// The same for the value in everything that it can be in.
fn refusals<T>(it: &T) -> BTreeSet<Option<String>>
where
    T: Clone + Serialize + DeserializeOwned + PartialEq + Debug,
{
    let own = || it.clone();
    let rest = || BTreeMap::from([("it".to_owned(), own()), ("other".to_owned(), own())]);
    let plain = Plain { it: own() };
    BTreeSet::from([
        refusal(it),
        refusal(&plain),
        refusal(&New(own())),
        refusal(&vec![own(), own()]),
        refusal(&(own(), 1, own())),
        refusal(&rest()),
        refusal(&Ok::<T, u8>(own())),
        refusal(&[External::Unit, External::New(own())]),
        refusal(&External::Two(own(), own())),
        refusal(&External::Named { it: own() }),
        refusal(&Internal::New(plain.clone())),
        refusal(&Internal::Named { it: own() }),
        refusal(&[Internal::<T>::Unit, Internal::Named { it: own() }]),
        refusal(&[Adjacent::Unit, Adjacent::New(own())]),
        refusal(&Adjacent::Two(own(), own())),
        refusal(&Adjacent::Named { it: own() }),
        refusal(&Untagged::Named { it: own() }),
        refusal(&Untagged::Three(own(), 1, own())),
        refusal(&Flat { id: 1, rest: plain }),
        refusal(&FlatMap {
            id: 1,
            rest: rest(),
        }),
        refusal(&Internal::Named {
            it: Untagged::Named {
                it: External::New(own()),
            },
        }),
    ])
}

/// Each of these types comes back from everything.
macro_rules! come_back {
    ($($name:ident: $values:expr;)*) => {
        proptest! {
            #![proptest_config(ProptestConfig { failure_persistence: None, cases: 64, ..ProptestConfig::default() })]
            $(#[test]
            fn $name(value in $values) {
                assert_eq!(refusals(&value), BTreeSet::from([None]));
            })*
        }
    };
}

fn finite() -> impl Strategy<Value = f64> {
    any::<f64>().prop_filter("equal to itself", |number| !number.is_nan())
}

come_back! {
    bools: any::<bool>();
    signed_numbers: (any::<i8>(), any::<i16>(), any::<i32>(), any::<i64>());
    unsigned_numbers: (any::<u8>(), any::<u16>(), any::<u32>(), any::<u64>());
    one_number: any::<i64>();
    fractions: (finite(), any::<f32>().prop_filter("equal to itself", |number| !number.is_nan()));
    characters: any::<char>();
    texts: any::<String>();
    lists_of_bytes: any::<Vec<u8>>();
    arrays: any::<[u16; 3]>();
    options: any::<Option<u8>>();
    addresses: any::<IpAddr>();
    old_addresses: any::<Ipv4Addr>();
    new_addresses: any::<Ipv6Addr>();
    // Without flow and scope of IPv6, which std itself does not write.
    sockets: any::<(IpAddr, u16)>().prop_map(SocketAddr::from);
    addresses_as_keys: proptest::collection::btree_map(any::<IpAddr>(), any::<u8>(), 0..3);
    numbers_as_keys: proptest::collection::btree_map(any::<u32>(), any::<String>(), 0..3);
    sets: proptest::collection::btree_set(any::<char>(), 0..4);
    spans: any::<Duration>();
    instants: any::<u32>().prop_map(|secs| SystemTime::UNIX_EPOCH + Duration::from_secs(secs.into()));
    paths: any::<String>().prop_map(PathBuf::from);
    ranges: (any::<u8>(), any::<u8>()).prop_map(|(start, end)| Range { start, end });
    bounds: any::<u8>().prop_map(|at| (Bound::Included(at), Bound::Excluded(at), Bound::<u8>::Unbounded));
    numbers_that_are_not_zero: any::<NonZeroU16>();
    boxes: any::<String>().prop_map(Box::<str>::from);
    units: Just(());
}

#[test]
fn what_json_holds_comes_back() {
    let value = json!({"a": [1, -2.5, null, true, {"b": u64::MAX}], "": i64::MIN});
    assert_eq!(refusals(&value), BTreeSet::from([None]));
}

#[test]
fn a_type_with_two_forms_comes_back_from_a_tagged_one() {
    #[derive(Serialize, Deserialize, PartialEq, Debug)]
    #[serde(tag = "kind")]
    enum Login {
        Password { ip: IpAddr, from: SocketAddr },
    }
    let login = Login::Password {
        ip: Ipv4Addr::LOCALHOST.into(),
        from: (Ipv6Addr::LOCALHOST, 443).into(),
    };
    assert_eq!(refusal(&login), None);
}

#[test]
fn numbers_of_128_bits_are_not_taken() {
    let told = BTreeSet::from([Some(WIDE.to_owned())]);
    assert_eq!(refusals(&1u128), told);
    assert_eq!(refusals(&-1i128), told);
}

#[test]
fn a_some_of_nothing_is_not_taken() {
    let told = Some(HOLLOW.to_owned());
    for hollow in [Some(None::<Option<u8>>), Some(Some(None))] {
        assert_eq!(refusals(&hollow), BTreeSet::from([told.clone()]));
    }
    assert_eq!(refusal(&Some(())), told);
    assert_eq!(refusal(&Some(Value::Null)), told);
    assert_eq!(refusal(&Some(New(()))), told);
    assert_eq!(refusals(&Some(Some(1))), BTreeSet::from([None]));
    assert_eq!(refusals(&None::<Option<u8>>), BTreeSet::from([None]));
}

/// As `serde_json` writes a number when its feature `arbitrary_precision` is on.
#[derive(Serialize)]
#[serde(rename = "$serde_json::private::Number")]
struct Number {
    #[serde(rename = "$serde_json::private::Number")]
    text: &'static str,
}

#[test]
fn a_number_of_json_is_a_number_whatever_features_are_on() {
    fn read<T: DeserializeOwned>(text: &'static str) -> T {
        let bytes = encode_value("name", &json_of(text)).expect("taken");
        decode_value::<BTreeMap<String, T>>("name", &bytes)
            .expect("readable")
            .remove("n")
            .expect("there")
    }
    fn json_of(text: &'static str) -> BTreeMap<&'static str, Number> {
        BTreeMap::from([("n", Number { text })])
    }
    assert_eq!(read::<u32>("19"), 19);
    assert_eq!(read::<u64>("18446744073709551615"), u64::MAX);
    assert_eq!(read::<i64>("-9223372036854775808"), i64::MIN);
    assert!((read::<f64>("-2.5") + 2.5).abs() < f64::EPSILON);
    assert_eq!(read::<Value>("19"), json!(19));
    // What would not be the same number is left to JSON's own types.
    let kept: BTreeMap<String, String> = read("18446744073709551616");
    assert_eq!(
        kept.into_values().collect::<Vec<_>>(),
        ["18446744073709551616"]
    );
}

#[test]
fn raw_json_is_not_taken() {
    #[derive(Serialize)]
    #[serde(rename = "$serde_json::private::RawValue")]
    struct Raw {
        #[serde(rename = "$serde_json::private::RawValue")]
        text: &'static str,
    }
    let refused = encode_value("name", &Raw { text: "{}" });
    let Err(Error::Attribute { source, .. }) = refused else {
        panic!("{refused:?}");
    };
    assert_eq!(source.to_string(), RAW);
}

/// Values as they were written when types with two forms were written in the other one.
#[test]
fn what_was_written_for_machines_is_still_read() {
    fn read<T: DeserializeOwned>(bytes: &'static [u8]) -> T {
        decode_value("name", &Bytes::from_static(bytes)).expect("readable")
    }
    let old: IpAddr = read(b"\x81\xa2V4\x94\x7f\0\0\x01");
    assert_eq!(old, Ipv4Addr::LOCALHOST);
    let old: SocketAddr = read(b"\x81\xa2V4\x92\x94\x7f\0\0\x01\x50");
    assert_eq!(old, (Ipv4Addr::LOCALHOST, 80).into());
    let old: Plain<Option<Ipv4Addr>> = read(b"\x81\xa2it\x94\x7f\0\0\x01");
    assert_eq!(old.it, Some(Ipv4Addr::LOCALHOST));
    let old: (u128, i128) = read(
        b"\x92\xc4\x10\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\
          \xc4\x10\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xfe",
    );
    assert_eq!(old, (u128::MAX, -2));
    let old: Option<Option<u8>> = read(b"\xc0");
    assert_eq!(old, None);
}
