//! A record as bytes: a header of fixed size, then principal, failure and payload.
//!
//! Big-endian, at these places:
//!
//! | from | bytes | field |
//! |--:|--:|---|
//! | 0 | 1 | layout, 1 |
//! | 1 | 1 | phase: 0 not ended, 1 waiting, 2 held, 3 dead |
//! | 2 | 1 | flags: 1 leaves, 2 has failed, 4 the previous rotation reads |
//! | 3 | 1 | end reason |
//! | 4 | 8 | epoch |
//! | 12 | 8 | created |
//! | 20 | 8 | last access |
//! | 28 | 8 | accesses |
//! | 36, 44 | 8 | idle time-out, lifetime; 0 for never |
//! | 52 | 8 | leaves at |
//! | 60 | 4 | rotation |
//! | 64 | 8 | until when the previous rotation reads |
//! | 72 | 8 | version |
//! | 80, 88 | 8 | a tombstone's end, and when it is due |
//! | 96, 100, 104 | 4 | claims, failures, unsettled |
//! | 108, 110 | 2 | bytes of principal, of failure |
//!
//! The scripts read and write the same places: `lua/judge.lua`.

use bytes::Bytes;
use tenure_store::{
    End, EndReason, Entry, Failure, Phase, Principal, Record, Result, Rotation, SessionId, State,
    Timeout, Timestamp, Tombstone, Version,
};

use crate::header::{Fields, HEADER, corrupt};
use crate::notes::Notes;

const LAYOUT: u8 = 1;
const LEAVES: u8 = 1;
const FAILED: u8 = 2;
const READS: u8 = 4;

/// A record as it lies in Redis.
#[derive(Debug)]
pub(crate) struct Stored {
    pub(crate) record: Record,
    epoch: u64,
    pub(crate) tombstone: Option<Tombstone>,
}

/// The bytes of a record. The script that stores them puts the epoch in.
pub(crate) fn encode(record: &Record, tombstone: Option<&Tombstone>) -> Vec<u8> {
    let payload = record.payload.as_bytes();
    let principal = record.principal.as_ref().map_or("", Principal::as_str);
    let failure = tombstone.and_then(|tombstone| tombstone.last_failure.as_ref());
    let said = failure.map_or("", Failure::as_str);
    let previous = record.rotation.previous_until();
    let flag = |flag, is_set| if is_set { flag } else { 0 };
    let flags = flag(LEAVES, record.leaves_at.is_some())
        | flag(FAILED, failure.is_some())
        | flag(READS, previous.is_some());
    let (phase, due) = tombstone.map_or((0, 0), self::phase);
    let end = tombstone.map(|tombstone| tombstone.end);
    let count = |counter: fn(&Tombstone) -> u32| tombstone.map_or(0, counter);

    let mut bytes = Vec::with_capacity(HEADER + principal.len() + said.len() + payload.len());
    bytes.extend([LAYOUT, phase, flags, end.map_or(0, |end| end.reason.code())]);
    let instant = |at: Option<Timestamp>| at.map_or(0, Timestamp::as_millis);
    let span = |timeout: Option<Timeout>| timeout.map_or(0, Timeout::as_millis);
    for number in [
        0,
        record.created.as_millis(),
        record.last_access.as_millis(),
        record.accesses.cast_signed(),
        span(record.idle_timeout),
        span(record.lifetime),
        instant(record.leaves_at),
    ] {
        bytes.extend(number.to_be_bytes());
    }
    bytes.extend(record.rotation.number().to_be_bytes());
    bytes.extend(instant(previous).to_be_bytes());
    bytes.extend(record.version.get().to_be_bytes());
    bytes.extend(instant(end.map(|end| end.at)).to_be_bytes());
    bytes.extend(due.to_be_bytes());
    for counter in [
        count(|tombstone| tombstone.claims),
        count(|tombstone| tombstone.failures),
        count(|tombstone| tombstone.unsettled),
    ] {
        bytes.extend(counter.to_be_bytes());
    }
    for text in [principal, said] {
        // Both are bounded far below.
        let length = u16::try_from(text.len()).unwrap_or(u16::MAX);
        bytes.extend(length.to_be_bytes());
    }
    bytes.extend_from_slice(principal.as_bytes());
    bytes.extend_from_slice(said.as_bytes());
    bytes.extend_from_slice(payload);
    bytes
}

/// What [`encode`] wrote; its payload shares the bytes.
pub(crate) fn decode(id: SessionId, bytes: impl Into<Bytes>) -> Result<Stored> {
    let bytes: Bytes = bytes.into();
    let fields = Fields(&bytes);
    let [layout, phase, flags, reason] = fields.array(0)?;
    if layout != LAYOUT {
        return Err(corrupt("a session has a header of another layout"));
    }
    let [principal, failure] = [fields.length(108)?, fields.length(110)?];
    let (said, payload) = (HEADER + principal, HEADER + principal + failure);
    let when = |flag: u8, at| (flags & flag != 0).then(|| fields.instant(at)).transpose();
    let previous = when(READS, 64)?;
    let record = Record {
        id,
        created: fields.instant(12)?,
        last_access: fields.instant(20)?,
        accesses: u64::from_be_bytes(fields.array(28)?),
        idle_timeout: fields.timeout(36)?,
        lifetime: fields.timeout(44)?,
        leaves_at: when(LEAVES, 52)?,
        principal: match fields.text(HEADER, said)? {
            "" => None,
            name => Some(
                Principal::new(name)
                    .map_err(|_| corrupt("a session's principal is out of range"))?,
            ),
        },
        rotation: Rotation::new(u32::from_be_bytes(fields.array(60)?), previous)
            .map_err(|_| corrupt("a session's rotation is out of range"))?,
        version: Version::new(u64::from_be_bytes(fields.array(72)?)),
        payload: tenure_store::Payload::new(bytes.slice(payload.min(bytes.len())..)),
    };
    let tombstone = match phase {
        0 => None,
        phase => Some(Tombstone {
            end: End {
                reason: EndReason::from_code(reason)
                    .ok_or_else(|| corrupt("a session ended for an unknown reason"))?,
                at: fields.instant(80)?,
            },
            phase: match phase {
                1 => Phase::Waiting {
                    from: fields.instant(88)?,
                },
                2 => Phase::Held {
                    until: fields.instant(88)?,
                },
                3 => Phase::Dead,
                _ => return Err(corrupt("a session has an unknown phase")),
            },
            claims: u32::from_be_bytes(fields.array(96)?),
            failures: u32::from_be_bytes(fields.array(100)?),
            unsettled: u32::from_be_bytes(fields.array(104)?),
            last_failure: match flags & FAILED {
                0 => None,
                _ => Some(Failure::new(fields.text(said, payload)?)),
            },
        }),
    };
    Ok(Stored {
        record,
        epoch: u64::from_be_bytes(fields.array(4)?),
        tombstone,
    })
}

impl Stored {
    /// The record, if the session is live.
    pub(crate) fn live(self, epoch: u64, now: Timestamp) -> Option<Record> {
        let lives = self.tombstone.is_none() && self.epoch == epoch && self.record.is_live(now);
        lives.then_some(self.record)
    }

    /// The session as it lies there at `now`.
    pub(crate) fn entry(self, epoch: u64, notes: &Notes, now: Timestamp) -> Entry {
        // It is dead all the same should the note of its reset have been lost.
        let reset = (self.epoch != epoch).then(|| notes.reset(self.epoch).unwrap_or(now));
        let state = match self.tombstone {
            Some(tombstone) => State::Ended(tombstone),
            None => match self.record.end_by(reset, now) {
                Some(end) => State::Over(end),
                None => State::Live,
            },
        };
        Entry {
            record: self.record,
            state,
        }
    }
}

/// The phase of a tombstone, and when it is due in its queue.
pub(crate) fn phase(tombstone: &Tombstone) -> (u8, i64) {
    match tombstone.phase {
        Phase::Waiting { from } => (1, from.as_millis()),
        Phase::Held { until } => (2, until.as_millis()),
        Phase::Dead => (3, tombstone.end.at.as_millis()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tenure_store::{ErrorKind, Payload};

    fn record() -> Record {
        let least = Timestamp::MIN;
        Record {
            id: SessionId::from_digest([7; 16]),
            created: least,
            last_access: Timestamp::MAX,
            accesses: 1 << 53,
            idle_timeout: Some(Timeout::MAX),
            lifetime: None,
            leaves_at: Some(least),
            principal: Principal::new(&"é".repeat(128)).ok(),
            rotation: Rotation::new(Rotation::MAX, Some(Timestamp::MAX)).expect("it is in range"),
            version: Version::new(u64::MAX),
            payload: Payload::new(vec![0, 0xff, 7]),
        }
    }

    fn tombstone(phase: Phase, last_failure: Option<Failure>) -> Tombstone {
        let at = Timestamp::MIN;
        let reason = EndReason::Displaced;
        Tombstone {
            end: End { reason, at },
            phase,
            claims: 1,
            failures: u32::MAX,
            unsettled: 3,
            last_failure,
        }
    }

    #[test]
    fn a_record_comes_back_as_it_went_in() {
        let plain = Record {
            leaves_at: None,
            principal: None,
            rotation: Rotation::default(),
            payload: Payload::default(),
            lifetime: Timeout::from_millis(1).ok(),
            ..record()
        };
        let failures = [None, Some(Failure::new("")), Some(Failure::new("no ✉"))];
        let (from, until) = (Timestamp::MAX, Timestamp::MIN);
        let phases = [Phase::Waiting { from }, Phase::Held { until }, Phase::Dead];
        let mut tombstones = vec![None];
        for phase in phases {
            let with = |failure: &Option<Failure>| Some(tombstone(phase, failure.clone()));
            tombstones.extend(failures.iter().map(with));
        }
        for record in [record(), plain] {
            for tombstone in &tombstones {
                let bytes = encode(&record, tombstone.as_ref());
                let stored = decode(record.id, bytes).expect("it can be read");
                assert_eq!((&stored.record, &stored.tombstone), (&record, tombstone));
            }
        }
    }

    #[test]
    fn a_header_alone_says_everything_but_text_and_payload() {
        let whole = record();
        let mut bytes = encode(&whole, None);
        bytes.truncate(HEADER);
        let stored = decode(whole.id, bytes).expect("it can be read");
        let (principal, payload) = (None, Payload::default());
        let expected = Record {
            principal,
            payload,
            ..whole
        };
        assert_eq!(stored.record, expected);
    }

    #[test]
    fn no_bytes_whatever_do_harm() {
        let whole = encode(&record(), Some(&tombstone(Phase::Dead, None)));
        let id = record().id;
        for length in 0..HEADER {
            let error = decode(id, whole[..length].to_vec()).expect_err("too short");
            assert_eq!(error.kind(), ErrorKind::Corrupt);
        }
        for place in 0..HEADER {
            for bit in 0..8 {
                let mut damaged = whole.clone();
                damaged[place] ^= 1 << bit;
                if let Err(error) = decode(id, damaged) {
                    assert_eq!(error.kind(), ErrorKind::Corrupt);
                }
            }
        }
    }
}
