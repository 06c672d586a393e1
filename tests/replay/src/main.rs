//! `tidegate-local`: the suite on one machine, a replayed day, and the truth about it.

mod arguments;
mod by_hand;
mod console;
mod day;
mod run;
mod session;
mod stop;
mod with_postgres;

use std::process::ExitCode;

use clap::Parser;

use arguments::{Arguments, Command};
use run::Verdict;

#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

/// Ended by a signal before the promises were audited.
const INTERRUPTED: u8 = 130;

#[tokio::main]
async fn main() -> ExitCode {
    let arguments = Arguments::parse();
    if let Some(Command::WithPostgres { command }) = &arguments.command {
        return with_postgres::run(command).await.unwrap_or_else(|error| {
            console::tell(&format!("{error:#}"));
            ExitCode::FAILURE
        });
    }
    match run::run(arguments).await {
        Ok(Verdict::Holds) => ExitCode::SUCCESS,
        Ok(Verdict::Broken) => {
            console::tell("A promise is broken: the table above says which.");
            ExitCode::FAILURE
        }
        Ok(Verdict::Interrupted) => ExitCode::from(INTERRUPTED),
        Err(error) => {
            console::tell(&format!("{error:#}"));
            ExitCode::FAILURE
        }
    }
}
