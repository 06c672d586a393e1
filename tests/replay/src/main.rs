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
    let outcome = match &arguments.command {
        Some(Command::WithPostgres { command }) => with_postgres::run(command).await,
        None => run::run(arguments).await.map(exit_code),
    };
    outcome.unwrap_or_else(|error| {
        console::tell(&format!("{error:#}"));
        ExitCode::FAILURE
    })
}

fn exit_code(verdict: Verdict) -> ExitCode {
    match verdict {
        Verdict::Holds => ExitCode::SUCCESS,
        Verdict::Broken => {
            console::tell("A promise is broken: the table above says which.");
            ExitCode::FAILURE
        }
        Verdict::Interrupted => ExitCode::from(INTERRUPTED),
    }
}
