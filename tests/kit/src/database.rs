use std::{env, str::FromStr as _, thread};

use sqlx::{
    ConnectOptions as _, Connection as _, Decode, Postgres, Type, migrate::Migrator,
    postgres::PgConnectOptions,
};
use tidegate_pg::Database;
use uuid::Uuid;

use crate::until;

/// Names the connections of what is under test, so that a test can find them in `pg_stat_activity`.
pub const APPLICATION: &str = "under-test";
/// Names the server, with a superuser's role.
const VARIABLE: &str = "TIDEGATE_TEST_DATABASE_URL";

/// A new database. It is removed when the value is dropped, also by a test that fails.
pub struct TestDatabase {
    server: PgConnectOptions,
    name: String,
}

impl TestDatabase {
    /// One without anything in it.
    pub async fn create() -> Self {
        let url = env::var(VARIABLE).unwrap_or_else(|_| {
            panic!(
                "{VARIABLE} is not set; tests/run starts a PostgreSQL for these tests and sets it"
            )
        });
        let server = PgConnectOptions::from_str(&url).unwrap();
        let name = format!("tidegate_test_{}", Uuid::new_v4().simple());
        run(
            &server,
            &format!("CREATE DATABASE {name} TEMPLATE template0"),
        )
        .await;
        Self { server, name }
    }

    /// One with the schema of a service.
    pub async fn migrated(migrations: &Migrator) -> Self {
        let database = Self::create().await;
        database.open().migrate(migrations).await.unwrap();
        database
    }

    /// How to connect to it from outside.
    pub fn options(&self) -> PgConnectOptions {
        self.server.clone().database(&self.name)
    }

    /// How a service is told where it is.
    pub fn url(&self) -> String {
        self.options().to_url_lossy().to_string()
    }

    /// The database as a service sees it.
    pub fn open(&self) -> Database {
        Database::parse(&self.url(), APPLICATION).unwrap()
    }

    /// Runs statements.
    pub async fn execute(&self, statements: &str) {
        run(&self.options(), statements).await;
    }

    /// The one value that a query yields.
    pub async fn ask<T>(&self, query: &str) -> T
    where
        T: Type<Postgres> + for<'r> Decode<'r, Postgres> + Send + Unpin,
    {
        let mut connection = self.options().connect().await.unwrap();
        let answer = sqlx::query_scalar(query).fetch_one(&mut connection).await;
        connection.close().await.unwrap();
        answer.unwrap()
    }

    /// The same of a query that yields a number, such as a count.
    pub async fn number(&self, query: &str) -> i64 {
        self.ask(query).await
    }

    /// How many rows there are of a table, with what is said behind its name.
    pub async fn count(&self, of: &str) -> i64 {
        self.number(&format!("SELECT count(*) FROM {of}")).await
    }

    /// Ends every other connection to it.
    pub async fn lose_connections(&self) {
        self.execute("SELECT pg_terminate_backend(pid, 10000) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()").await;
    }

    /// Until somebody waits for a lock.
    pub async fn until_blocked(&self) {
        let blocked =
            "pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'";
        until("a lock is waited for", async || {
            self.count(blocked).await > 0
        })
        .await;
    }
}

impl Drop for TestDatabase {
    fn drop(&mut self) {
        let server = self.server.clone();
        let statement = format!("DROP DATABASE {} WITH (FORCE)", self.name);
        // A runtime of its own: the test's may be the one that is dropping this.
        let dropped = thread::spawn(move || {
            let mut runtime = tokio::runtime::Builder::new_current_thread();
            let runtime = runtime.enable_all().build().unwrap();
            runtime.block_on(run(&server, &statement));
        });
        // A panic here would hide the one that ended the test.
        if dropped.join().is_err() {
            eprintln!("the database {} is left behind", self.name);
        }
    }
}

async fn run(options: &PgConnectOptions, statements: &str) {
    let mut connection = options.connect().await.unwrap();
    let done = sqlx::raw_sql(statements).execute(&mut connection).await;
    done.unwrap();
    connection.close().await.unwrap();
}
