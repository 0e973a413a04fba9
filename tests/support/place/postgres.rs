//! What tests do in a PostgreSQL past any store.

use sqlx::postgres::{PgConnectOptions, PgConnection};
use sqlx::{AssertSqlSafe, Connection as _, Executor as _, Row as _};
use tokio::runtime::Builder;

pub(crate) async fn connect(url: &str) -> PgConnection {
    // A pooler as it is installed refuses the parameter.
    let options: PgConnectOptions = url.parse().expect("a good URL");
    let connection = PgConnection::connect_with(&options.extra_float_digits(None)).await;
    connection.expect("PostgreSQL takes connections")
}

/// Runs some statements on a connection of their own.
pub(crate) async fn run(url: &str, statements: &str) {
    let mut connection = connect(url).await;
    let done = connection.execute(AssertSqlSafe(statements)).await;
    done.expect("the statements are good");
    connection.close().await.expect("it says goodbye");
}

/// Removes a schema and all that is in it. Outside any runtime.
pub(crate) fn remove(url: &str, schema: &str) {
    // Whoever still uses it should not, and is not waited for long.
    let drop = format!("SET lock_timeout = '20s'; DROP SCHEMA {schema} CASCADE");
    on_its_own(run(url, &drop));
}

/// Outside any runtime.
pub(crate) fn version(url: &str) -> String {
    on_its_own(async {
        let row = connect(url).await.fetch_one("SHOW server_version").await;
        let version: String = row.expect("it answers").get(0);
        // Behind it some say who packed it.
        version.split(' ').next().unwrap_or_default().to_owned()
    })
}

fn on_its_own<T>(future: impl Future<Output = T>) -> T {
    let runtime = Builder::new_current_thread().enable_all().build();
    runtime.expect("a runtime can be built").block_on(future)
}
