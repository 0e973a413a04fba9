//! What a caller may ask to be stored.

use tenure_store::{Entry, Error, ErrorKind, Payload, Record, Result, State};

/// As far as every backend counts exactly.
const MAX_ACCESSES: u64 = 1 << 53;

/// Far from where counting on would overflow.
const MAX_COUNT: u32 = u32::MAX / 2;

pub(crate) fn check_limit(limit: u32) -> Result<()> {
    if limit == 0 {
        return Err(Error::invalid("a limit is at least 1"));
    }
    Ok(())
}

pub(crate) fn check_payload(payload: &Payload, limit: usize) -> Result<()> {
    let length = payload.len();
    if length > limit {
        return Err(Error::new(
            ErrorKind::TooLarge,
            format!("a payload of {length} bytes, where {limit} are allowed"),
        ));
    }
    Ok(())
}

pub(crate) fn check_record(record: &Record, payload_limit: usize) -> Result<()> {
    if record.accesses > MAX_ACCESSES {
        return Err(Error::invalid("a session has at most 2^53 accesses"));
    }
    check_payload(&record.payload, payload_limit)
}

pub(crate) fn check_entry(entry: &Entry, payload_limit: usize) -> Result<()> {
    if let State::Ended(tombstone) = &entry.state {
        let counts = [tombstone.claims, tombstone.failures, tombstone.unsettled];
        if counts.iter().any(|count| *count > MAX_COUNT) {
            return Err(Error::invalid(
                "a tombstone was claimed and failed at most 2^31 - 1 times",
            ));
        }
    }
    check_record(&entry.record, payload_limit)
}
