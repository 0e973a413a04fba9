//! The file under the database: made for its owner alone, and refused, with what to do
//! about it, if it cannot be one.

use std::fs::{self, Metadata, OpenOptions};
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
    let path = absolute(path)?;
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
    is_alone(&path, &found)?;
    Ok(path)
}

/// The full path, which is never one of SQLite's special names, such as `file:…?mode=memory`.
pub(crate) fn absolute(path: &Path) -> Result<PathBuf> {
    std::path::absolute(path).map_err(|error| about(path, &error))
}

/// Refuses a file that others reach without its log, which lies beside it under its name.
fn is_alone(path: &Path, found: &Metadata) -> Result<()> {
    #[cfg(unix)]
    if std::os::unix::fs::MetadataExt::nlink(found) > 1 {
        return Err(misconfigured(format!(
            "{} has another name too, a hard link, whose users would not find its log: remove one \
             of them, and copy the file instead",
            path.display()
        )));
    }
    #[cfg(not(unix))]
    let _ = found;
    let target = fs::canonicalize(path).map_err(|error| about(path, &error))?;
    // Only Linux has it.
    let mounts = fs::read_to_string("/proc/self/mountinfo").unwrap_or_default();
    if mounts
        .lines()
        .filter_map(mount_point)
        .any(|point| *point == *target.as_os_str())
    {
        return Err(misconfigured(format!(
            "{} is mounted by itself, and its log would stay outside: mount its folder",
            path.display()
        )));
    }
    Ok(())
}

/// Where something is mounted, from a line of `/proc/self/mountinfo`. Blanks, and what else would
/// break the line, are three octal digits there.
fn mount_point(line: &str) -> Option<String> {
    let mut parts = line.split(' ').nth(4)?.split('\\');
    let mut point = parts.next()?.to_owned();
    for part in parts {
        let (digits, rest) = part.split_at_checked(3)?;
        point.push(char::from(u8::from_str_radix(digits, 8).ok()?));
        point.push_str(rest);
    }
    Some(point)
}

/// Makes the file if it is not there; says whether it did.
///
/// Closing a file drops every POSIX lock that the *process* has on it, SQLite's too. So
/// nobody in this process may go on to open the database while another is still at the
/// point of making it; and what exists is never opened here.
pub(crate) fn create(path: &Path) -> Result<bool> {
    static MAKING: Mutex<()> = Mutex::new(());
    let _alone = MAKING.lock().unwrap_or_else(PoisonError::into_inner);

    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    match options.open(path) {
        Ok(_) => Ok(true),
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(false),
        Err(error) => Err(about(path, &error)),
    }
}

pub(crate) fn about(path: &Path, error: &io::Error) -> Error {
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mount_point_is_read_as_it_is_called() {
        let line = "42 27 254:0 /a /srv/my\\040data/s.db rw,relatime - ext4 /dev/vda rw";
        assert_eq!(mount_point(line).as_deref(), Some("/srv/my data/s.db"));
        assert_eq!(mount_point("42 27 254:0 /a"), None);
        assert_eq!(mount_point("42 27 254:0 /a /b\\04"), None);
    }
}
