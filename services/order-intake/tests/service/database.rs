//! A database of its own for each test, on the server that `tests/run` starts.

use std::{str::FromStr as _, thread};

use sqlx::{ConnectOptions as _, Connection as _, Executor as _, postgres::PgConnectOptions};

const VARIABLE: &str = "TIDEGATE_TEST_DATABASE_URL";

/// A fresh database; it is dropped with this.
pub struct TestDatabase {
    server: String,
    name: String,
}

impl TestDatabase {
    pub async fn create() -> Self {
        let server = std::env::var(VARIABLE).unwrap_or_else(|_| {
            panic!("{VARIABLE} is not set: run the tests through tests/run, which starts a PostgreSQL for them")
        });
        let name = format!("tidegate_test_{}", uuid::Uuid::new_v4().simple());
        execute(&server, &format!("CREATE DATABASE {name}")).await;
        Self { server, name }
    }

    pub fn url(&self) -> String {
        let (address, options) = self.server.split_once('?').unwrap_or((&self.server, ""));
        let (host, _) = address
            .rsplit_once('/')
            .unwrap_or_else(|| panic!("{VARIABLE} must end with /postgres"));
        format!("{host}/{}?{options}", self.name)
    }

    /// Runs statements on it, as whoever looks at a database from outside does.
    pub async fn execute(&self, statements: &str) {
        execute(&self.url(), statements).await;
    }

    /// One number, such as a count.
    pub async fn number(&self, query: &str) -> i64 {
        let mut connection = options(&self.url()).connect().await.unwrap();
        let number = sqlx::query_scalar(query)
            .fetch_one(&mut connection)
            .await
            .unwrap();
        connection.close().await.unwrap();
        number
    }
}

impl Drop for TestDatabase {
    fn drop(&mut self) {
        let (server, name) = (self.server.clone(), self.name.clone());
        let dropping = thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build()
                .unwrap();
            runtime.block_on(execute(
                &server,
                &format!("DROP DATABASE IF EXISTS {name} WITH (FORCE)"),
            ));
        });
        // A panic here would hide the one that ended the test.
        let _ = dropping.join();
    }
}

fn options(url: &str) -> PgConnectOptions {
    PgConnectOptions::from_str(url).unwrap()
}

async fn execute(url: &str, statements: &str) {
    let mut connection = options(url).connect().await.unwrap();
    connection.execute(statements).await.unwrap();
    connection.close().await.unwrap();
}
