//! The person at the terminal: what is told, and the wish to stop.

use std::{io::Write, process::ExitCode};

use anyhow::{Context, Result};
use tokio::signal::unix::{SignalKind, signal};

/// Ended by a signal before everything was checked.
const INTERRUPTED: u8 = 130;

/// Tells of a step, on stderr. A terminal that went away must not end a run.
pub fn tell(words: &str) {
    let _ = writeln!(std::io::stderr(), "{words}");
}

/// Prints a result, on stdout.
pub fn print(words: &str) {
    let _ = writeln!(std::io::stdout(), "{words}");
}

/// How a program ends; why it could not do its work is told.
pub async fn ended(work: impl Future<Output = Result<ExitCode>>) -> ExitCode {
    work.await.unwrap_or_else(|error| {
        tell(&format!("{error:#}"));
        ExitCode::FAILURE
    })
}

/// Waits for Ctrl-C or SIGTERM.
pub async fn stopped() -> Result<ExitCode> {
    let listen = |kind| signal(kind).context("signals cannot be received");
    let (mut interrupt, mut terminate) = (
        listen(SignalKind::interrupt())?,
        listen(SignalKind::terminate())?,
    );
    tokio::select! {
        _ = interrupt.recv() => (),
        _ = terminate.recv() => (),
    }
    Ok(ExitCode::from(INTERRUPTED))
}
