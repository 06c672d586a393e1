//! `tidegate-with-postgres FOLDER COMMAND…` runs a command beside a PostgreSQL of its own, whose superuser URL is in `TIDEGATE_TEST_DATABASE_URL`, and stops the server when the command ends. The exit code is
//! the command's.

use std::process::ExitCode;

use anyhow::{Context as _, Result};
use tidegate_local::postgres::{DATABASE_URL_VARIABLE, Postgres, PostgresOptions};
use tokio::{
    process::Command,
    signal::unix::{SignalKind, signal},
};

const URL_VARIABLE: &str = "TIDEGATE_TEST_DATABASE_URL";
const USAGE: u8 = 2;
const FAILED: u8 = 1;

#[tokio::main]
async fn main() -> ExitCode {
    let mut arguments = std::env::args().skip(1);
    let (Some(folder), Some(program)) = (arguments.next(), arguments.next()) else {
        eprintln!("usage: tidegate-with-postgres FOLDER COMMAND…");
        return ExitCode::from(USAGE);
    };
    match run(&folder, &program, arguments.collect()).await {
        Ok(code) => ExitCode::from(code),
        Err(error) => {
            eprintln!("{error:#}");
            ExitCode::from(FAILED)
        }
    }
}

async fn run(folder: &str, program: &str, arguments: Vec<String>) -> Result<u8> {
    let (mut interrupt, mut terminate) = (
        signal(SignalKind::interrupt())?,
        signal(SignalKind::terminate())?,
    );
    let options = PostgresOptions {
        reset: true,
        ..PostgresOptions::new(folder)
    };
    let mut postgres = Postgres::prepare(options, &|line| eprintln!("{line}")).await?;
    postgres.start().await?;
    eprintln!("{}", postgres.describe());
    let url = postgres
        .superuser_url()
        .map_or_else(|| std::env::var(DATABASE_URL_VARIABLE), Ok)?;
    let mut child = Command::new(program)
        .args(arguments)
        .env(URL_VARIABLE, url)
        .kill_on_drop(true)
        .spawn()
        .with_context(|| format!("{program} cannot be run"))?;
    // A terminal sends its Ctrl-C to the command as well; whoever signals this process alone means both.
    let ended = tokio::select! {
        ended = child.wait() => Some(ended?),
        _ = interrupt.recv() => None,
        _ = terminate.recv() => None,
    };
    if ended.is_none() {
        child.kill().await?;
    }
    postgres.stop().await?;
    let code = ended.and_then(|status| status.code()).unwrap_or(1);
    Ok(u8::try_from(code).unwrap_or(FAILED))
}
