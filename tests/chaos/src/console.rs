//! The person at the terminal: what is told, and the wish to stop.

use std::{fmt::Display, fs, io::Write, path::Path, process::ExitCode};

use anyhow::{Context, Result};
use clap::ValueEnum;
use comfy_table::{CellAlignment, Table, presets::NOTHING};
use serde::Serialize;
use tokio::signal::{
    ctrl_c,
    unix::{SignalKind, signal},
};

/// Ended by a signal before everything was checked.
const INTERRUPTED: u8 = 130;

/// Tells of a step, on stderr. A terminal that went away must not end a run.
pub fn tell(words: &str) {
    let _ = writeln!(std::io::stderr(), "{words}");
}

/// How a program ends: with the report of its run for people and for machines, with a signal, or
/// with the reason why it could not do its work.
pub async fn ended<R: Serialize + Display>(
    run: impl Future<Output = Result<R>>,
    json: Option<&Path>,
    holds: impl Fn(&R) -> bool,
) -> ExitCode {
    let ended = async {
        let report = tokio::select! {
            report = run => report?,
            // Dropping the run ends everything that it has started.
            stopped = stopped() => return stopped.map(|()| ExitCode::from(INTERRUPTED)),
        };
        // Whoever reads may have gone; the file is written all the same.
        let _ = writeln!(std::io::stdout(), "{report}");
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
    let unheard = "signals cannot be received";
    let mut terminate = signal(SignalKind::terminate()).context(unheard)?;
    tokio::select! {
        interrupted = ctrl_c() => interrupted.context(unheard),
        _ = terminate.recv() => Ok(()),
    }
}

/// What the command line calls it.
pub fn name_of(value: impl ValueEnum) -> String {
    let value = value.to_possible_value();
    value.map_or_else(String::new, |value| value.get_name().to_owned())
}

/// A table in plain text. Cells of a row are parted by `|`, and so are their headings; the columns
/// between the first and the last end at the right.
pub fn table(heading: &str, rows: impl IntoIterator<Item = String>) -> String {
    let mut table = Table::new();
    table.load_style(NOTHING).set_header(heading.split('|'));
    for row in rows {
        table.add_row(row.split('|'));
    }
    for column in table.column_iter_mut().skip(1).rev().skip(1) {
        column.set_cell_alignment(CellAlignment::Right);
    }
    table.trim_fmt() + "\n"
}
