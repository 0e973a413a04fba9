//! What the client holds: secret and rotation number, sealed under a key that no store
//! knows. 51 bytes, 68 characters, one spelling.

use std::fmt;

use data_encoding::BASE64URL_NOPAD;
use tenure_store::{Rotation, Timestamp};
use zeroize::Zeroizing;

use crate::key_set::{KeyAge, KeySet};
use crate::seal::{self, OVERHEAD, VERSION};
use crate::secret::Secret;
use crate::{Randomness, Result};

/// What the client holds: 68 characters of `A-Z a-z 0-9 - _`, fit for a cookie, a header
/// or a URL, from which nobody without the key learns anything.
///
/// Whoever has it has the session. So it is wiped from memory when dropped, its `Debug`
/// form shows nothing, and it cannot be printed, serialised or compared by accident:
/// [`as_str`](Self::as_str) is the one way out.
///
/// ```
/// use tenure::Token;
///
/// let token = Token::new("whatever the client sent");
/// assert_eq!(format!("{token:?}"), "Token(..)");
/// ```
#[derive(Clone)]
pub struct Token(Zeroizing<String>);

impl Token {
    /// A token as a client sent it. Any text will do: whether it opens a session is told
    /// when it is used.
    pub fn new(text: impl Into<String>) -> Self {
        Self(Zeroizing::new(text.into()))
    }

    /// The characters to send to the client.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Token(..)")
    }
}

/// What a good token says.
#[derive(Debug)]
pub(crate) struct OpenedToken {
    pub(crate) secret: Secret,
    pub(crate) rotation: u32,
    /// A token under an accepted key is to be issued anew.
    pub(crate) key: KeyAge,
}

/// Secret, and rotation number in 24 bits.
const TEXT: usize = Secret::LENGTH + 3;
const SEALED: usize = TEXT + OVERHEAD;
/// 51 bytes fill 68 characters to the last bit, so that there are no two spellings.
const CHARACTERS: usize = SEALED / 3 * 4;
const _: () = assert!(SEALED == 51 && CHARACTERS == 68);

impl KeySet {
    /// A new token for a session. No two are the same.
    pub(crate) fn seal_token(
        &self,
        secret: &Secret,
        rotation: u32,
        random: &dyn Randomness,
    ) -> Result<Token> {
        let rotation = Rotation::new(rotation, None)?.number();
        let mut token = Zeroizing::new(Vec::with_capacity(SEALED));
        token.extend_from_slice(secret.as_bytes());
        token.extend_from_slice(&rotation.to_be_bytes()[1..]);
        self.primary().seal(&mut token, &[], random)?;
        // Not `encode`, which asks for zeroed bytes: for the C library's allocator that is
        // work for one thread at a time.
        let mut text = String::with_capacity(CHARACTERS);
        BASE64URL_NOPAD.encode_append(&token, &mut text);
        Ok(Token::new(text))
    }

    /// What a token says; `None` for anything that is not a token of this namespace under
    /// a key that these hold at this instant, whatever is wrong with it.
    pub(crate) fn open_token(&self, text: &str, now: Timestamp) -> Option<OpenedToken> {
        if text.len() != CHARACTERS {
            return None;
        }
        let mut sealed = Zeroizing::new([0; SEALED]);
        BASE64URL_NOPAD
            .decode_mut(text.as_bytes(), &mut *sealed)
            .ok()?;
        let (VERSION, id) = seal::header(&*sealed)? else {
            return None;
        };
        self.with_id(id, now).find_map(|(age, key)| {
            let mut opened = sealed.clone();
            let text = key.open(&mut *opened, &[])?;
            let (secret, rotation) = opened[text].split_first_chunk()?;
            Some(OpenedToken {
                secret: Secret::from_bytes(secret),
                rotation: rotation
                    .iter()
                    .fold(0, |number, byte| number << 8 | u32::from(*byte)),
                key: age,
            })
        })
    }
}

#[cfg(test)]
mod tests {
    use tenure_store::Namespace;

    use super::*;
    use crate::test_support::{Counting, NOW, NoRandomness, portal, token_keys};
    use crate::{Error, OsRandomness};

    const ALPHABET: &str = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

    fn token(keys: &KeySet) -> Token {
        let secret = Secret::draw(&Counting(0)).expect("it counts");
        keys.seal_token(&secret, 7, &OsRandomness).expect("sealed")
    }

    #[test]
    fn a_token_says_what_was_sealed() {
        let keys = token_keys(&[1], &portal());
        for rotation in [0, 1, 255, 256, 0x01_02_03, Rotation::MAX] {
            let secret = Secret::draw(&OsRandomness).expect("random");
            let token = keys
                .seal_token(&secret, rotation, &OsRandomness)
                .expect("sealed");
            let opened = keys.open_token(token.as_str(), NOW).expect("opens");
            assert_eq!(opened.secret.as_bytes(), secret.as_bytes());
            assert_eq!(opened.rotation, rotation);
            assert_eq!(opened.key, KeyAge::Primary);
            assert!(token.as_str().chars().all(|c| ALPHABET.contains(c)));
        }
    }

    #[test]
    fn no_two_tokens_are_alike_even_of_one_session() {
        let keys = token_keys(&[1], &portal());
        assert_ne!(token(&keys).as_str(), token(&keys).as_str());
    }

    #[test]
    fn a_rotation_beyond_24_bits_is_refused() {
        let secret = Secret::draw(&Counting(0)).expect("it counts");
        let refused = token_keys(&[1], &portal()).seal_token(&secret, 1 << 24, &OsRandomness);
        assert!(matches!(refused, Err(Error::Store(_))));
    }

    #[test]
    fn without_random_bytes_there_is_no_token() {
        let secret = Secret::draw(&Counting(0)).expect("it counts");
        let refused = token_keys(&[1], &portal()).seal_token(&secret, 0, &NoRandomness);
        assert!(matches!(refused, Err(Error::Randomness(_))));
    }

    #[test]
    fn every_flipped_bit_is_refused() {
        let keys = token_keys(&[1], &portal());
        let sealed = BASE64URL_NOPAD
            .decode(token(&keys).as_str().as_bytes())
            .expect("base64");
        for bit in 0..SEALED * 8 {
            let mut forged = sealed.clone();
            forged[bit / 8] ^= 1 << (bit % 8);
            let forged = BASE64URL_NOPAD.encode(&forged);
            assert!(keys.open_token(&forged, NOW).is_none(), "bit {bit}");
        }
    }

    #[test]
    fn every_changed_character_is_refused() {
        let keys = token_keys(&[1], &portal());
        let token = token(&keys);
        let good = token.as_str();
        for at in 0..good.len() {
            for other in (0..=127u8).map(char::from) {
                let forged = format!("{}{other}{}", &good[..at], &good[at + 1..]);
                let opens = keys.open_token(&forged, NOW).is_some();
                assert_eq!(opens, forged == good, "{other:?} at {at}");
            }
        }
        // As many bytes, fewer characters.
        let forged = format!("é{}", &good[2..]);
        assert!(keys.open_token(&forged, NOW).is_none());
    }

    #[test]
    fn every_other_length_is_refused() {
        let keys = token_keys(&[1], &portal());
        let token = token(&keys);
        let good = token.as_str();
        for end in 0..good.len() {
            assert!(
                keys.open_token(&good[..end], NOW).is_none(),
                "{end} characters"
            );
            assert!(keys.open_token(&good[end + 1..], NOW).is_none());
        }
        for more in ALPHABET.chars().chain("=\n \t\0".chars()) {
            assert!(keys.open_token(&format!("{good}{more}"), NOW).is_none());
            assert!(keys.open_token(&format!("{more}{good}"), NOW).is_none());
        }
        assert!(keys.open_token(&good.repeat(2), NOW).is_none());
        assert!(keys.open_token(&"A".repeat(1 << 20), NOW).is_none());
    }

    #[test]
    fn a_token_of_another_application_kind_or_ring_is_noise() {
        let token = token(&token_keys(&[1], &portal()));
        let namespace = |ns: tenure_store::Result<Namespace>| ns.expect("a good name");
        for other in [
            token_keys(&[1], &namespace(Namespace::sessions("portal2"))),
            token_keys(&[1], &namespace(Namespace::sessions("Portal"))),
            token_keys(&[1], &namespace(Namespace::visitors("portal"))),
            token_keys(&[2], &portal()),
        ] {
            assert!(other.open_token(token.as_str(), NOW).is_none());
        }
    }

    #[test]
    fn a_session_id_is_no_token() {
        let keys = token_keys(&[1], &portal());
        let id = Secret::draw(&Counting(0)).expect("it counts").session_id();
        assert!(keys.open_token(&id.to_string(), NOW).is_none());
        let padded = [id.as_bytes().as_slice(), &[0; SEALED - 16]].concat();
        assert!(
            keys.open_token(&BASE64URL_NOPAD.encode(&padded), NOW)
                .is_none()
        );
    }

    #[test]
    fn a_token_under_an_accepted_key_opens_and_is_told_to_be_old() {
        let old = token(&token_keys(&[1], &portal()));
        let opened = token_keys(&[2, 1], &portal()).open_token(old.as_str(), NOW);
        assert_eq!(opened.expect("accepted").key, KeyAge::Accepted);
        assert!(
            token_keys(&[2, 3], &portal())
                .open_token(old.as_str(), NOW)
                .is_none()
        );
    }

    #[test]
    fn keys_that_happen_to_share_an_id_both_open() {
        // Two of the first 5,250 seeds, found by trying.
        let (older, newer) = (2909, 5249);
        let (old, new) = (
            token_keys(&[older], &portal()),
            token_keys(&[newer], &portal()),
        );
        assert_eq!(old.primary().id(), new.primary().id());

        let both = token_keys(&[newer, older], &portal());
        let opened = both.open_token(token(&old).as_str(), NOW).expect("opens");
        assert_eq!(opened.key, KeyAge::Accepted);
        let opened = both.open_token(token(&new).as_str(), NOW).expect("opens");
        assert_eq!(opened.key, KeyAge::Primary);
        assert!(new.open_token(token(&old).as_str(), NOW).is_none());
    }

    #[test]
    fn debug_shows_nothing_of_a_token() {
        let keys = token_keys(&[1], &portal());
        let token = token(&keys);
        assert_eq!(format!("{token:?}"), "Token(..)");
        let opened = keys.open_token(token.as_str(), NOW).expect("opens");
        assert_eq!(
            format!("{opened:?}"),
            "OpenedToken { secret: Secret(..), rotation: 7, key: Primary }"
        );
    }
}
