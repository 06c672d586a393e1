//! A database for each test on a real PostgreSQL, gone when the test is, whatever becomes of it.

use std::{env, str::FromStr as _, thread};

use sqlx::{
    ConnectOptions as _, Connection as _, PgPool,
    postgres::{PgConnectOptions, PgRow},
};
use tidegate_pg::Database;
use tidegate_quota::{migrations, store::Store};
use uuid::Uuid;

const URL_VARIABLE: &str = "TIDEGATE_TEST_DATABASE_URL";
/// As many as a replica has.
const MAX_CONNECTIONS: u32 = 16;

pub struct TestDatabase {
    /// As the service sees it.
    pub store: Store,
    /// For looking behind the service's back.
    pub pool: PgPool,
    /// For a service that connects by itself.
    pub url: String,
    server: PgConnectOptions,
    name: String,
}

impl TestDatabase {
    pub async fn create() -> Self {
        let server = env::var(URL_VARIABLE).unwrap_or_else(|_| {
            panic!("{URL_VARIABLE} is not set; tests/run starts a PostgreSQL and sets it")
        });
        let server = PgConnectOptions::from_str(&server).unwrap();
        let name = format!("quota_test_{}", Uuid::new_v4().simple());
        on_server(&server, &format!("CREATE DATABASE {name}")).await;
        let url = server.clone().database(&name).to_url_lossy().to_string();
        let database = Database::parse(&url, "tidegate-quota-test").unwrap();
        database.migrate(&migrations()).await.unwrap();
        let pool = database.pool(MAX_CONNECTIONS);
        Self {
            store: Store::new(pool.clone()),
            pool,
            url,
            server,
            name,
        }
    }

    /// The one value that a query yields.
    pub async fn one<T>(&self, query: &str) -> T
    where
        T: for<'a> sqlx::Decode<'a, sqlx::Postgres> + sqlx::Type<sqlx::Postgres> + Send + Unpin,
        (T,): for<'a> sqlx::FromRow<'a, PgRow>,
    {
        let value = sqlx::query_scalar(query).fetch_one(&self.pool).await;
        value.unwrap()
    }

    /// Runs a statement; how many rows it changed.
    pub async fn execute(&self, statement: &str) -> u64 {
        let done = sqlx::query(statement).execute(&self.pool).await;
        done.unwrap().rows_affected()
    }

    /// The constraint that refuses a statement.
    pub async fn constraint(&self, statement: &str) -> String {
        let refused = sqlx::query(statement).execute(&self.pool).await;
        let refused = refused.unwrap_err();
        tidegate_pg::constraint(&refused).unwrap().to_owned()
    }

    /// Ends every other connection to it.
    pub async fn lose_connections(&self) {
        self.execute("SELECT pg_terminate_backend(pid, 10000) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()").await;
    }

    /// Until somebody waits for a lock.
    pub async fn is_blocked(&self) {
        let blocked = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'";
        while self.one::<i64>(blocked).await == 0 {
            tokio::time::sleep(std::time::Duration::from_millis(5)).await;
        }
    }
}

impl Drop for TestDatabase {
    fn drop(&mut self) {
        let (server, name) = (self.server.clone(), self.name.clone());
        // A runtime of its own: the test's is the one that is dropping this.
        let dropped = thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build();
            runtime.unwrap().block_on(on_server(
                &server,
                &format!("DROP DATABASE {name} WITH (FORCE)"),
            ));
        });
        if dropped.join().is_err() {
            eprintln!("the database {} is left behind", self.name);
        }
    }
}

async fn on_server(server: &PgConnectOptions, statement: &str) {
    let mut connection = server.connect().await.unwrap();
    sqlx::raw_sql(statement)
        .execute(&mut connection)
        .await
        .unwrap();
    connection.close().await.unwrap();
}
