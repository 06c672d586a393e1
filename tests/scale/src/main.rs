//! The command line.

use std::{path::PathBuf, process::ExitCode, time::Duration};

use clap::Parser;
use rand::Rng;
use tidegate_chaos::console::{ended, tell};
use tidegate_scale::{Report, Settings, run};

/// Scales issuance up and down, restarts every service in turn and cuts a replica off, while
/// shoppers claim and order; each replica has an address of its own and is found by name.
///
/// Needs root on Linux, and `ip`. The exit code is 0 only if nothing was lost, nothing oversold, no
/// call failed for a caller who follows the answers, and every replica had its share of the load
/// within ten seconds.
#[derive(Debug, Parser)]
#[command(name = "tidegate-scale", version)]
struct Arguments {
    /// How long each step lasts at least, in seconds.
    #[arg(long, default_value_t = 15, value_parser = clap::value_parser!(u64).range(3..=600))]
    step_seconds: u64,
    /// How many replicas of issuance there are at most: it goes from one to so many, and down to
    /// two.
    #[arg(long, default_value_t = 4, value_parser = clap::value_parser!(u8).range(3..=8))]
    most_issuance: u8,
    /// Shoppers that come each second.
    #[arg(long, default_value_t = 25, value_parser = clap::value_parser!(u64).range(5..=500))]
    arrivals_per_second: u64,
    /// What the shoppers do follows from it; drawn by chance unless set.
    #[arg(long)]
    seed: Option<u64>,
    /// Writes the result for machines to this file.
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
    /// The folder for data, credentials and logs, removed when nothing was found.
    #[arg(
        long,
        value_name = "DIR",
        env = "TIDEGATE_CHAOS_DATA",
        default_value = "target/scale"
    )]
    data: PathBuf,
}

#[tokio::main]
async fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let drawn = rand::rng().random_range(0..1_000_000);
    let settings = Settings {
        seed: arguments.seed.unwrap_or(drawn),
        step: Duration::from_secs(arguments.step_seconds),
        most_issuance: usize::from(arguments.most_issuance),
        arrivals_per_second: arguments.arrivals_per_second,
        data: arguments.data,
        say: tell,
    };
    tell(&format!("Seed {}.", settings.seed));
    let (run, json) = (run(&settings), arguments.json.as_deref());
    let holds = |report: &Report| report.broken().is_empty();
    ended(run, json, holds).await
}
