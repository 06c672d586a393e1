//! `tidegate-load`: how many durable claims a second this machine serves, beside a ceiling and a
//! peer measured in the same run; what is left of that in a flood; whether the order of service is
//! fair; and what one backend leaves to another.

mod arguments;
mod backends;
mod closed_loop;
mod commits;
mod connection;
mod criteria;
mod echo;
mod echo_process;
mod fairness;
mod goodput;
mod history;
mod machine;
mod orders;
mod peer;
mod processor_time;
mod quantile;
mod report;
mod results;
mod run;
mod shoppers;
mod stage;
mod suite;
mod table;

use std::{io::Write, process::ExitCode};

use anyhow::{Context, Result};
use clap::Parser;
use tokio::{
    runtime::{Builder, Handle, Runtime},
    signal::unix::{SignalKind, signal},
};

use arguments::{Arguments, Command};
use processor_time::THREAD_NAME;

/// Ended by a signal before everything was measured.
const INTERRUPTED: u8 = 130;

fn main() -> ExitCode {
    match start(Arguments::parse()) {
        Ok(code) => code,
        Err(error) => {
            tell(&format!("{error:#}"));
            ExitCode::FAILURE
        }
    }
}

fn start(arguments: Arguments) -> Result<ExitCode> {
    // As many workers as the services have, which take one for each core.
    let runtime = Runtime::new()?;
    if let Some(Command::Echo { credentials }) = &arguments.command {
        runtime.block_on(echo::serve(credentials))?;
        return Ok(ExitCode::SUCCESS);
    }
    // The shoppers have threads of their own, so that what they cost is not mixed with what the
    // harness and the collector of traces cost.
    let shoppers = Builder::new_multi_thread()
        .thread_name(THREAD_NAME)
        .enable_all()
        .build()?;
    let code = runtime.block_on(async {
        tokio::select! {
            result = measure(&arguments, shoppers.handle()) => result.map(|()| ExitCode::SUCCESS),
            // Dropping the run ends the services and PostgreSQL.
            result = stop_signal() => result.map(|()| ExitCode::from(INTERRUPTED)),
        }
    });
    shoppers.shutdown_background();
    code
}

async fn measure(arguments: &Arguments, threads: &Handle) -> Result<()> {
    match &arguments.command {
        Some(Command::Goodput { options, place }) => {
            goodput::run(options, &place.data, threads).await
        }
        Some(Command::Backends { options, place }) => {
            backends::run(options, &place.data, threads).await
        }
        Some(Command::Fairness { options, place }) => {
            fairness::run(options, &place.data, threads).await
        }
        Some(Command::Orders { options, place }) => {
            orders::run(options, &place.data, threads).await
        }
        Some(Command::History { options, place }) => history::run(options, &place.data).await,
        Some(Command::Echo { .. }) | None => run::run(arguments, threads).await,
    }
}

async fn stop_signal() -> Result<()> {
    let listen = |kind| signal(kind).context("signals cannot be received");
    let (mut interrupt, mut terminate) = (
        listen(SignalKind::interrupt())?,
        listen(SignalKind::terminate())?,
    );
    tokio::select! {
        _ = interrupt.recv() => (),
        _ = terminate.recv() => (),
    }
    Ok(())
}

/// Tells of a step, on stderr. A terminal that went away must not end a run.
fn tell(words: &str) {
    let _ = writeln!(std::io::stderr(), "{words}");
}
