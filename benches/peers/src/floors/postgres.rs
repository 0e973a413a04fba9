//! Connections that are kept: sqlx's, each lent to one caller at a time; and tokio-postgres',
//! on which callers send without waiting for each other.

use std::sync::atomic::{AtomicUsize, Ordering};

use std::time::Instant;

use sqlx::{Connection as _, Executor as _, PgConnection, Row as _};
use tokio::sync::Mutex;
use tokio_postgres::{Client, NoTls, Statement};
use uuid::Uuid;

use crate::ours::store::{changed, now, payload, user};
use crate::subject::{Result, Subject};
use crate::visit::Visit;

const IDLE_MS: i64 = 24 * 3_600_000;

/// A table of its own for each.
fn table(name: &str) -> String {
    format!(
        "CREATE TABLE {name} (id uuid PRIMARY KEY, expires bigint NOT NULL, payload bytea NOT NULL) \
         WITH (fillfactor = 80)"
    )
}

const LOAD: &str = "SELECT payload FROM floor WHERE id = $1 AND expires > $2";
const TOUCH: &str =
    "UPDATE floor SET expires = $3 WHERE id = $1 AND expires > $2 RETURNING payload";
const CHANGE: &str = "UPDATE floor SET expires = $3, payload = $4 WHERE id = $1 AND expires > $2";
const CREATE: &str = "INSERT INTO floor (id, expires, payload) VALUES ($1, $2, $3)";
const END: &str = "DELETE FROM floor WHERE id = $1";

/// Statements of one table.
fn of(table: &str, sql: &str) -> String {
    sql.replace("floor", table)
}

/// How many seconds it takes to delete so many sessions, so many at a time.
pub(crate) async fn emptied(url: &str, sessions: usize, step: u32) -> Result<f64> {
    let mut connection = PgConnection::connect(url).await?;
    let fill = format!(
        "DROP TABLE IF EXISTS emptied; {}; INSERT INTO emptied SELECT gen_random_uuid(), n, \
         decode(repeat('00', 512), 'hex') FROM generate_series(1, {sessions}) n",
        table("emptied")
    );
    connection.execute(sqlx::AssertSqlSafe(fill)).await?;
    let delete = format!("DELETE FROM emptied WHERE id IN (SELECT id FROM emptied LIMIT {step})");
    let began = Instant::now();
    loop {
        let deleted = sqlx::query(sqlx::AssertSqlSafe(delete.as_str()));
        if deleted.execute(&mut connection).await?.rows_affected() == 0 {
            return Ok(began.elapsed().as_secs_f64());
        }
    }
}

/// Of sqlx.
pub(crate) struct Held {
    connections: Vec<Mutex<PgConnection>>,
    next: AtomicUsize,
}

impl Held {
    pub(crate) async fn connect(url: &str, connections: usize) -> Result<Self> {
        let mut held = Vec::new();
        for n in 0..connections {
            let mut connection = PgConnection::connect(url).await?;
            if n == 0 {
                let sql = table("held").replace("CREATE TABLE", "CREATE TABLE IF NOT EXISTS");
                connection.execute(sqlx::AssertSqlSafe(sql)).await?;
            }
            held.push(Mutex::new(connection));
        }
        Ok(Self {
            connections: held,
            next: AtomicUsize::new(0),
        })
    }

    /// One that is free, or in turn.
    async fn connection(&self) -> tokio::sync::MutexGuard<'_, PgConnection> {
        for connection in &self.connections {
            if let Ok(free) = connection.try_lock() {
                return free;
            }
        }
        let next = self.next.fetch_add(1, Ordering::Relaxed) % self.connections.len();
        self.connections[next].lock().await
    }
}

macro_rules! held {
    ($sql:expr) => {{
        static SQL: std::sync::LazyLock<String> = std::sync::LazyLock::new(|| of("held", $sql));
        sqlx::query(sqlx::AssertSqlSafe(SQL.as_str()))
    }};
}

impl Subject for Held {
    type Key = Uuid;

    async fn create(&self, visit: &Visit) -> Result<Uuid> {
        let id = Uuid::new_v4();
        let create = held!(CREATE).bind(id).bind(now().as_millis() + IDLE_MS);
        create
            .bind(payload(visit))
            .execute(&mut *self.connection().await)
            .await?;
        Ok(id)
    }

    async fn load(&self, id: &Uuid) -> Result<u64> {
        let load = held!(LOAD).bind(id).bind(now().as_millis());
        let row = load.fetch_one(&mut *self.connection().await).await?;
        user(row.try_get(0)?)
    }

    async fn touch(&self, id: &Uuid) -> Result<u64> {
        let now = now().as_millis();
        let touch = held!(TOUCH).bind(id).bind(now).bind(now + IDLE_MS);
        let row = touch.fetch_one(&mut *self.connection().await).await?;
        user(row.try_get(0)?)
    }

    async fn change(&self, id: &Uuid, count: u32) -> Result<u64> {
        let now = now().as_millis();
        let load = held!(LOAD).bind(id).bind(now);
        let row = load.fetch_one(&mut *self.connection().await).await?;
        let found: &[u8] = row.try_get(0)?;
        let change = held!(CHANGE).bind(id).bind(now).bind(now + IDLE_MS);
        let change = change.bind(changed(found, count));
        change.execute(&mut *self.connection().await).await?;
        user(found)
    }

    async fn end(&self, id: Uuid) -> Result<()> {
        held!(END)
            .bind(id)
            .execute(&mut *self.connection().await)
            .await?;
        Ok(())
    }

    async fn unknown(&self, number: u64) -> Result<bool> {
        let id = Uuid::from_u128(u128::from(number));
        let load = held!(LOAD).bind(id).bind(now().as_millis());
        let row = load.fetch_optional(&mut *self.connection().await).await?;
        Ok(row.is_some())
    }

    async fn forged(&self) -> Result<bool> {
        self.unknown(0).await
    }
}

/// Of tokio-postgres.
pub(crate) struct Pipelined {
    clients: Vec<Prepared>,
    next: AtomicUsize,
}

struct Prepared {
    client: Client,
    load: Statement,
    touch: Statement,
    change: Statement,
    create: Statement,
    end: Statement,
}

impl Pipelined {
    pub(crate) async fn connect(url: &str, connections: usize) -> Result<Self> {
        let mut clients = Vec::new();
        for _ in 0..connections {
            let (client, connection) = tokio_postgres::connect(url, NoTls).await?;
            tokio::spawn(connection);
            let sql = table("pipelined").replace("CREATE TABLE", "CREATE TABLE IF NOT EXISTS");
            client.batch_execute(&sql).await?;
            let prepare = |sql| {
                let (client, sql) = (&client, of("pipelined", sql));
                async move { client.prepare(&sql).await }
            };
            clients.push(Prepared {
                load: prepare(LOAD).await?,
                touch: prepare(TOUCH).await?,
                change: prepare(CHANGE).await?,
                create: prepare(CREATE).await?,
                end: prepare(END).await?,
                client,
            });
        }
        Ok(Self {
            clients,
            next: AtomicUsize::new(0),
        })
    }

    fn one(&self) -> &Prepared {
        let next = self.next.fetch_add(1, Ordering::Relaxed) % self.clients.len();
        &self.clients[next]
    }
}

impl Subject for Pipelined {
    type Key = Uuid;

    async fn create(&self, visit: &Visit) -> Result<Uuid> {
        let (id, one) = (Uuid::new_v4(), self.one());
        let expires = now().as_millis() + IDLE_MS;
        one.client
            .execute(&one.create, &[&id, &expires, &payload(visit)])
            .await?;
        Ok(id)
    }

    async fn load(&self, id: &Uuid) -> Result<u64> {
        let one = self.one();
        let row = one
            .client
            .query_one(&one.load, &[id, &now().as_millis()])
            .await?;
        user(row.try_get(0)?)
    }

    async fn touch(&self, id: &Uuid) -> Result<u64> {
        let (one, now) = (self.one(), now().as_millis());
        let row = one
            .client
            .query_one(&one.touch, &[id, &now, &(now + IDLE_MS)])
            .await?;
        user(row.try_get(0)?)
    }

    async fn change(&self, id: &Uuid, count: u32) -> Result<u64> {
        let (one, now) = (self.one(), now().as_millis());
        let row = one.client.query_one(&one.load, &[id, &now]).await?;
        let found: &[u8] = row.try_get(0)?;
        one.client
            .execute(
                &one.change,
                &[id, &now, &(now + IDLE_MS), &changed(found, count)],
            )
            .await?;
        user(found)
    }

    async fn end(&self, id: Uuid) -> Result<()> {
        let one = self.one();
        one.client.execute(&one.end, &[&id]).await?;
        Ok(())
    }

    async fn unknown(&self, number: u64) -> Result<bool> {
        let (one, id) = (self.one(), Uuid::from_u128(u128::from(number)));
        let row = one
            .client
            .query_opt(&one.load, &[&id, &now().as_millis()])
            .await?;
        Ok(row.is_some())
    }

    async fn forged(&self) -> Result<bool> {
        self.unknown(0).await
    }
}
