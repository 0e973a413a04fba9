//! Where the servers' programs are, and which of Debian's packages have those that are
//! missing.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

/// A server's program, and the package that it comes with.
#[derive(Clone, Copy)]
pub(crate) struct Binary {
    name: &'static str,
    package: &'static str,
}

pub(crate) const INITDB: Binary = Binary::new("initdb", "postgresql");
pub(crate) const PGBOUNCER: Binary = Binary::new("pgbouncer", "pgbouncer");
pub(crate) const PG_DUMP: Binary = Binary::new("pg_dump", "postgresql-client");
pub(crate) const POSTGRES: Binary = Binary::new("postgres", "postgresql");
pub(crate) const REDIS: Binary = Binary::new("redis-server", "redis-server");

const ALL: [Binary; 5] = [INITDB, PGBOUNCER, PG_DUMP, POSTGRES, REDIS];

impl Binary {
    const fn new(name: &'static str, package: &'static str) -> Self {
        Self { name, package }
    }

    /// # Panics
    /// If it is not installed, and says what to install.
    pub(crate) fn path(self) -> PathBuf {
        let Self { name, package } = self;
        let found = self.find();
        found.unwrap_or_else(|| panic!("{name} is not installed: it is in Debian's {package}"))
    }

    fn find(self) -> Option<PathBuf> {
        let path = std::env::var_os("PATH").unwrap_or_default();
        let mut folders: Vec<PathBuf> = std::env::split_paths(&path).collect();
        // Debian keeps several versions of PostgreSQL side by side, out of the path; and
        // pgbouncer where only root looks.
        folders.extend(postgres_folders());
        folders.push("/usr/sbin".into());
        folders
            .into_iter()
            .map(|folder| folder.join(self.name))
            .find(|file| file.is_file())
    }
}

/// The packages of all programs that are not installed.
pub(crate) fn missing_packages() -> BTreeSet<&'static str> {
    let missing = ALL.into_iter().filter(|binary| binary.find().is_none());
    missing.map(|binary| binary.package).collect()
}

/// The newest version's first.
fn postgres_folders() -> Vec<PathBuf> {
    let versions = std::fs::read_dir(Path::new("/usr/lib/postgresql"));
    let mut versions: Vec<PathBuf> = versions
        .into_iter()
        .flatten()
        .filter_map(|version| Some(version.ok()?.path()))
        .collect();
    versions.sort_by_key(|path| {
        let number = path
            .file_name()
            .and_then(|name| name.to_str()?.parse().ok());
        std::cmp::Reverse(number.unwrap_or(0u32))
    });
    versions.into_iter().map(|path| path.join("bin")).collect()
}
