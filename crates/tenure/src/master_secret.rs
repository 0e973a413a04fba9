//! The secret that everything is derived from: how it comes in, and which ones are
//! refused as guessable.

use std::fmt;
use std::path::Path;

use data_encoding::{BASE64, BASE64_NOPAD, HEXLOWER_PERMISSIVE};
use zeroize::Zeroizing;

use crate::{Error, OsRandomness, Randomness, Result, secret_text};

/// An [`Error::Key`] that ends in how to make a good secret.
macro_rules! refuse {
    ($what:literal) => {
        Err(Error::Key(concat!(
            $what,
            "; `openssl rand -hex 32` prints a good one"
        )))
    };
}

/// A secret of 32 to 1,024 random bytes from outside (an environment variable, a file),
/// from which a [`KeyRing`](crate::KeyRing) derives all keys. There is no default.
///
/// Make one with `openssl rand -hex 32`, and give the same one to all nodes of a
/// service. Whoever has it can read every payload and every token. It is wiped from
/// memory when dropped, and never shown.
///
/// ```
/// use tenure::MasterSecret;
///
/// let secret = MasterSecret::generate()?; // or from_env, from_file, from_text
/// assert_eq!(format!("{secret:?}"), "MasterSecret(..)");
/// assert!(MasterSecret::from_text("changeme").is_err());
/// # Ok::<(), tenure::Error>(())
/// ```
///
/// # Errors
/// All ways to make one fail with [`Error::Key`], which says what to do, for a secret
/// that is too short or too long, that nobody drew at random (a repeated pattern, bytes
/// that count up, fewer than 12 different bytes), or that was once printed in this
/// documentation.
pub struct MasterSecret(Zeroizing<Vec<u8>>);

impl MasterSecret {
    /// The shortest secret, in bytes.
    pub const MIN: usize = 32;
    /// The longest secret, in bytes.
    pub const MAX: usize = 1024;

    /// The secret of these bytes.
    ///
    /// # Errors
    /// See [`MasterSecret`].
    pub fn from_bytes(bytes: impl Into<Vec<u8>>) -> Result<Self> {
        let secret = Zeroizing::new(bytes.into());
        if secret.len() < Self::MIN {
            return refuse!("a master secret has at least 32 bytes");
        }
        if secret.len() > Self::MAX {
            return refuse!("a master secret has at most 1024 bytes");
        }
        if is_pattern(&secret) {
            return refuse!("the master secret is a pattern that anybody could guess");
        }
        if distinct(&secret) < LEAST_DISTINCT {
            return refuse!("the master secret has too few different bytes to be random");
        }
        if PRINTED.contains(&secret.as_slice()) {
            return refuse!("the master secret is a sample from the documentation");
        }
        Ok(Self(secret))
    }

    /// Whether a text that should be something else is that of a secret, padded or not.
    pub(crate) fn is_written_as(text: &str) -> bool {
        let unpadded = BASE64_NOPAD.decode(text.as_bytes());
        Self::from_text(text).is_ok() || unpadded.is_ok_and(|bytes| Self::from_bytes(bytes).is_ok())
    }

    /// The secret written as hexadecimal digits (of either case), or else as standard
    /// base64 with its padding. White space around it is ignored, none is allowed
    /// inside.
    ///
    /// # Errors
    /// See [`MasterSecret`]; also for any other text. A pass-phrase is not a secret.
    pub fn from_text(text: &str) -> Result<Self> {
        let text = text.trim_ascii();
        let encoding = if text.bytes().all(|byte| byte.is_ascii_hexdigit()) {
            HEXLOWER_PERMISSIVE
        } else {
            BASE64
        };
        match encoding.decode(text.as_bytes()) {
            Ok(bytes) => Self::from_bytes(bytes),
            Err(_) => refuse!("the master secret is neither hexadecimal nor padded base64"),
        }
    }

    /// The secret that an environment variable holds, as [text](Self::from_text).
    ///
    /// # Errors
    /// See [`MasterSecret`]; also if the variable is not set.
    pub fn from_env(variable: &str) -> Result<Self> {
        Self::from_text(&secret_text::from_env(variable)?)
    }

    /// The secret that a file holds, as [text](Self::from_text). Reads the file at once,
    /// blocking: for the start of a service. A file that every user of the machine can
    /// read or change is used, with a warning in the log.
    ///
    /// # Errors
    /// See [`MasterSecret`]; also if the file cannot be read.
    pub fn from_file(path: impl AsRef<Path>) -> Result<Self> {
        Self::from_text(&secret_text::from_file(path.as_ref())?)
    }

    /// A new secret that nobody else has: what was sealed under it is lost with the
    /// process. For tests, and for services whose sessions may end with them.
    ///
    /// # Errors
    /// [`Error::Randomness`] if the operating system gives no random bytes.
    pub fn generate() -> Result<Self> {
        let mut bytes = Zeroizing::new(vec![0; Self::MIN]);
        OsRandomness.fill(&mut bytes)?;
        Ok(Self(bytes))
    }

    pub(crate) fn as_bytes(&self) -> &[u8] {
        &self.0
    }
}

impl fmt::Debug for MasterSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("MasterSecret(..)")
    }
}

/// Samples that were good secrets: whoever copied one has a key that everybody knows. What is
/// printed today cannot be read as one.
const PRINTED: [&[u8]; 3] = [
    b"\x72\xae\x5d\x3f\x0a\xa0\xf4\xa2\xf4\xab\x2f\x3d\xd6\xfd\xa1\xf4\
      \xbd\x9a\x53\xe1\xfc\x39\xac\x0b\xdd\x1b\xc6\xfc\xf8\xd8\xe5\x1f",
    b"\xf5\xa8\xd1\x77\x4f\x6b\x7c\xd0\xb0\xfd\x5a\xb2\xa6\xe9\x6e\x0d\
      \xb2\xf8\xf6\xe2\xd0\xf0\xe6\xb1\xe0\xa8\x7c\x1f\x3f\x0c\x9d\x42",
    b"\xf6\xda\xb4\xbf\x76\x24\xe6\x8f\x21\x13\x6b\x15\xd6\x5a\x8d\xe9\
      \xbe\x1c\x5f\x0c\xca\x26\xd4\x7b\xb8\x07\xb4\x98\x6a\x43\x7c\x72",
];

/// 32 random bytes have fewer different ones less than once in 10^15 times; words and
/// numbers often do.
const LEAST_DISTINCT: usize = 12;

/// Whether it is one short piece over and over, or goes up or down by the same step.
fn is_pattern(bytes: &[u8]) -> bool {
    let repeats =
        (1..=bytes.len() / 2).any(|period| bytes[period..] == bytes[..bytes.len() - period]);
    let step = |pair: &[u8]| pair[1].wrapping_sub(pair[0]);
    let counts = bytes.windows(2).all(|pair| step(pair) == step(bytes));
    repeats || counts
}

fn distinct(bytes: &[u8]) -> usize {
    let mut seen = [false; 256];
    for byte in bytes {
        seen[usize::from(*byte)] = true;
    }
    seen.into_iter().filter(|seen| *seen).count()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::test_support::random_bytes;

    fn refusal(result: Result<MasterSecret>) -> String {
        match result {
            Err(error @ Error::Key(_)) => error.to_string(),
            other => panic!("expected a refused key, got {other:?}"),
        }
    }

    #[test]
    fn weak_secrets_are_refused_and_told_how_to_do_better() {
        let counting: Vec<u8> = (0..32).collect();
        let falling: Vec<u8> = (0..32).map(|i: u8| 255 - 3 * i).collect();
        let few: Vec<u8> = (0..64).map(|i: u8| i.wrapping_mul(i) % 11).collect();
        let twice = [random_bytes(1).as_slice(), &random_bytes(1)].concat();
        for weak in [
            vec![],
            random_bytes(1)[..31].to_vec(),
            random_bytes(1).repeat(33),
            vec![0; 32],
            vec![b'x'; 100],
            b"changeme".repeat(5),
            b"abcdefghijklmnopqrstuvwxyz1234567890".repeat(2),
            counting,
            falling,
            few,
            twice,
        ] {
            let told = refusal(MasterSecret::from_bytes(weak.clone()));
            assert!(told.contains("openssl rand -hex 32"), "{weak:?}: {told}");
        }
        assert!(MasterSecret::from_bytes(random_bytes(1)).is_ok());
    }

    #[test]
    fn samples_that_were_printed_once_are_refused() {
        for sample in [
            "72ae5d3f0aa0f4a2f4ab2f3dd6fda1f4bd9a53e1fc39ac0bdd1bc6fcf8d8e51f",
            "F5A8D1774F6B7CD0B0FD5AB2A6E96E0DB2F8F6E2D0F0E6B1E0A87C1F3F0C9D42",
            "9tq0v3Yk5o8hE2sV1lqN6b4cXwzKJtR7uAe0mGpDfHI=",
        ] {
            let told = refusal(MasterSecret::from_text(sample));
            assert!(told.contains("documentation"), "{told}");
            let line = crate::KeyRing::from_text(&format!("2026-11 {sample}"));
            assert!(matches!(line, Err(Error::KeyLine { line: 1, .. })));
        }
    }

    /// Else the next one who copies it has a key that everybody knows.
    #[test]
    fn no_page_prints_a_secret_that_would_be_taken() {
        let mut pages = Vec::new();
        let mut folders = vec![
            std::path::PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/src")),
            std::path::PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/README.md")),
        ];
        while let Some(path) = folders.pop() {
            if path.is_dir() {
                let inside = std::fs::read_dir(&path).expect("a folder");
                folders.extend(inside.map(|entry| entry.expect("an entry").path()));
            } else {
                pages.push(path);
            }
        }
        assert!(pages.len() > 40, "all of them are looked at");
        for page in pages {
            let text = std::fs::read_to_string(&page).expect("text");
            let is_page = page.extension().is_some_and(|extension| extension == "md");
            let documented = |line: &&str| is_page || line.trim_start().starts_with("//");
            for line in text.lines().filter(documented) {
                for word in
                    line.split(|sign: char| sign.is_whitespace() || "\"`'();,".contains(sign))
                {
                    assert!(
                        MasterSecret::from_text(word).is_err(),
                        "{}: {line}",
                        page.display()
                    );
                }
            }
        }
    }

    #[test]
    fn random_secrets_are_never_taken_for_weak_ones() {
        for _ in 0..2_000 {
            let secret = MasterSecret::generate().expect("the system has random bytes");
            assert!(MasterSecret::from_bytes(secret.as_bytes()).is_ok());
        }
    }

    #[test]
    fn text_is_hexadecimal_or_padded_base64_and_nothing_else() {
        let bytes = random_bytes(1);
        let hex = data_encoding::HEXLOWER.encode(&bytes);
        let base64 = BASE64.encode(&bytes);
        for good in [
            hex.clone(),
            hex.to_uppercase(),
            base64.clone(),
            format!("  {hex}\r\n"),
        ] {
            let secret = MasterSecret::from_text(&good).expect("good text");
            assert_eq!(secret.as_bytes(), bytes);
        }
        for bad in [
            "",
            "correct horse battery staple, and some more of the kind",
            &hex[..63],
            &format!("{}\n{}", &hex[..32], &hex[32..]),
            base64.trim_end_matches('='),
            &data_encoding::BASE64URL.encode(&[0xfb; 33]),
            &format!("0x{hex}"),
            &format!("\"{hex}\""),
        ] {
            refusal(MasterSecret::from_text(bad));
        }
    }

    #[test]
    fn a_file_is_read_as_text() {
        let folder = tempfile::tempdir().expect("a temporary folder can be made");
        let path = folder.path().join("key");
        let text = data_encoding::HEXLOWER.encode(&random_bytes(1)) + "\n";
        std::fs::write(&path, text).expect("a file to read");
        let read = MasterSecret::from_file(&path).expect("a good file");
        assert_eq!(read.as_bytes(), random_bytes(1));
    }

    #[test]
    fn errors_show_nothing_of_a_refused_secret() {
        let canary = "canary-canary-canary-canary-canary";
        let told = refusal(MasterSecret::from_text(canary));
        assert!(!told.contains("canary"));
        assert!(!refusal(MasterSecret::from_env(canary)).contains("canary"));
    }
}
