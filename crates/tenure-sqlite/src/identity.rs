//! Whether the files at the path are still those that are open.
//!
//! SQLite takes it for granted that nobody removes its files or puts others in their place. If
//! somebody does, it goes on with files that nobody else can find, and that are gone with the
//! process. So a write is acknowledged only when the files are looked at after its commit.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::{fs, io};

use tenure_store::{Error, ErrorKind, Result};

use crate::file::about;

/// The database and its log, as they were when they were opened.
#[derive(Debug)]
pub(crate) struct Files {
    files: [(PathBuf, Identity); 2],
    /// Others are in their place: nothing is read or written any more.
    lost: AtomicBool,
}

/// What tells two files apart that have had the same name.
#[derive(Debug, PartialEq, Eq)]
struct Identity {
    #[cfg(unix)]
    device: u64,
    #[cfg(unix)]
    inode: u64,
}

impl Files {
    /// Those of a database that a connection has open, so that nobody takes its log away.
    pub(crate) fn of(path: &Path) -> Result<Self> {
        // The log is beside the file itself, not beside a link to it.
        let target = fs::canonicalize(path).map_err(|error| about(path, &error))?;
        let mut log = target.into_os_string();
        log.push("-wal");
        let identified = |path: PathBuf| match Identity::of(&path) {
            Ok(identity) => Ok((path, identity)),
            Err(error) => Err(about(&path, &error)),
        };
        Ok(Self {
            files: [identified(path.to_owned())?, identified(log.into())?],
            lost: AtomicBool::new(false),
        })
    }

    /// Looks at them.
    pub(crate) fn verify(&self) -> Result<()> {
        let is_there = |(path, identity): &(PathBuf, Identity)| {
            Identity::of(path).is_ok_and(|found| found == *identity)
        };
        if !self.files.iter().all(is_there) {
            self.lost.store(true, Ordering::Relaxed);
        }
        self.check()
    }

    /// Refuses what a look has found lost.
    pub(crate) fn check(&self) -> Result<()> {
        if !self.lost.load(Ordering::Relaxed) {
            return Ok(());
        }
        Err(Error::new(
            ErrorKind::Misconfigured,
            "the database file or its log was removed or replaced while it was open, and nothing \
             more is read or written: start the service again. To restore a backup, stop all that \
             use the file, put the backup in its place, remove its -wal and -shm, and start",
        ))
    }
}

impl Identity {
    #[cfg(unix)]
    fn of(path: &Path) -> io::Result<Self> {
        use std::os::unix::fs::MetadataExt;

        let found = fs::metadata(path)?;
        Ok(Self {
            device: found.dev(),
            inode: found.ino(),
        })
    }

    /// Elsewhere the system does not let go of a file that is open.
    #[cfg(not(unix))]
    fn of(path: &Path) -> io::Result<Self> {
        fs::metadata(path).map(|_| Self {})
    }
}
