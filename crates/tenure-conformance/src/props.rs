//! What cases are told with: instants, ids, versions and records made from small
//! numbers, so that the same number is the same thing in every case and every run.

use std::time::Duration;

use tenure_store::{
    Access, Change, Failure, Payload, Principal, Record, Rotation, SessionId, Timeout, Timestamp,
    Version,
};

/// A second, in milliseconds.
pub const SECOND: i64 = 1_000;
/// A minute, in milliseconds.
pub const MINUTE: i64 = 60 * SECOND;
/// An hour, in milliseconds.
pub const HOUR: i64 = 60 * MINUTE;
/// The idle time-out of [`record`]: 20 minutes, in milliseconds.
pub const IDLE: i64 = 20 * MINUTE;
/// The lifetime of [`record`]: 12 hours, in milliseconds.
pub const LIFETIME: i64 = 12 * HOUR;
/// How long reapers hold what they claim.
pub const LEASE: Duration = Duration::from_mins(1);
/// [`LEASE`] in milliseconds.
pub const LEASE_MILLIS: i64 = MINUTE;

/// So many milliseconds into the story, which begins at noon on 1 January 2026.
pub fn at(millis: i64) -> Timestamp {
    Timestamp::from_millis_clamped(1_767_268_800_000 + millis)
}

/// The session id with this number. Ids are not in the order of their numbers.
pub fn id(number: u64) -> SessionId {
    let (high, low) = (scramble(number), scramble(!number));
    SessionId::from_digest((u128::from(high) << 64 | u128::from(low)).to_be_bytes())
}

/// The version with this number, anywhere among all 64-bit values.
pub fn version(number: u64) -> Version {
    Version::new(scramble(number))
}

/// A session started at [`at(0)`](at): idle for [`IDLE`] at most, living for
/// [`LIFETIME`] at most, nobody logged in, its payload made of its number.
pub fn record(number: u64) -> Record {
    Record {
        id: id(number),
        created: at(0),
        last_access: at(0),
        accesses: 1,
        idle_timeout: timeout(IDLE),
        lifetime: timeout(LIFETIME),
        leaves_at: None,
        principal: None,
        rotation: Rotation::default(),
        version: version(number),
        payload: payload(number),
    }
}

/// A [`record`] started at another instant.
pub fn record_at(number: u64, created: Timestamp) -> Record {
    Record {
        created,
        last_access: created,
        ..record(number)
    }
}

/// A [`record`] that never runs out.
pub fn endless(number: u64) -> Record {
    Record {
        idle_timeout: None,
        lifetime: None,
        ..record(number)
    }
}

/// A record of a principal.
pub fn record_of(number: u64, name: &str) -> Record {
    Record {
        principal: Some(principal(name)),
        ..record(number)
    }
}

/// A payload made of a number: text, a NUL and a byte that is no UTF-8.
pub fn payload(number: u64) -> Payload {
    let mut bytes = format!("payload {number}").into_bytes();
    bytes.extend([0, 0xff]);
    Payload::new(bytes)
}

/// A payload of so many bytes, no two neighbours alike.
pub fn payload_of(length: usize) -> Payload {
    let bytes: Vec<u8> = (0..=u8::MAX).cycle().take(length).collect();
    Payload::new(bytes)
}

/// A principal.
///
/// # Panics
/// If the name is none for a principal.
pub fn principal(name: &str) -> Principal {
    Principal::new(name).expect("cases name principals of 1 to 256 bytes")
}

/// A time-out of so many milliseconds, as records hold it.
///
/// # Panics
/// If that is not a time-out.
pub fn timeout(millis: i64) -> Option<Timeout> {
    Some(Timeout::from_millis(millis).expect("cases give time-outs of at least 1 ms"))
}

/// A passive change to the version with this number.
pub fn passive(next: u64) -> Change {
    Change::new(version(next), Access::Passive)
}

/// A change to the version with this number that counts as an access.
pub fn counted(next: u64) -> Change {
    Change::new(version(next), Access::Counts)
}

/// What a failed hook said.
pub fn failure(text: &str) -> Failure {
    Failure::new(text)
}

/// How many rows a large case works on: `full`, but no more than
/// `TENURE_CONFORMANCE_ROWS`, which is 2,000 unless it is set.
pub fn rows(full: u64) -> u64 {
    let most = std::env::var("TENURE_CONFORMANCE_ROWS")
        .ok()
        .and_then(|text| text.parse().ok())
        .unwrap_or(2_000);
    full.min(most)
}

/// `SplitMix64`'s finaliser: a bijection, so that no two numbers share a value.
fn scramble(number: u64) -> u64 {
    let mut z = number.wrapping_add(0x9e37_79b9_7f4a_7c15);
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}
