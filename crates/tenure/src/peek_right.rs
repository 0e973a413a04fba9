//! The right to ask after one application's sessions: its token keys and nothing else, and
//! the text as which one service hands it to another.

use std::fmt;

use data_encoding::BASE64URL_NOPAD;
use sha2::{Digest, Sha256};
use tenure_store::{Namespace, Timestamp};
use zeroize::Zeroizing;

use crate::key_set::{KeySet, SourceKey};
use crate::seal::Purpose;
use crate::{Error, Result};

/// The right to [peek](crate::Peeker) into one application's sessions, made by whoever
/// holds the [ring](crate::KeyRing::peek_right).
///
/// It reads the tokens of that application: no attributes, and no token of another. Hand
/// it over as you would a password:
///
/// - With it and any token that a session ever had, one from before a log-in or a
///   rotation included, its holder can make a good token for that session. All of a
///   session's tokens hold the same secret, and differ in a number that the same key
///   encrypts. A token of another session is no help.
/// - With it and read access to the store, its holder learns which session, by id, a
///   token opens.
///
/// So a service that holds the right should see no more tokens than those of the
/// requests that it serves, and keep none of them.
///
/// A right goes by the keys that the ring had, with their end dates. So hand over a new
/// one once the ring accepts the next key, before that becomes the primary.
pub struct PeekRight {
    ns: Namespace,
    keys: KeySet,
    text: Zeroizing<String>,
}

const FORM: &str = "tenure-peek-1";
/// Id, key, and end date in milliseconds.
const KEY: usize = 3 + 32 + 8;
const CHECK: usize = 4;
/// The end date of a key that has none: beyond every instant.
const NEVER: i64 = i64::MAX;

impl PeekRight {
    /// The keys are an application's token keys, the primary first.
    pub(crate) fn new(ns: Namespace, keys: Vec<SourceKey>) -> Self {
        Self {
            keys: KeySet::new(Purpose::Token, &ns, &keys),
            text: write(&ns, &keys),
            ns,
        }
    }

    /// The right that a text [hands over](Self::expose). White space around it is ignored.
    ///
    /// # Errors
    /// `Key` for a text that is no right, or not a whole one.
    pub fn from_text(text: &str) -> Result<Self> {
        let Some((ns, keys)) = read(text.trim_ascii()) else {
            return Err(Error::Key(
                "this is not the whole text of a peek right; have it handed over again",
            ));
        };
        Ok(Self::new(ns, keys))
    }

    /// The right as text, of printable ASCII without blanks: for the other service, and
    /// nobody else.
    pub fn expose(&self) -> &str {
        &self.text
    }

    /// Whose sessions it lets see.
    pub fn namespace(&self) -> &Namespace {
        &self.ns
    }

    pub(crate) fn keys(&self) -> &KeySet {
        &self.keys
    }
}

impl fmt::Debug for PeekRight {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PeekRight({}, ..)", self.ns)
    }
}

/// `tenure-peek-1:portal:` and base64url of the keys and a check of all that.
fn write(ns: &Namespace, keys: &[SourceKey]) -> Zeroizing<String> {
    let mut body = Zeroizing::new(Vec::with_capacity(keys.len() * KEY + CHECK));
    for key in keys {
        let until = key.until.map_or(NEVER, Timestamp::as_millis);
        body.extend_from_slice(&key.id);
        body.extend_from_slice(&*key.bytes);
        body.extend_from_slice(&until.to_be_bytes());
    }
    let check = check(ns.application(), &body);
    body.extend_from_slice(&check);
    // With room from the start, so that no copy is left behind by growing.
    let front = [FORM, ":", ns.application(), ":"].concat();
    let length = front.len() + BASE64URL_NOPAD.encode_len(body.len());
    let mut text = Zeroizing::new(String::with_capacity(length));
    text.push_str(&front);
    BASE64URL_NOPAD.encode_append(&body, &mut text);
    text
}

fn read(text: &str) -> Option<(Namespace, Vec<SourceKey>)> {
    let (application, body) = text
        .strip_prefix(FORM)?
        .strip_prefix(':')?
        .split_once(':')?;
    let ns = Namespace::sessions(application).ok()?;
    let body = Zeroizing::new(BASE64URL_NOPAD.decode(body.as_bytes()).ok()?);
    let (body, told) = body.split_last_chunk()?;
    let (keys, rest) = body.as_chunks::<KEY>();
    if keys.is_empty() || !rest.is_empty() || *told != check(application, body) {
        return None;
    }
    let keys = keys.iter().map(read_key).collect::<Option<_>>()?;
    Some((ns, keys))
}

fn read_key(bytes: &[u8; KEY]) -> Option<SourceKey> {
    let (id, rest) = bytes.split_first_chunk()?;
    let (key, until) = rest.split_first_chunk()?;
    let until = match i64::from_be_bytes(until.try_into().ok()?) {
        NEVER => None,
        millis => Some(Timestamp::from_millis(millis).ok()?),
    };
    Some(SourceKey {
        id: *id,
        bytes: Zeroizing::new(*key),
        until,
    })
}

/// Finds slips of the hand. It proves nothing: who has the text may change it.
fn check(application: &str, body: &[u8]) -> [u8; CHECK] {
    let hash = Sha256::new()
        .chain_update(b"tenure/v1/peek right")
        .chain_update(application)
        .chain_update([0])
        .chain_update(body)
        .finalize();
    [hash[0], hash[1], hash[2], hash[3]]
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use tenure_store::SessionId;

    use super::*;
    use crate::KeyRing;
    use crate::keys::NamespaceKeys;
    use crate::payload::Sealing;
    use crate::secret::Secret;
    use crate::test_support::{Counting, NOW, keys, master, portal, token_keys};

    fn ring() -> KeyRing {
        let date = NOW.plus(Duration::from_secs(1));
        KeyRing::new("new", master(1))
            .and_then(|ring| ring.accept("old", master(2)))
            .and_then(|ring| ring.accept_until("older", master(3), date))
            .expect("three keys")
    }

    fn handed_over(right: &PeekRight) -> PeekRight {
        PeekRight::from_text(right.expose()).expect("a whole text")
    }

    fn opens(right: &PeekRight, seed: u32, ns: &Namespace, now: Timestamp) -> bool {
        let secret = Secret::draw(&Counting(0)).expect("it counts");
        let token = token_keys(&[seed], ns).seal_token(&secret, 0, &Counting(0));
        let token = token.expect("sealed");
        right.keys().open_token(token.as_str(), now).is_some()
    }

    #[test]
    fn a_right_reads_the_tokens_under_each_key_of_the_ring_until_its_date() {
        let right = ring().peek_right("portal").expect("a good name");
        let date = NOW.plus(Duration::from_secs(1));
        for right in [&right, &handed_over(&right)] {
            for seed in [1, 2, 3] {
                assert!(opens(right, seed, &portal(), NOW), "key {seed}");
            }
            assert!(!opens(right, 4, &portal(), NOW));
            assert!(opens(right, 2, &portal(), date));
            assert!(!opens(right, 3, &portal(), date));
        }
    }

    #[test]
    fn a_right_reads_no_token_of_another_application_and_makes_none() {
        let right = handed_over(&ring().peek_right("portal").expect("a good name"));
        let secret = Secret::draw(&Counting(0)).expect("it counts");
        let made = right.keys().seal_token(&secret, 0, &Counting(0));
        let made = made.expect("sealed");
        for other in [Namespace::sessions("shop"), Namespace::visitors("portal")] {
            let other = other.expect("a good name");
            assert!(!opens(&right, 1, &other, NOW));
            let theirs = token_keys(&[1], &other);
            assert!(theirs.open_token(made.as_str(), NOW).is_none());
        }
    }

    #[test]
    fn a_right_opens_no_payload() {
        let id = SessionId::from_digest([1; 16]);
        let payload = keys(&[1], &portal()).seal_payload(id, b"a frame".to_vec(), &Counting(0));
        let payload = payload.expect("sealed");
        // Even where it is used as what it is not: all keys that it holds are tried, as
        // keys for payloads.
        let (ns, keys) =
            read(ring().peek_right("portal").expect("a good name").expose()).expect("a whole text");
        let misused = NamespaceKeys {
            tokens: KeySet::new(Purpose::Token, &ns, &keys),
            payloads: KeySet::new(Purpose::Payload, &ns, &keys),
            sealing: Sealing::On,
        };
        assert!(matches!(
            misused.open_payload(id, payload, NOW),
            Err(Error::Unreadable(
                "they are damaged, or belong to another session"
            ))
        ));
    }

    #[test]
    fn every_other_text_is_refused() {
        let right = ring().peek_right("portal").expect("a good name");
        let good = right.expose();
        let mut bad: Vec<String> = (0..good.len()).map(|end| good[..end].to_owned()).collect();
        bad.extend((0..good.len()).map(|at| {
            let other = if good.as_bytes()[at] == b'A' {
                'B'
            } else {
                'A'
            };
            format!("{}{other}{}", &good[..at], &good[at + 1..])
        }));
        bad.push(good.replace("portal", "shop"));
        bad.push(format!("{good}="));
        bad.push(format!("{good}{good}"));
        bad.push(write(&portal(), &[]).to_string());
        for text in bad {
            let refused = PeekRight::from_text(&text);
            assert!(matches!(refused, Err(Error::Key(_))), "{text}");
        }
        assert!(PeekRight::from_text(&format!(" {good}\r\n")).is_ok());
        assert!(ring().peek_right("no name").is_err());
    }

    #[test]
    fn debug_shows_whose_sessions_and_nothing_else() {
        let right = ring().peek_right("portal").expect("a good name");
        assert_eq!(format!("{right:?}"), "PeekRight(portal/sessions, ..)");
    }
}
