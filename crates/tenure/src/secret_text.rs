//! How text with secrets in it comes in from outside: an environment variable, or a file
//! that not everybody should read.

use std::fs::File;
use std::io::{ErrorKind, Read};
use std::path::Path;

use zeroize::Zeroizing;

use crate::{Error, Result};

/// More than any ring takes as text.
const FILE_LIMIT: usize = 64 << 10;

pub(crate) fn from_env(variable: &str) -> Result<Zeroizing<String>> {
    match std::env::var(variable) {
        Ok(text) => Ok(Zeroizing::new(text)),
        Err(std::env::VarError::NotPresent) => Err(Error::Key(
            "the environment variable is not set; `openssl rand -hex 32` prints a good secret",
        )),
        Err(std::env::VarError::NotUnicode(_)) => {
            Err(Error::Key("the environment variable is not text"))
        }
    }
}

pub(crate) fn from_file(path: &Path) -> Result<Zeroizing<String>> {
    // With room from the start, so that no copy is left behind by growing; and cut
    // off, so that a device that never ends is no trap.
    let mut text = Zeroizing::new(String::with_capacity(2 * FILE_LIMIT));
    let read = File::open(path).and_then(|file| {
        warn_if_open_to_all(&file, path);
        file.take(FILE_LIMIT as u64).read_to_string(&mut text)
    });
    match read {
        Ok(FILE_LIMIT) => Err(Error::Key("the key file is too long")),
        Ok(_) => Ok(text),
        Err(error) => Err(Error::Key(match error.kind() {
            ErrorKind::NotFound => {
                "the key file does not exist; `openssl rand -hex 32` prints a good secret"
            }
            ErrorKind::PermissionDenied => "the key file may not be read by this user",
            ErrorKind::InvalidData => "the key file is not text",
            _ => "the key file cannot be read",
        })),
    }
}

/// A warning and no refusal, as container platforms mount secrets readable by all, inside
/// a container that has no other users.
#[cfg(unix)]
fn warn_if_open_to_all(file: &File, path: &Path) {
    use std::os::unix::fs::PermissionsExt;
    let Ok(mode) = file.metadata().map(|about| about.permissions().mode()) else {
        return;
    };
    if mode & 0o006 != 0 {
        tracing::warn!(
            path = %path.display(),
            mode = %format_args!("{:03o}", mode & 0o777),
            "every user of this machine can read or change this key file; chmod 600"
        );
    }
}

#[cfg(not(unix))]
fn warn_if_open_to_all(_: &File, _: &Path) {}

#[cfg(test)]
mod tests {
    use super::*;

    fn refusal(result: Result<Zeroizing<String>>) -> String {
        match result {
            Err(error @ Error::Key(_)) => error.to_string(),
            other => panic!("expected a refusal, got {other:?}"),
        }
    }

    #[test]
    fn a_file_is_read_whole_and_a_missing_one_is_told() {
        let folder = tempfile::tempdir().expect("a temporary folder can be made");
        let path = folder.path().join("keys");
        std::fs::write(&path, "a text\n").expect("a file to read");
        assert_eq!(from_file(&path).expect("a good file").as_str(), "a text\n");
        let told = refusal(from_file(&folder.path().join("none")));
        assert!(told.contains("does not exist"), "{told}");
    }

    #[test]
    fn a_file_that_is_not_text_is_told() {
        let folder = tempfile::tempdir().expect("a temporary folder can be made");
        let path = folder.path().join("keys");
        std::fs::write(&path, [0xff; 32]).expect("a file to read");
        let told = refusal(from_file(&path));
        assert!(told.contains("not text"), "{told}");
    }

    #[cfg(unix)]
    #[test]
    fn a_file_without_an_end_is_refused() {
        let told = refusal(from_file(Path::new("/dev/zero")));
        assert!(told.contains("too long"), "{told}");
    }

    #[test]
    fn a_variable_that_is_not_set_is_told() {
        let told = refusal(from_env("TENURE_NO_SUCH_VARIABLE"));
        assert!(told.contains("not set"), "{told}");
        assert!(
            !told.contains("TENURE_NO"),
            "the secret may stand there by mistake"
        );
    }
}
