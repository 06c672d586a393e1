//! A database for each test on a real PostgreSQL, gone at its end whatever becomes of the test.

use std::{env, panic::resume_unwind};

use sqlx::{Connection as _, Executor as _, PgConnection, PgPool};
use tidegate_pg::Database;
use tidegate_quota::{migrations, store::Store};
use uuid::Uuid;

const URL_VARIABLE: &str = "TIDEGATE_TEST_DATABASE_URL";
/// As many as a replica has.
const MAX_CONNECTIONS: u32 = 16;

/// The database of one test.
#[derive(Clone)]
pub struct TestDatabase {
    /// As the service sees it.
    pub store: Store,
    /// For looking behind the service's back.
    pub pool: PgPool,
    /// For a service that connects by itself.
    pub url: String,
}

/// Runs a test on a database of its own.
pub async fn with_database<F>(test: impl FnOnce(TestDatabase) -> F)
where
    F: Future<Output = ()> + Send + 'static,
{
    let server = env::var(URL_VARIABLE).unwrap_or_else(|_| {
        panic!("{URL_VARIABLE} is not set; use tests/run, which starts a PostgreSQL for the tests")
    });
    let name = format!("quota_test_{}", Uuid::new_v4().simple());
    on_server(&server, &format!("CREATE DATABASE {name}")).await;
    let url = url_of(&server, &name);
    let database = Database::parse(&url, "tidegate-quota-test").unwrap();
    database.migrate(&migrations()).await.unwrap();
    let pool = database.pool(MAX_CONNECTIONS);
    let given = TestDatabase {
        store: Store::new(pool.clone()),
        pool: pool.clone(),
        url,
    };
    let outcome = tokio::spawn(test(given)).await;
    pool.close().await;
    on_server(&server, &format!("DROP DATABASE {name} WITH (FORCE)")).await;
    if let Err(failed) = outcome {
        resume_unwind(failed.into_panic());
    }
}

async fn on_server(url: &str, statement: &str) {
    let mut connection = PgConnection::connect(url).await.unwrap();
    connection.execute(statement).await.unwrap();
    connection.close().await.unwrap();
}

/// The same server with another database: the path of the URL, between the host and the options.
fn url_of(server: &str, database: &str) -> String {
    let (address, options) = server.split_once('?').unwrap_or((server, ""));
    let host_begins = address.find("://").map_or(0, |place| place + 3);
    let host_ends = address[host_begins..]
        .find('/')
        .map_or(address.len(), |place| host_begins + place);
    format!("{}/{database}?{options}", &address[..host_ends])
}
