//! `tidegate-chaos`: the command line.

mod arguments;

use std::process::ExitCode;

use clap::Parser;
use rand::Rng;
use tidegate_chaos::{
    Report, Settings,
    console::{ended, tell},
    run,
};

use arguments::Arguments;

#[tokio::main]
async fn main() -> ExitCode {
    let arguments = Arguments::parse();
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
    let again = arguments.again(seed);
    tell(&format!("Seed {seed}. To repeat: {again}"));
    let holds = |report: &Report| {
        if !report.holds() {
            tell(&format!("To repeat: {again}"));
        }
        report.holds()
    };
    ended(
        run(&settings),
        arguments.json.as_deref(),
        Report::table,
        holds,
    )
    .await
}
