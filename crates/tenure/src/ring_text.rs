//! The text form of a ring: a line for each key, the primary first.

use tenure_store::Timestamp;

use crate::{Error, KeyRing, MasterSecret, Result};

/// Reads a whole ring. Nothing of a refused line is shown: whatever stands in a wrong
/// place may be the secret.
pub(crate) fn parse(text: &str) -> Result<KeyRing> {
    let mut ring = None;
    for (number, line) in (1..).zip(text.lines()) {
        let keys = line.split('#').next().unwrap_or_default();
        for key in keys.split(';') {
            ring = add(ring, key).map_err(|error| match error {
                Error::Key(why) => Error::KeyLine { line: number, why },
                other => other,
            })?;
        }
    }
    ring.ok_or(Error::Key(
        "there is no key in it; write a line with a name and a secret",
    ))
}

fn add(ring: Option<KeyRing>, key: &str) -> Result<Option<KeyRing>> {
    let words: Vec<&str> = key.split_ascii_whitespace().collect();
    let (name, secret, until) = match words[..] {
        [] => return Ok(ring),
        [name, secret] => (name, secret, None),
        [name, secret, "until", date] => (name, secret, Some(instant(date)?)),
        _ => {
            return Err(Error::Key(
                "a key is a name and a secret, and for an accepted one `until` and a date",
            ));
        }
    };
    let secret = MasterSecret::from_text(secret)?;
    match (ring, until) {
        (None, None) => KeyRing::new(name, secret),
        (None, Some(_)) => Err(Error::Key(
            "the first key is the primary, which has no end date",
        )),
        (Some(ring), None) => ring.accept(name, secret),
        (Some(ring), Some(until)) => ring.accept_until(name, secret, until),
    }
    .map(Some)
}

/// An instant of RFC 3339 in its one spelling here: UTC, to the second. No plain number,
/// which would be taken for seconds by some and for milliseconds by others.
fn instant(text: &str) -> Result<Timestamp> {
    parts(text).ok_or(Error::Key(
        "an end date is written in UTC, such as 2027-01-01T00:00:00Z",
    ))
}

fn parts(text: &str) -> Option<Timestamp> {
    let bytes = text.as_bytes();
    let signs = [(4, b'-'), (7, b'-'), (10, b'T'), (13, b':'), (16, b':')];
    if bytes.len() != 20 || bytes[19] != b'Z' || signs.iter().any(|(at, sign)| bytes[*at] != *sign)
    {
        return None;
    }
    let number = |from: usize, to: usize| {
        let digit = |n: i64, byte: &u8| {
            byte.is_ascii_digit()
                .then(|| n * 10 + i64::from(byte - b'0'))
        };
        bytes[from..to].iter().try_fold(0, digit)
    };
    let (year, month, day) = (number(0, 4)?, number(5, 7)?, number(8, 10)?);
    let (hour, minute, second) = (number(11, 13)?, number(14, 16)?, number(17, 19)?);
    let exists = (1..=12).contains(&month) && (1..=days_in(year, month)).contains(&day);
    if !exists || hour > 23 || minute > 59 || second > 59 {
        return None;
    }
    let days = days_before_year(year) - days_before_year(1970)
        + (1..month).map(|month| days_in(year, month)).sum::<i64>()
        + day
        - 1;
    let seconds = ((days * 24 + hour) * 60 + minute) * 60 + second;
    Some(Timestamp::from_millis_clamped(seconds * 1000))
}

fn is_leap(year: i64) -> bool {
    year % 4 == 0 && (year % 100 != 0 || year % 400 == 0)
}

fn days_in(year: i64, month: i64) -> i64 {
    match month {
        2 => 28 + i64::from(is_leap(year)),
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
}

/// From the first day of year 1, as if today's calendar had always been.
fn days_before_year(year: i64) -> i64 {
    let past = year - 1;
    past * 365 + past.div_euclid(4) - past.div_euclid(100) + past.div_euclid(400)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::seal::Purpose;
    use crate::test_support::random_bytes;

    fn hex(seed: u32) -> String {
        data_encoding::HEXLOWER.encode(&random_bytes(seed))
    }

    fn base64(seed: u32) -> String {
        data_encoding::BASE64.encode(&random_bytes(seed))
    }

    fn millis(text: &str) -> Option<i64> {
        parts(text).map(Timestamp::as_millis)
    }

    #[test]
    fn the_first_key_is_the_primary_and_the_others_are_accepted() {
        let text = format!(
            "# keys of the portal\r\n\r\n new\t{}  # since May\r\n\
             old {} until 2027-01-01T00:00:00Z; older {}\n;;\n",
            hex(1),
            base64(2),
            hex(3)
        );
        let ring = KeyRing::from_text(&text).expect("a good text");
        assert_eq!(ring.names().collect::<Vec<_>>(), ["new", "old", "older"]);
        let keys: Vec<_> = ring.source_keys(Purpose::Token, "portal").collect();
        let dates: Vec<_> = keys
            .iter()
            .map(|key| key.until.map(Timestamp::as_millis))
            .collect();
        assert_eq!(dates, [None, Some(1_798_761_600_000), None]);
        let alone = KeyRing::from_text(&format!("x {}", hex(2))).expect("one key");
        let alone = alone.source_keys(Purpose::Token, "portal").next();
        assert_eq!(
            keys[1].id,
            alone.expect("a key").id,
            "base64 is the same secret"
        );
    }

    #[test]
    fn a_bad_line_is_told_by_its_number_and_nothing_of_it_is_shown() {
        let good = format!("good {}\n", hex(1));
        let second = |line: String| format!("{good}{line}");
        for (text, line) in [
            (hex(2), 1),
            (format!("{} canary", hex(2)), 1),
            (format!("canary = {}", hex(2)), 1),
            ("canary changeme".to_owned(), 1),
            (format!("first {} until 2027-01-01T00:00:00Z", hex(2)), 1),
            (second(format!("canary {} until", hex(2))), 2),
            (second(format!("canary {} until canary", hex(2))), 2),
            (
                second(format!("canary {} till 2027-01-01T00:00:00Z", hex(2))),
                2,
            ),
            (second(format!("canary {} until 1798761600000", hex(2))), 2),
            (
                second(format!("canary {} more canary {}", hex(2), hex(3))),
                2,
            ),
            (second(format!("good {}", hex(2))), 2),
            (second(format!("canary {}", hex(1))), 2),
            (second(format!("\n\nca/nary {}", hex(2))), 4),
        ] {
            let error = KeyRing::from_text(&text).expect_err("a bad line");
            assert!(
                matches!(error, Error::KeyLine { line: told, .. } if told == line),
                "{text}"
            );
            let shown = format!("{error} {error:?}");
            for part in ["canary", &hex(1)[..6], &hex(2)[..6], "changeme"] {
                assert!(!shown.contains(part), "{shown}");
            }
        }
        for empty in ["", "\n", "# new secret\n;"] {
            assert!(matches!(KeyRing::from_text(empty), Err(Error::Key(_))));
        }
    }

    #[test]
    fn dates_are_counted_from_1970() {
        for (text, expected) in [
            ("1970-01-01T00:00:00Z", 0),
            ("1969-12-31T23:59:59Z", -1_000),
            ("2000-02-29T12:30:15Z", 951_827_415_000),
            ("2026-11-22T00:00:00Z", 1_795_305_600_000),
            ("2100-03-01T00:00:00Z", 4_107_542_400_000),
            ("0001-01-01T00:00:00Z", -62_135_596_800_000),
            ("9999-12-31T23:59:59Z", 253_402_300_799_000),
        ] {
            assert_eq!(millis(text), Some(expected), "{text}");
        }
    }

    #[test]
    fn dates_that_do_not_exist_or_are_spelt_otherwise_are_refused() {
        for bad in [
            "",
            "2027-01-01",
            "2027-01-01 00:00:00Z",
            "2027-01-01T00:00:00",
            "2027-01-01T00:00:00z",
            "2027-01-01T00:00:00.000Z",
            "2027-01-01T00:00:00+00:00",
            "2027-1-01T00:00:00ZZ",
            "+027-01-01T00:00:00Z",
            "2027-00-01T00:00:00Z",
            "2027-13-01T00:00:00Z",
            "2027-02-29T00:00:00Z",
            "2100-02-29T00:00:00Z",
            "2027-04-31T00:00:00Z",
            "2027-01-00T00:00:00Z",
            "2027-01-01T24:00:00Z",
            "2027-01-01T00:60:00Z",
            "2027-01-01T00:00:60Z",
            "2027-01-01T00:00:0éZ",
        ] {
            assert_eq!(millis(bad), None, "{bad}");
        }
    }
}
