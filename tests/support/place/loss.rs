//! What a store loses while processes use it.

use std::path::Path;
use std::time::Duration;

use super::{Place, Remains, postgres, redis};

/// What is lost.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Loss {
    /// All of it, as by `FLUSHALL`, or by a restart of a Redis that persists nothing.
    Everything,
    /// What says which namespaces there are: a table, or a key.
    Names,
    /// All sessions, but not what says which namespaces there are.
    Sessions,
    /// One node of a cluster, or half of the shards: where a store has several.
    Node,
}

impl Loss {
    pub(crate) const ALL: [Self; 4] = [Self::Everything, Self::Names, Self::Sessions, Self::Node];
}

impl Place {
    /// Has it happen, behind every store's back. `false` if it cannot happen here.
    pub(crate) async fn lose(&self, loss: Loss) -> bool {
        match &self.remains {
            Remains::Nothing => return false,
            Remains::Folder(folder) => {
                let Some(statements) = in_tables("", loss) else {
                    return false;
                };
                in_file(&folder.path().join("sessions.db"), &statements);
            }
            Remains::Schema(server, schema) => {
                let Some(statements) = in_tables(&format!("{schema}.tenure_"), loss) else {
                    return false;
                };
                postgres::run(server, &statements).await;
            }
            Remains::Keys(server, prefix) => {
                let half = if server.starts_with("redis-cluster") {
                    redis::Servers::First
                } else {
                    redis::Servers::All
                };
                let all = redis::Servers::All;
                match (loss, half) {
                    (Loss::Everything, _) => redis::remove_like(server, &format!("{prefix}*"), all),
                    (Loss::Names, _) => {
                        redis::remove_like(server, &format!("{prefix}:namespaces"), all);
                    }
                    (Loss::Sessions, _) => {
                        redis::remove_like(server, &format!("{prefix}:{{*}}:*"), all);
                    }
                    (Loss::Node, redis::Servers::First) => {
                        redis::remove_like(server, &format!("{prefix}*"), half);
                    }
                    (Loss::Node, redis::Servers::All) => {
                        redis::remove_like(server, &format!("{prefix}:{{*:[0-7]}}:*"), all);
                    }
                }
            }
        }
        true
    }
}

/// The statements that empty these tables; `None` where nothing lies apart.
fn in_tables(prefix: &str, loss: Loss) -> Option<String> {
    let tables: &[&str] = match loss {
        Loss::Everything => &["session", "reset", "namespace"],
        Loss::Names => &["namespace"],
        Loss::Sessions => &["session", "reset"],
        Loss::Node => return None,
    };
    let delete = |table: &&str| format!("DELETE FROM {prefix}{table};");
    Some(tables.iter().map(delete).collect())
}

/// As somebody with SQLite's own command does.
fn in_file(path: &Path, statements: &str) {
    let file = rusqlite::Connection::open(path).expect("SQLite opens it");
    file.busy_timeout(Duration::from_mins(1)).expect("it waits");
    let all = format!("PRAGMA foreign_keys = OFF; BEGIN IMMEDIATE; {statements} COMMIT");
    file.execute_batch(&all).expect("the statements are good");
}
