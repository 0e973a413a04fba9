//! rusqlite in the calling thread: the thread waits for the disk, and others of its runtime
//! wait with it.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use rusqlite::{Connection, OptionalExtension as _, params};
use uuid::Uuid;

use crate::ours::store::{changed, now, payload, user};
use crate::subject::{Result, Subject};
use crate::visit::Visit;

const IDLE_MS: i64 = 24 * 3_600_000;

const LOAD: &str = "SELECT payload FROM floor WHERE id = ?1 AND expires > ?2";

pub(crate) struct Sqlite {
    /// As many as the runtime has threads.
    readers: Vec<Mutex<Connection>>,
    writer: Mutex<Connection>,
}

impl Sqlite {
    pub(crate) fn open(path: &str, synchronous: &str) -> Result<Self> {
        let open = || -> Result<Mutex<Connection>> {
            let connection = Connection::open(path)?;
            connection.busy_timeout(Duration::from_secs(30))?;
            connection.execute_batch(&format!(
                "PRAGMA journal_mode = WAL; PRAGMA synchronous = {synchronous}; \
                 CREATE TABLE IF NOT EXISTS floor (id BLOB PRIMARY KEY, expires INTEGER NOT NULL, \
                 payload BLOB NOT NULL)"
            ))?;
            Ok(Mutex::new(connection))
        };
        let writer = open()?;
        Ok(Self {
            readers: vec![open()?, open()?],
            writer,
        })
    }

    fn reader(&self) -> MutexGuard<'_, Connection> {
        let mut readers = self.readers.iter();
        let free = readers.find_map(|reader| reader.try_lock().ok());
        free.unwrap_or_else(|| lock(&self.readers[0]))
    }

    fn find(&self, id: Uuid) -> Result<Option<Vec<u8>>> {
        let reader = self.reader();
        let mut load = reader.prepare_cached(LOAD)?;
        let found = load.query_row(params![id.as_bytes(), now().as_millis()], |row| row.get(0));
        Ok(found.optional()?)
    }

    fn read(&self, id: Uuid) -> Result<Vec<u8>> {
        self.find(id)?.ok_or_else(|| "it is gone".into())
    }

    fn write(&self, sql: &str, values: impl rusqlite::Params) -> Result<()> {
        let writer = lock(&self.writer);
        let written = writer.prepare_cached(sql)?.execute(values)?;
        if written == 1 {
            Ok(())
        } else {
            Err("it is gone".into())
        }
    }
}

fn lock(connection: &Mutex<Connection>) -> MutexGuard<'_, Connection> {
    connection.lock().unwrap_or_else(PoisonError::into_inner)
}

/// How many seconds it takes to delete so many sessions, so many at a time.
pub(crate) fn emptied(path: &str, synchronous: &str, sessions: usize, step: u32) -> Result<f64> {
    let sqlite = Sqlite::open(path, synchronous)?;
    let mut writer = lock(&sqlite.writer);
    let transaction = writer.transaction()?;
    let value = payload(&Visit::of(1));
    for _ in 0..sessions {
        transaction
            .prepare_cached("INSERT INTO floor (id, expires, payload) VALUES (?1, 1, ?2)")?
            .execute(params![Uuid::new_v4().as_bytes(), value])?;
    }
    transaction.commit()?;
    let delete = "DELETE FROM floor WHERE id IN (SELECT id FROM floor LIMIT ?1)";
    let began = Instant::now();
    while writer.prepare_cached(delete)?.execute([step])? > 0 {}
    Ok(began.elapsed().as_secs_f64())
}

impl Subject for Sqlite {
    type Key = Uuid;

    async fn create(&self, visit: &Visit) -> Result<Uuid> {
        let id = Uuid::new_v4();
        self.write(
            "INSERT INTO floor (id, expires, payload) VALUES (?1, ?2, ?3)",
            params![id.as_bytes(), now().as_millis() + IDLE_MS, payload(visit)],
        )?;
        Ok(id)
    }

    async fn load(&self, id: &Uuid) -> Result<u64> {
        user(&self.read(*id)?)
    }

    async fn touch(&self, id: &Uuid) -> Result<u64> {
        let found = self.read(*id)?;
        self.write(
            "UPDATE floor SET expires = ?2 WHERE id = ?1",
            params![id.as_bytes(), now().as_millis() + IDLE_MS],
        )?;
        user(&found)
    }

    async fn change(&self, id: &Uuid, count: u32) -> Result<u64> {
        let found = self.read(*id)?;
        self.write(
            "UPDATE floor SET expires = ?2, payload = ?3 WHERE id = ?1",
            params![
                id.as_bytes(),
                now().as_millis() + IDLE_MS,
                changed(&found, count)
            ],
        )?;
        user(&found)
    }

    async fn end(&self, id: Uuid) -> Result<()> {
        self.write("DELETE FROM floor WHERE id = ?1", params![id.as_bytes()])
    }

    async fn unknown(&self, number: u64) -> Result<bool> {
        Ok(self.find(Uuid::from_u128(u128::from(number)))?.is_some())
    }

    async fn forged(&self) -> Result<bool> {
        self.unknown(0).await
    }
}
