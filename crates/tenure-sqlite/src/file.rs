//! The file under the database: made for its owner alone, and refused, with what to do
//! about it, if it cannot be one.

use std::fs::{self, OpenOptions};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use tenure_store::{Error, ErrorKind, Result};

/// Sees to it that there is a file that SQLite can open, and gives its full path.
///
/// It is made here and not by SQLite, which would let everybody read it; SQLite gives
/// its `-wal` and `-shm` the same mode.
pub(crate) fn prepare(path: &Path) -> Result<PathBuf> {
    let name = path.as_os_str();
    if name.is_empty() || name == ":memory:" {
        return Err(misconfigured(
            "a database in memory is lost with its process: give a file, or use the memory store",
        ));
    }
    // A full path is never one of SQLite's special names, such as `file:…?mode=memory`.
    let path = std::path::absolute(path).map_err(|error| about(path, &error))?;
    create(&path)?;
    let found = fs::metadata(&path).map_err(|error| about(&path, &error))?;
    if !found.is_file() {
        return Err(misconfigured(format!(
            "{} is not a file: give the path of the database file itself",
            path.display()
        )));
    }
    if found.permissions().readonly() {
        return Err(misconfigured(format!(
            "{} is read-only: let the service write it (chmod u+w)",
            path.display()
        )));
    }
    Ok(path)
}

/// Makes the file if it is not there.
///
/// Closing a file drops every POSIX lock that the *process* has on it, SQLite's too. So
/// nobody in this process may go on to open the database while another is still at the
/// point of making it; and what exists is never opened here.
fn create(path: &Path) -> Result<()> {
    static MAKING: Mutex<()> = Mutex::new(());
    let _alone = MAKING.lock().unwrap_or_else(PoisonError::into_inner);

    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    match options.open(path) {
        Ok(_) => Ok(()),
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
        Err(error) => Err(about(path, &error)),
    }
}

fn about(path: &Path, error: &io::Error) -> Error {
    let path = path.display();
    let advice = match error.kind() {
        io::ErrorKind::NotFound => {
            format!("the folder of {path} does not exist: make it, or correct the path")
        }
        io::ErrorKind::NotADirectory => {
            format!("a part of {path} is not a folder: correct the path")
        }
        io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem => {
            format!("{path} may not be written: give the service the right to, folder included")
        }
        _ => format!("{path} cannot be used as a database file"),
    };
    misconfigured(advice).with_source(io::Error::from(error.kind()))
}

fn misconfigured(message: impl Into<String>) -> Error {
    Error::new(ErrorKind::Misconfigured, message)
}
