//! `tidegate-load`: how many durable claims a second this machine serves, beside a ceiling and a
//! peer measured in the same run; what is left of that in a flood; whether the order of service is
//! fair; and what one backend leaves to another.

mod arguments;
mod backends;
mod claims;
mod closed_loop;
mod criteria;
mod echo;
mod echo_process;
mod fairness;
mod goodput;
mod history;
mod open_loop;
mod orders;
mod outcomes;
mod processor_time;
mod quantile;
mod report;
mod shoppers;
mod suite;

use std::{io::Write, process::ExitCode};

use anyhow::{Context, Result};
use clap::Parser;
use tokio::{
    runtime::{Builder, Runtime},
    signal::{
        ctrl_c,
        unix::{SignalKind, signal},
    },
};

use arguments::{Arguments, Command};
use processor_time::THREAD_NAME;
use suite::Site;

#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

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
    // The shoppers have threads of their own, so that what they cost is not mixed with what the
    // harness and the collector of traces cost.
    let shoppers = Builder::new_multi_thread()
        .thread_name(THREAD_NAME)
        .enable_all()
        .build()?;
    let site = Site {
        folder: arguments.data,
        threads: shoppers.handle().clone(),
    };
    let code = runtime.block_on(async {
        tokio::select! {
            result = measure(&arguments.command, &site) => result.map(|()| ExitCode::SUCCESS),
            // Dropping the run ends the services and PostgreSQL.
            result = stop_signal() => result.map(|()| ExitCode::from(INTERRUPTED)),
        }
    });
    shoppers.shutdown_background();
    code
}

async fn measure(command: &Command, site: &Site) -> Result<()> {
    match command {
        Command::Claims(options) => claims::run(options, site).await,
        Command::Goodput(options) => goodput::run(options, site).await,
        Command::Fairness(options) => fairness::run(options, site).await,
        Command::Orders(options) => orders::run(options, site).await,
        Command::Backends(options) => backends::run(options, site).await,
        Command::History(options) => history::run(options, site).await,
        Command::Echo { credentials } => echo::serve(credentials).await,
    }
}

async fn stop_signal() -> Result<()> {
    let unheard = "signals cannot be received";
    let mut terminate = signal(SignalKind::terminate()).context(unheard)?;
    tokio::select! {
        interrupted = ctrl_c() => interrupted.context(unheard),
        _ = terminate.recv() => Ok(()),
    }
}

/// Tells of a step, on stderr. A terminal that went away must not end a run.
fn tell(words: &str) {
    let _ = writeln!(std::io::stderr(), "{words}");
}
