//! A schema of a test's own, the store in it, and what is seen of it from outside.

use std::sync::Arc;

use sqlx::postgres::PgConnection;
use sqlx::{AssertSqlSafe, Connection as _, Executor as _, FromRow};
use tenure_store::{Hooks, Namespace, SessionStore};

use crate::support::place::{Place, postgres};

pub(crate) struct Base {
    pub(crate) place: Place,
}

impl Base {
    /// An empty schema.
    pub(crate) async fn new() -> Self {
        Self {
            place: Place::on("postgres").await,
        }
    }

    /// A node of its own, with the namespace opened.
    pub(crate) async fn store(&self) -> Arc<dyn SessionStore> {
        let store = connect(self.place.url()).await;
        let opened = store.open(&portal(), Hooks::Expected).await;
        opened.expect("opens");
        store
    }

    /// Statements past the store, in its schema.
    pub(crate) async fn run(&self, statements: &str) {
        let mut outsider = self.outsider().await;
        let done = outsider.execute(AssertSqlSafe(statements)).await;
        done.expect("the statements are good");
        outsider.close().await.expect("it says goodbye");
    }

    /// The one row of a query past the store.
    pub(crate) async fn row<T>(&self, query: &'static str) -> T
    where
        T: for<'r> FromRow<'r, sqlx::postgres::PgRow> + Send + Unpin,
    {
        let mut outsider = self.outsider().await;
        let row = sqlx::query_as(query).fetch_one(&mut outsider).await;
        outsider.close().await.expect("it says goodbye");
        row.expect("the query is good")
    }

    pub(crate) async fn outsider(&self) -> PgConnection {
        postgres::connect(&self.driver_url()).await
    }

    /// Its URL, with so many milliseconds for each call.
    pub(crate) fn hurried(&self, deadline: u64) -> String {
        let deadline = format!("deadline_ms={deadline}");
        self.place.url().replace("deadline_ms=120000", &deadline)
    }

    /// Ends every connection of the base's stores, as an operator or a restart would.
    pub(crate) async fn terminate_all(&self) {
        self.run(
            "SELECT pg_terminate_backend(pid, 10000) FROM pg_stat_activity \
             WHERE application_name = current_schema() AND pid <> pg_backend_pid()",
        )
        .await;
    }

    /// Until one of the base's connections waits for somebody's lock.
    pub(crate) async fn until_somebody_waits(&self) {
        const WAITING: &str = "SELECT count(*), pg_sleep(0.01)::text FROM pg_stat_activity \
             WHERE application_name = current_schema() AND wait_event_type = 'Lock'";
        while self.row::<(i64, String)>(WAITING).await.0 == 0 {}
    }

    pub(crate) async fn until_nobody_is_connected(&self) {
        self.until_connected(0).await;
    }

    /// Besides the one that asks.
    pub(crate) async fn until_only_one_is_connected(&self) {
        self.until_connected(1).await;
    }

    async fn until_connected(&self, connections: i64) {
        const CONNECTED: &str = "SELECT count(*), pg_sleep(0.01)::text FROM pg_stat_activity \
             WHERE application_name = current_schema() AND pid <> pg_backend_pid()";
        while self.row::<(i64, String)>(CONNECTED).await.0 > connections {}
    }

    /// Until none of the base's connections was used for longer than a store relies on it.
    pub(crate) async fn until_all_are_quiet(&self) {
        const USED: &str = "SELECT count(*), pg_sleep(0.01)::text FROM pg_stat_activity \
             WHERE application_name = current_schema() AND pid <> pg_backend_pid() \
             AND clock_timestamp() - state_change < '600 ms'";
        while self.row::<(i64, String)>(USED).await.0 > 0 {}
    }

    /// Without the store's own settings, of which the driver would warn.
    pub(crate) fn driver_url(&self) -> String {
        self.driver_url_of(self.place.url())
    }

    /// The same of another of its URLs.
    #[expect(clippy::unused_self, reason = "it is read as the base's")]
    pub(crate) fn driver_url_of(&self, url: &str) -> String {
        url.replace("&deadline_ms=120000", "")
    }
}

pub(crate) async fn connect(url: &str) -> Arc<dyn SessionStore> {
    tenure_connect::connect(url).await.expect("connects")
}

pub(crate) fn portal() -> Namespace {
    Namespace::sessions("portal").expect("a good name")
}
