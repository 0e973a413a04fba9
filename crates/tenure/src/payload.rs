//! What a store holds of the attributes: their frame, sealed, and bound to the one
//! session it belongs to; or in the clear, where a service said so.

use bytes::{Buf, Bytes, BytesMut};
use tenure_store::{Payload, Record, SessionId, Timestamp};

use crate::attributes::Attributes;
use crate::keys::NamespaceKeys;
use crate::seal::{self, PLAIN, VERSION};
use crate::{Error, Randomness, Result};

/// Whether payloads are encrypted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Sealing {
    /// Every one is. One in the clear is refused: else whoever can write to the store
    /// could put any attributes into a session.
    #[default]
    On,
    /// New ones are; those in the clear are still read, on the way back from `Off`.
    PlainAccepted,
    /// New ones are not; encrypted ones are still read.
    Off,
}

impl NamespaceKeys {
    /// The payload to store for a session. Encrypts where the frame lies, if there is
    /// [room](seal::OVERHEAD) behind it.
    pub(crate) fn seal_payload(
        &self,
        id: SessionId,
        mut frame: Vec<u8>,
        random: &dyn Randomness,
    ) -> Result<Payload> {
        match self.sealing {
            Sealing::On | Sealing::PlainAccepted => {
                let key = self.payloads.primary();
                key.seal(&mut frame, id.as_bytes(), random)?;
            }
            Sealing::Off => frame.insert(0, PLAIN),
        }
        Ok(Payload::new(frame))
    }

    /// Whether a payload is in the form in which it would be written now: under the
    /// primary key, or in the clear.
    pub(crate) fn is_up_to_date(&self, payload: &Payload) -> bool {
        match self.sealing {
            Sealing::On | Sealing::PlainAccepted => {
                let primary = (VERSION, self.payloads.primary().id());
                seal::header(payload.as_bytes()) == Some(primary)
            }
            Sealing::Off => payload.as_bytes().first() == Some(&PLAIN),
        }
    }

    /// Takes the payload out of a record and reads it.
    pub(crate) fn open(&self, record: &mut Record, now: Timestamp) -> Result<Attributes> {
        let payload = std::mem::take(&mut record.payload);
        Attributes::decode(self.open_payload(record.id, payload, now)?)
    }

    /// The frame in a session's payload.
    pub(crate) fn open_payload(
        &self,
        id: SessionId,
        payload: Payload,
        now: Timestamp,
    ) -> Result<Bytes> {
        let sealed = payload.into_bytes();
        if sealed.first() == Some(&PLAIN) {
            if self.sealing == Sealing::On {
                return Err(Error::Unreadable(
                    "they are not encrypted, and only encrypted ones are taken",
                ));
            }
            return Ok(sealed.slice(1..));
        }
        let Some((version, key_id)) = seal::header(&sealed) else {
            return Err(Error::Unreadable("they are too short to be whole"));
        };
        if version != VERSION {
            return Err(Error::Unreadable(
                "their form is unknown; a newer version wrote them, or they are damaged",
            ));
        }
        let mut keys = self.payloads.with_id(key_id, now).peekable();
        if keys.peek().is_none() {
            return Err(Error::Unreadable(
                "their key is not in the ring, or past its date",
            ));
        }
        // Its own memory if nobody else holds it, as after most loads; else a copy.
        let mut sealed = BytesMut::from(sealed);
        while let Some((_, key)) = keys.next() {
            // What fails to open is worth nothing afterwards.
            let mut opened = match keys.peek() {
                Some(_) => sealed.clone(),
                None => std::mem::take(&mut sealed),
            };
            if let Some(text) = key.open(&mut opened, id.as_bytes()) {
                opened.truncate(text.end);
                opened.advance(text.start);
                return Ok(opened.freeze());
            }
        }
        Err(Error::Unreadable(
            "they are damaged, or belong to another session",
        ))
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use tenure_store::Namespace;

    use super::*;
    use crate::OsRandomness;
    use crate::test_support::{NOW, NoRandomness, keys, portal};
    use crate::{KeyRing, test_support::master};

    fn id(last: u8) -> SessionId {
        SessionId::from_digest([last; 16])
    }

    fn sealed(keys: &NamespaceKeys) -> Payload {
        keys.seal_payload(id(1), b"a frame".to_vec(), &OsRandomness)
            .expect("sealed")
    }

    fn why(result: Result<Bytes>) -> &'static str {
        match result {
            Err(Error::Unreadable(why)) => why,
            other => panic!("expected an unreadable payload, got {other:?}"),
        }
    }

    #[test]
    fn a_payload_opens_where_it_belongs() {
        let keys = keys(&[1], &portal());
        for length in [0, 1, 15, 16, 17, 100_000] {
            let frame = vec![0x61; length];
            let payload = keys
                .seal_payload(id(1), frame.clone(), &OsRandomness)
                .expect("sealed");
            assert_eq!(payload.len(), length + seal::OVERHEAD);
            assert_eq!(
                keys.open_payload(id(1), payload, NOW).expect("opens"),
                frame
            );
        }
    }

    #[test]
    fn a_payload_moved_to_another_session_application_or_kind_is_unreadable() {
        let payload = sealed(&keys(&[1], &portal()));
        assert_eq!(
            why(keys(&[1], &portal()).open_payload(id(2), payload.clone(), NOW)),
            "they are damaged, or belong to another session"
        );
        for ns in [Namespace::sessions("shop"), Namespace::visitors("portal")] {
            let other = keys(&[1], &ns.expect("a good name"));
            why(other.open_payload(id(1), payload.clone(), NOW));
        }
    }

    #[test]
    fn a_payload_reads_while_its_key_is_in_the_ring() {
        let payload = sealed(&keys(&[1], &portal()));
        let frame = keys(&[2, 1], &portal()).open_payload(id(1), payload.clone(), NOW);
        assert_eq!(frame.expect("accepted"), b"a frame"[..]);
        assert_eq!(
            why(keys(&[2], &portal()).open_payload(id(1), payload, NOW)),
            "their key is not in the ring, or past its date"
        );
    }

    #[test]
    fn keys_that_happen_to_share_an_id_both_read() {
        let payload = sealed(&keys(&[2909], &portal()));
        let both = keys(&[5249, 2909], &portal());
        assert_eq!(
            both.payloads.primary().id(),
            keys(&[2909], &portal()).payloads.primary().id()
        );
        assert!(both.open_payload(id(1), payload, NOW).is_ok());
    }

    #[test]
    fn every_flipped_bit_and_every_other_length_is_unreadable() {
        let keys = keys(&[1], &portal());
        let good = sealed(&keys).into_bytes();
        for bit in 0..good.len() * 8 {
            let mut damaged = good.to_vec();
            damaged[bit / 8] ^= 1 << (bit % 8);
            why(keys.open_payload(id(1), Payload::new(damaged), NOW));
        }
        for end in 0..good.len() {
            why(keys.open_payload(id(1), Payload::new(good.slice(..end)), NOW));
        }
        why(keys.open_payload(id(1), Payload::new([&good[..], &[0]].concat()), NOW));
    }

    #[test]
    fn a_payload_of_a_newer_version_is_told_as_such() {
        let keys = keys(&[1], &portal());
        let mut newer = sealed(&keys).into_bytes().to_vec();
        newer[0] = VERSION + 1;
        let why = why(keys.open_payload(id(1), Payload::new(newer), NOW));
        assert!(why.contains("newer version"), "{why}");
    }

    #[test]
    fn a_payload_is_sealed_where_it_lies() {
        let keys = keys(&[1], &portal());
        let mut attributes = Attributes::default();
        attributes.set("theme", Bytes::from(vec![0x61; 1000]));
        let frame = attributes.encode();
        let place = frame.as_ptr();

        let payload = keys
            .seal_payload(id(1), frame, &OsRandomness)
            .expect("sealed");
        assert_eq!(payload.as_bytes().as_ptr(), place);
    }

    #[test]
    fn a_payload_is_opened_where_it_lies_unless_others_hold_it_too() {
        let keys = keys(&[1], &portal());
        let payload = sealed(&keys);
        let theirs = payload.clone();
        let frame = keys.open_payload(id(1), payload, NOW).expect("opens");
        assert_eq!(frame, b"a frame"[..]);

        let place = theirs.as_bytes().as_ptr_range();
        let frame = keys.open_payload(id(1), theirs, NOW).expect("it is whole");
        assert_eq!(frame, b"a frame"[..]);
        assert!(place.contains(&frame.as_ptr()));
    }

    #[test]
    fn without_random_bytes_nothing_is_sealed() {
        let refused = keys(&[1], &portal()).seal_payload(id(1), vec![], &NoRandomness);
        assert!(matches!(refused, Err(Error::Randomness(_))));
    }

    #[test]
    fn a_payload_under_a_key_past_its_date_is_unreadable() {
        let payload = sealed(&keys(&[1], &portal()));
        let until = |at| {
            let ring = KeyRing::new("new", master(2)).expect("a good name");
            let ring = ring
                .accept_until("old", master(1), at)
                .expect("another key");
            NamespaceKeys::new(&ring, &portal(), Sealing::On)
        };
        let later = until(NOW.plus(Duration::from_millis(1)));
        assert!(later.open_payload(id(1), payload.clone(), NOW).is_ok());
        why(until(NOW).open_payload(id(1), payload, NOW));
    }

    #[test]
    fn a_payload_is_up_to_date_if_it_would_be_written_so_today() {
        let with = |seeds, sealing| NamespaceKeys {
            sealing,
            ..keys(seeds, &portal())
        };
        let write = |keys: &NamespaceKeys| sealed(keys);
        let (old, new) = (with(&[1], Sealing::On), with(&[2, 1], Sealing::On));
        let (mixed, off) = (
            with(&[2, 1], Sealing::PlainAccepted),
            with(&[2, 1], Sealing::Off),
        );
        for (writer, of_today) in [
            (&old, [true, false, false, false]),
            (&new, [false, true, true, false]),
            (&mixed, [false, true, true, false]),
            (&off, [false, false, false, true]),
        ] {
            let payload = write(writer);
            let told = [&old, &new, &mixed, &off].map(|keys| keys.is_up_to_date(&payload));
            assert_eq!(told, of_today);
        }
        assert!(!new.is_up_to_date(&Payload::default()));
    }

    #[test]
    fn a_payload_in_the_clear_is_read_only_where_it_was_asked_for() {
        let with = |sealing| NamespaceKeys {
            sealing,
            ..keys(&[1], &portal())
        };
        let plain = sealed(&with(Sealing::Off));
        assert_eq!(plain.as_bytes(), b"\0a frame");
        let told = why(with(Sealing::On).open_payload(id(1), plain.clone(), NOW));
        assert!(told.contains("not encrypted"), "{told}");
        for sealing in [Sealing::Off, Sealing::PlainAccepted] {
            let keys = with(sealing);
            let frame = keys.open_payload(id(1), plain.clone(), NOW);
            assert_eq!(frame.expect("reads"), b"a frame"[..]);
            let encrypted = sealed(&with(Sealing::On));
            assert!(keys.open_payload(id(1), encrypted, NOW).is_ok());
        }
        assert_ne!(sealed(&with(Sealing::PlainAccepted)).as_bytes()[0], PLAIN);
    }
}
