//! A server's folder, and whose it is: servers insist on not being run by root.

use std::fs;
use std::os::unix::fs::{MetadataExt as _, chown};
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use tempfile::TempDir;

/// Whom a server runs as: nobody else than we are, unless we are root.
#[derive(Clone, Copy)]
pub(crate) struct Owner(Option<(u32, u32)>);

/// Removed by the server's guard, which may outlive this process; until there is one, with
/// this handle.
pub(crate) struct Folder {
    path: PathBuf,
    owner: Owner,
    unguarded: Option<TempDir>,
}

impl Folder {
    pub(crate) fn new() -> Self {
        let made = tempfile::Builder::new().prefix("tenure-server-").tempdir();
        let made = made.expect("a temporary folder can be made");
        let path = made.path().to_owned();
        let we = fs::metadata(&path).expect("it was made").uid();
        let owner = Owner((we == 0).then(unprivileged));
        if let Owner(Some((user, group))) = owner {
            chown(&path, Some(user), Some(group)).expect("root may give it away");
        }
        Self {
            path,
            owner,
            unguarded: Some(made),
        }
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    pub(crate) fn owner(&self) -> Owner {
        self.owner
    }

    /// A new file in it, which the server may change.
    pub(crate) fn write(&self, name: &str, text: &str) -> String {
        let path = self.path.join(name);
        fs::write(&path, text).expect("the folder can be written to");
        if let Owner(Some((user, group))) = self.owner {
            chown(&path, Some(user), Some(group)).expect("root may give it away");
        }
        path.display().to_string()
    }

    /// From now on a guard removes it.
    pub(crate) fn is_guarded(&mut self) {
        self.unguarded.take().map(TempDir::keep);
    }
}

impl Owner {
    /// A command to be run as this user.
    pub(crate) fn command(self, program: impl AsRef<std::ffi::OsStr>) -> Command {
        let mut command = Command::new(program);
        if let Self(Some((user, group))) = self {
            // The standard library drops root's other groups along with root.
            command.uid(user).gid(group);
        }
        command
    }
}

/// The user and group of whoever runs Debian's servers, else of nobody.
fn unprivileged() -> (u32, u32) {
    let users = fs::read_to_string("/etc/passwd").expect("there are users");
    let ids = |name: &str| {
        let line = users
            .lines()
            .find(|line| line.split(':').next() == Some(name))?;
        let mut fields = line.split(':').skip(2).map(str::parse);
        Some((fields.next()?.ok()?, fields.next()?.ok()?))
    };
    ids("postgres")
        .or_else(|| ids("nobody"))
        .expect("root needs a user without rights to run servers: postgres or nobody")
}
