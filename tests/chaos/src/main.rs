//! `tidegate-chaos`: the command line.

mod arguments;

use std::{fs, process::ExitCode};

use anyhow::{Context, Result};
use clap::Parser;
use rand::Rng;
use tidegate_chaos::{
    Settings,
    console::{ended, print, stopped, tell},
    run,
};

use arguments::Arguments;

#[tokio::main]
async fn main() -> ExitCode {
    ended(start(Arguments::parse())).await
}

async fn start(arguments: Arguments) -> Result<ExitCode> {
    let seed = arguments
        .seed
        .unwrap_or_else(|| rand::rng().random_range(0..1_000_000));
    let settings = Settings {
        seed,
        faults_last: arguments.faults_last(),
        mutation: arguments.mutation,
        only: arguments.only,
        data: arguments.data.clone(),
        say: tell,
    };
    tell(&format!(
        "Seed {seed}. To repeat: {}",
        arguments.again(seed)
    ));
    let report = tokio::select! {
        report = run(&settings) => report?,
        // Dropping the run ends the services and PostgreSQL.
        code = stopped() => return code,
    };
    // Whoever reads may have gone; the file is written all the same.
    print(&report.table());
    if let Some(file) = &arguments.json {
        fs::write(file, serde_json::to_string_pretty(&report)? + "\n")
            .with_context(|| format!("{} cannot be written", file.display()))?;
    }
    Ok(if report.holds() {
        ExitCode::SUCCESS
    } else {
        tell(&format!("To repeat: {}", arguments.again(seed)));
        ExitCode::FAILURE
    })
}
