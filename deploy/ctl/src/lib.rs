//! The command line of Tidegate. It talks to the services over gRPC only, as staff or, for trying,
//! as a chatbot's backend.

mod arguments;
mod calls;
mod commands;
mod confirm;
mod context;
mod contract;
mod explain;
mod failure;
mod metrics;
mod moment;
mod output;
mod pages;
mod session;
mod spec;
mod wait;
pub mod waterfall;

use std::process::ExitCode;

use clap::Parser as _;

pub use commands::keys;
pub use context::{Context, Contexts, private_folder};

use arguments::Arguments;
use failure::Failure;

/// Does what was typed, and tells how it went.
pub fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build();
    let outcome = match runtime {
        Ok(runtime) => {
            let outcome = runtime.block_on(commands::run(arguments));
            // A name that is being resolved, or a terminal that is read, holds nothing up.
            runtime.shutdown_background();
            outcome
        }
        Err(error) => Err(Failure::Machine(error.into())),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            eprintln!("error: {failure}");
            if let Some(advice) = failure.advice() {
                eprintln!("next: {advice}");
            }
            if let Failure::Refused(status) = &failure
                && let Some(reason) = tidegate_rpc::refusal::reason_of(status)
            {
                eprintln!("more: tidegatectl explain {}", reason.name());
            }
            failure.exit_code()
        }
    }
}
