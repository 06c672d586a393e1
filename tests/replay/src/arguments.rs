//! The command line.

use std::{ffi::OsString, path::PathBuf, time::Duration};

use clap::{Parser, Subcommand};
use tidegate_local::stack::StackOptions;
use tidegate_replay::collector::Collector;

use crate::console;

/// Runs Tidegate on this machine: PostgreSQL, the four services, and a replay of a real day, audited at the end.
///
/// PostgreSQL is the server that TIDEGATE_DATABASE_URL names (a superuser's URL), else one found on this machine, else one that is fetched.
/// The exit code is 0 only if every audited promise holds.
#[derive(Debug, Parser)]
#[command(
    name = "tidegate-local",
    version,
    args_conflicts_with_subcommands = true
)]
pub struct Arguments {
    #[command(subcommand)]
    pub command: Option<Command>,
    /// How many shoppers come over the whole day, about.
    #[arg(long, default_value_t = 20_000, value_parser = clap::value_parser!(u32).range(1..=10_000_000))]
    pub orders: u32,
    /// How many minutes the day is pressed into.
    #[arg(long, default_value_t = 2.0, value_parser = within(0.05, 1_440.0))]
    pub minutes: f64,
    /// The share of them that is there before the campaign opens, and has its order drawn at the opening; with 0 it is open from the start.
    #[arg(long, default_value_t = 0.1, value_parser = within(0.0, 0.9))]
    pub early_share: f64,
    /// Gives the same shoppers at the same moments again; drawn by chance unless set.
    #[arg(long)]
    pub seed: Option<u64>,
    /// Ends after the report instead of staying up until Ctrl-C.
    #[arg(long)]
    pub exit: bool,
    /// Writes the result for machines to this file.
    #[arg(long, value_name = "FILE")]
    pub json: Option<PathBuf>,
    /// The first of the ports used, one after the other; free ones unless set.
    #[arg(long, value_name = "BASE", value_parser = clap::value_parser!(u16).range(1_024..=65_000))]
    pub port: Option<u16>,
    /// The folder for data, credentials, logs and reports.
    #[arg(
        long,
        value_name = "DIR",
        env = "TIDEGATE_LOCAL_DATA",
        default_value = "target/local"
    )]
    pub data: PathBuf,
    /// Begins with an empty folder.
    #[arg(long)]
    pub reset: bool,
    /// Removes the folder on leaving, the report in it included.
    #[arg(long)]
    pub no_keep: bool,
    /// How many processes of issuance.
    #[arg(long, default_value_t = 2, value_parser = clap::value_parser!(u16).range(1..=16))]
    pub issuance_replicas: u16,
    /// How many processes of the gateway.
    #[arg(long, default_value_t = 2, value_parser = clap::value_parser!(u16).range(1..=16))]
    pub gateway_replicas: u16,
    /// The lanes of the databases; fixed once they are made. On one machine one lane serves more than several do, because its commits are larger.
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u16).range(1..=64))]
    pub lanes: u16,
    /// Starts everything and replays nothing.
    #[arg(long)]
    pub no_replay: bool,
}

#[derive(Debug, Subcommand)]
pub enum Command {
    /// Runs a command, such as `cargo nextest run`, with a PostgreSQL for tests, and removes it at the end.
    ///
    /// TIDEGATE_TEST_DATABASE_URL names the server to the command; if it is set already, that server is used. What the command leaves
    /// running is stopped. The exit code is the command's.
    WithPostgres {
        #[arg(last = true, required = true, value_name = "COMMAND")]
        command: Vec<OsString>,
    },
}

impl Arguments {
    /// The stack that is asked for. Its steps are told on stderr.
    pub fn stack(&self, collector: &Collector) -> StackOptions {
        StackOptions {
            reset: self.reset,
            base_port: self.port,
            issuance_replicas: self.issuance_replicas,
            gateway_replicas: self.gateway_replicas,
            lanes: self.lanes,
            otlp_endpoint: Some(collector.endpoint()),
            say: console::tell,
            ..StackOptions::new(&self.data)
        }
    }

    pub fn duration(&self) -> Duration {
        Duration::from_secs_f64(self.minutes * 60.0)
    }
}

fn within(least: f64, most: f64) -> impl Fn(&str) -> Result<f64, String> + Clone {
    move |text| match text.parse() {
        Ok(number) if (least..=most).contains(&number) => Ok(number),
        _ => Err(format!("give a number from {least} to {most}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_day_of_no_length_and_one_of_a_week_are_refused() {
        let day = |minutes| Arguments::try_parse_from(["tidegate-local", "--minutes", minutes]);
        for bad in ["0", "-1", "10080", "soon"] {
            assert!(day(bad).is_err(), "{bad}");
        }
        assert_eq!(day("0.5").unwrap().duration(), Duration::from_secs(30));
    }

    #[test]
    fn a_tenth_comes_early_unless_another_share_is_asked_for() {
        let early = |arguments: &[&str]| {
            let arguments = ["tidegate-local"].iter().chain(arguments);
            Arguments::try_parse_from(arguments).map(|arguments| arguments.early_share)
        };
        assert_eq!(early(&[]).unwrap(), 0.1);
        assert_eq!(early(&["--early-share", "0"]).unwrap(), 0.0);
        for bad in ["1", "-0.1", "NaN", "many"] {
            assert!(early(&["--early-share", bad]).is_err(), "{bad}");
        }
    }
}
