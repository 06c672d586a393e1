//! A PostgreSQL database of its own for each test.

use std::{env, str::FromStr as _, thread};

use anyhow::{Context as _, Result};
use sqlx::{ConnectOptions as _, Connection as _, postgres::PgConnectOptions};
use tidegate_issuance::store::MIGRATIONS;
use tidegate_pg::Database;
use uuid::Uuid;

/// Names the connections of the service under test, so that a test can find them in `pg_stat_activity`.
pub const APPLICATION: &str = "issuance-under-test";

/// A new database with the service's schema. It is removed when the value is dropped, also by a test that fails.
pub struct TestDatabase {
    server: PgConnectOptions,
    name: String,
}

impl TestDatabase {
    /// Makes one on the server that `TIDEGATE_TEST_DATABASE_URL` names, whose role must be a superuser.
    pub async fn create() -> Result<Self> {
        let url = env::var("TIDEGATE_TEST_DATABASE_URL").context(
            "TIDEGATE_TEST_DATABASE_URL is not set; these tests need a real PostgreSQL, so start them with tests/run",
        )?;
        let server = PgConnectOptions::from_str(&url)
            .context("TIDEGATE_TEST_DATABASE_URL is not the URL of a PostgreSQL database")?;
        let name = format!("tidegate_test_{}", Uuid::new_v4().simple());
        run(
            &server,
            &format!("CREATE DATABASE {name} TEMPLATE template0"),
        )
        .await?;
        let database = Self { server, name };
        database.open()?.migrate(&MIGRATIONS).await?;
        Ok(database)
    }

    /// How to connect to it.
    pub fn options(&self) -> PgConnectOptions {
        self.server.clone().database(&self.name)
    }

    /// Runs statements.
    pub async fn run(&self, statements: &str) {
        let mut connection = self.options().connect().await.unwrap();
        sqlx::raw_sql(statements)
            .execute(&mut connection)
            .await
            .unwrap();
        connection.close().await.unwrap();
    }

    /// The one value that a statement asks for.
    pub async fn ask<T>(&self, statement: &str) -> T
    where
        T: sqlx::Type<sqlx::Postgres> + for<'r> sqlx::Decode<'r, sqlx::Postgres> + Send + Unpin,
    {
        let mut connection = self.options().connect().await.unwrap();
        let answer = sqlx::query_scalar(statement)
            .fetch_one(&mut connection)
            .await;
        connection.close().await.unwrap();
        answer.unwrap()
    }

    /// The database as the service sees it.
    pub fn open(&self) -> Result<Database> {
        let url = self.options().to_url_lossy();
        Ok(Database::parse(url.as_str(), APPLICATION)?)
    }
}

impl Drop for TestDatabase {
    fn drop(&mut self) {
        let (server, statement) = (
            self.server.clone(),
            format!("DROP DATABASE {} WITH (FORCE)", self.name),
        );
        // A runtime of its own: the test's may be the one that is dropping this.
        let dropped = thread::spawn(move || {
            tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build()?
                .block_on(run(&server, &statement))
        });
        match dropped.join() {
            Ok(Ok(())) => {}
            other => eprintln!("the database {} is left behind: {other:?}", self.name),
        }
    }
}

async fn run(server: &PgConnectOptions, statement: &str) -> Result<()> {
    let mut connection = server
        .connect()
        .await
        .context("the server that TIDEGATE_TEST_DATABASE_URL names cannot be reached")?;
    sqlx::raw_sql(statement).execute(&mut connection).await?;
    Ok(connection.close().await?)
}
