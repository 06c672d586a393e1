//! `tidegate-chaos`: the command line.

use std::{path::PathBuf, process::ExitCode, time::Duration};

use clap::Parser;
use rand::Rng;
use tidegate_chaos::{
    Kind, Mutation, Report, Settings,
    console::{ended, tell},
    run,
};

/// Breaks a running suite from a seed while shoppers claim and order, and counts every broken
/// promise.
///
/// The exit code is 0 only if every count is zero and the faults hit work under way; with
/// --mutation, only if the mutation was caught.
#[derive(Debug, Parser)]
#[command(name = "tidegate-chaos", version)]
struct Arguments {
    /// How many minutes faults go on, in rounds of five at most; a full round takes more than one
    /// in any case.
    #[arg(long, default_value_t = 1.0, value_parser = minutes)]
    minutes: f64,
    /// Gives the same plan of faults again; drawn by chance unless set.
    #[arg(long)]
    seed: Option<u64>,
    /// Breaks this promise on purpose and expects that it is found.
    #[arg(long, value_name = "NAME")]
    mutation: Option<Mutation>,
    /// Does only faults of this kind; such a run proves little, and finds out much.
    #[arg(long, value_name = "KIND", conflicts_with = "mutation")]
    only: Option<Kind>,
    /// Writes the result for machines to this file.
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
    /// The folder for data, credentials and logs; a round's own is removed when nothing was found
    /// in it.
    #[arg(
        long,
        value_name = "DIR",
        env = "TIDEGATE_CHAOS_DATA",
        default_value = "target/chaos"
    )]
    data: PathBuf,
}

impl Arguments {
    /// The command that repeats this run.
    fn again(&self, seed: u64) -> String {
        let mutation = self.mutation.map(|it| format!(" --mutation {}", it.name()));
        let only = self.only.map(|it| format!(" --only {}", it.name()));
        let (what, minutes) = (mutation.or(only).unwrap_or_default(), self.minutes);
        format!("tests/chaos/run --minutes {minutes} --seed {seed}{what}")
    }
}

fn minutes(text: &str) -> Result<f64, String> {
    match text.parse() {
        Ok(minutes) if (0.05..=10_080.0).contains(&minutes) => Ok(minutes),
        _ => Err("give minutes from 0.05 to 10080, which is a week".to_owned()),
    }
}

#[tokio::main]
async fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let seed = arguments
        .seed
        .unwrap_or_else(|| rand::rng().random_range(0..1_000_000));
    let settings = Settings {
        seed,
        faults_last: Duration::from_secs_f64(arguments.minutes * 60.0),
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
    ended(run(&settings), arguments.json.as_deref(), holds).await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_run_names_the_command_that_repeats_it() {
        let read = |words: &str| Arguments::try_parse_from(words.split(' '));
        let arguments = read("chaos --mutation drop-unique-key --minutes 0.5").unwrap();
        let again = "tests/chaos/run --minutes 0.5 --seed 7 --mutation drop-unique-key";
        assert_eq!(arguments.again(7), again);
        assert!(read("chaos --mutation none").is_err());
        assert!(read("chaos --minutes 0").is_err());
    }
}
