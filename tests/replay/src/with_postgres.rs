//! `tidegate-local with-postgres`: a command with a PostgreSQL for tests, and nothing left of either.

use std::{env, ffi::OsString, process::ExitCode};

use anyhow::Result;
use rustix::process::Signal;
use tidegate_local::postgres::TestServer;

use crate::{
    console::tell,
    session::{Session, exit_code},
    stop::StopSignals,
};

const URL_VARIABLE: &str = "TIDEGATE_TEST_DATABASE_URL";

pub async fn run(command: &[OsString]) -> Result<ExitCode> {
    let mut stop = StopSignals::listen(&[Signal::INT, Signal::TERM, Signal::HUP])?;
    TestServer::remove_leftovers(tell).await?;
    let given = env::var(URL_VARIABLE).ok().filter(|url| !url.is_empty());
    let server = match given {
        Some(_) => {
            tell(&format!("Using the PostgreSQL that {URL_VARIABLE} names."));
            None
        }
        None => tokio::select! {
            server = TestServer::start(&tell) => Some(server?),
            signal = stop.next() => return Ok(ExitCode::from(ended_by(signal))),
        },
    };
    let url = match &server {
        Some(server) => server.url(),
        None => given.unwrap_or_default(),
    };
    let code = in_session(command, &url, &mut stop).await;
    if let Some(server) = server {
        server.remove().await?;
    }
    Ok(ExitCode::from(code?))
}

async fn in_session(command: &[OsString], url: &str, stop: &mut StopSignals) -> Result<u8> {
    let mut session = Session::start(command, URL_VARIABLE, url)?;
    let code = tokio::select! {
        status = session.wait() => exit_code(status?),
        signal = stop.next() => {
            session.signal(signal);
            session.end().await?;
            ended_by(signal)
        }
    };
    let left = session.sweep().await;
    if !left.is_empty() {
        tell(&format!(
            "Left running, and stopped now:\n  {}",
            left.join("\n  ")
        ));
    }
    Ok(code)
}

/// The exit code by which a shell tells of a command that a signal ended.
fn ended_by(signal: Signal) -> u8 {
    u8::try_from(128 + signal.as_raw()).unwrap_or(1)
}
