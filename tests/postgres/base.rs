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

    /// Without the store's own settings, of which the driver would warn.
    pub(crate) fn driver_url(&self) -> String {
        self.place.url().replace("&deadline_ms=120000", "")
    }
}

pub(crate) async fn connect(url: &str) -> Arc<dyn SessionStore> {
    tenure_connect::connect(url).await.expect("connects")
}

pub(crate) fn portal() -> Namespace {
    Namespace::sessions("portal").expect("a good name")
}
