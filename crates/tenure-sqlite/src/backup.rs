//! A copy of the database while it is in use.

use std::fs::{self, File};
use std::path::{Path, PathBuf};

use tenure_store::{Error, ErrorKind, Result};
use tokio::sync::oneshot;

use crate::db::Db;
use crate::file;
use crate::options::SqliteOptions;
use crate::store::SqliteStore;
use crate::thread::spawn;

impl SqliteStore {
    /// Writes a copy of the database, as it is at one instant, to a new file: a backup. Reads and
    /// writes go on meanwhile. It takes as long as the disk takes, whatever the deadline is, and
    /// goes on if the future is dropped. The copy is as small as it can be, readable by its owner
    /// alone, and on disk when this returns.
    ///
    /// Never copy the file of a store that is open by other means from the same process, such as
    /// [`std::fs::copy`]: closing the copied file takes SQLite's locks away, and other programs
    /// may then remove the log under it.
    ///
    /// To restore it: stop all that use the database, put the copy in its place, remove what is
    /// there that ends in `-wal` and `-shm`, and start.
    ///
    /// # Errors
    /// - `Misconfigured`: there is something at the path already, it may not be written, or its
    ///   folder does not exist;
    /// - `Other`: the disk is full. What was written of the copy is removed.
    pub async fn back_up(&self, to: impl Into<PathBuf>) -> Result<()> {
        self.files.check()?;
        let (options, to) = (self.options.clone(), to.into());
        let (caller, answer) = oneshot::channel();
        spawn("tenure-backup", move || {
            // Whoever has gone meanwhile has a copy all the same.
            let _ = caller.send(back_up(&options, &to));
        })?;
        answer
            .await
            .unwrap_or_else(|_| Err(Error::unavailable("the copy did not come to its end")))
    }
}

fn back_up(options: &SqliteOptions, to: &Path) -> Result<()> {
    let to = file::absolute(to)?;
    if !file::create(&to)? {
        return Err(Error::new(
            ErrorKind::Misconfigured,
            format!("{} is there already: give a new path", to.display()),
        ));
    }
    let copied = copy(options, &to);
    if copied.is_err()
        && let Err(error) = fs::remove_file(&to)
    {
        tracing::warn!(%error, "a part of a copy of the session database is left");
    }
    copied
}

fn copy(options: &SqliteOptions, to: &Path) -> Result<()> {
    let name = to.to_str().ok_or_else(|| {
        Error::new(
            ErrorKind::Misconfigured,
            "SQLite cannot use this path: it has to be UTF-8",
        )
    })?;
    let db = Db::reading(options)?;
    db.wait_for_locks(options.deadline)?;
    db.execute("VACUUM INTO ?1", [name])?;
    drop(db);
    let synced = File::open(to).and_then(|file| file.sync_all());
    synced.map_err(|error| file::about(to, &error))?;
    // The name is on disk too.
    if let Some(folder) = to.parent()
        && let Ok(folder) = File::open(folder)
        && let Err(error) = folder.sync_all()
    {
        tracing::debug!(%error, "this system syncs no folders");
    }
    Ok(())
}
