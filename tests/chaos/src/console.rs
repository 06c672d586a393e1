//! The person at the terminal: what is told, and the wish to stop.

use std::{fs, io::Write, path::Path, process::ExitCode};

use anyhow::{Context, Result};
use serde::Serialize;
use tokio::signal::unix::{SignalKind, signal};

/// Ended by a signal before everything was checked.
const INTERRUPTED: u8 = 130;

/// Tells of a step, on stderr. A terminal that went away must not end a run.
pub fn tell(words: &str) {
    let _ = writeln!(std::io::stderr(), "{words}");
}

/// How a program ends: with the report of its run for people and for machines, with a signal, or
/// with the reason why it could not do its work.
pub async fn ended<R: Serialize>(
    run: impl Future<Output = Result<R>>,
    json: Option<&Path>,
    table: impl Fn(&R) -> String,
    holds: impl Fn(&R) -> bool,
) -> ExitCode {
    let ended = async {
        let report = tokio::select! {
            report = run => report?,
            // Dropping the run ends everything that it has started.
            stopped = stopped() => return stopped.map(|()| ExitCode::from(INTERRUPTED)),
        };
        // Whoever reads may have gone; the file is written all the same.
        let _ = writeln!(std::io::stdout(), "{}", table(&report));
        if let Some(file) = json {
            fs::write(file, serde_json::to_string_pretty(&report)? + "\n")
                .with_context(|| format!("{} cannot be written", file.display()))?;
        }
        Ok(if holds(&report) {
            ExitCode::SUCCESS
        } else {
            ExitCode::FAILURE
        })
    };
    ended.await.unwrap_or_else(|error| {
        tell(&format!("{error:#}"));
        ExitCode::FAILURE
    })
}

/// Waits for Ctrl-C or SIGTERM.
async fn stopped() -> Result<()> {
    let listen = |kind| signal(kind).context("signals cannot be received");
    let mut interrupt = listen(SignalKind::interrupt())?;
    let mut terminate = listen(SignalKind::terminate())?;
    tokio::select! {
        _ = interrupt.recv() => Ok(()),
        _ = terminate.recv() => Ok(()),
    }
}
