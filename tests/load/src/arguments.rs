//! The command line.

use std::{path::PathBuf, time::Duration};

use clap::{Args, Parser, Subcommand};

use crate::{backends, fairness, goodput, history, orders};

/// Measures durable claims a second with everything on, the bare echo that is their ceiling, and
/// one hot row under pgbench that is their peer.
///
/// The exit code is 0 whenever it could measure: this is no test.
#[derive(Debug, Parser)]
#[command(
    name = "tidegate-load",
    version,
    args_conflicts_with_subcommands = true
)]
pub struct Arguments {
    #[command(subcommand)]
    pub command: Option<Command>,
    /// How long each figure is measured, after its warm-up.
    #[arg(long, default_value_t = 10, value_parser = clap::value_parser!(u64).range(1..=3_600))]
    pub seconds: u64,
    /// How long the shoppers come before anything is counted.
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u64).range(0..=600))]
    pub warm_up_seconds: u64,
    /// Lanes of the databases; each number is measured on databases of its own.
    #[arg(long, value_delimiter = ',', default_value = "1,2,4", value_parser = clap::value_parser!(u16).range(1..=64))]
    pub lanes: Vec<u16>,
    /// Processes of the gateway and, as many, of issuance.
    #[arg(long, value_delimiter = ',', default_value = "1,2", value_parser = clap::value_parser!(u16).range(1..=16))]
    pub replicas: Vec<u16>,
    /// Shoppers at a time; each sends its claim when the one before it has its answer.
    #[arg(long, value_delimiter = ',', default_value = "1,64,1000,2000", value_parser = clap::value_parser!(u32).range(1..=100_000))]
    pub shoppers: Vec<u32>,
    /// Connections that all shoppers share.
    #[arg(long, default_value_t = 2, value_parser = clap::value_parser!(u32).range(1..=1_000))]
    pub connections: u32,
    /// Clients of pgbench; the best number counts.
    #[arg(long, value_delimiter = ',', default_value = "1,4,16,64", value_parser = clap::value_parser!(u32).range(1..=70))]
    pub pgbench_clients: Vec<u32>,
    #[command(flatten)]
    pub place: Place,
    /// Writes all figures for machines to this file.
    #[arg(long, value_name = "FILE")]
    pub json: Option<PathBuf>,
}

/// Other measurements, and what the harness starts itself as.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Answers every claim with one fixed coupon until standard input ends; prints its address
    /// first.
    Echo {
        /// The folder of the certificates.
        #[arg(long, value_name = "DIR")]
        credentials: PathBuf,
    },
    /// What is left of the peak when up to ten times as many come, with the waiting room and
    /// without.
    Goodput {
        #[command(flatten)]
        options: goodput::Options,
        #[command(flatten)]
        place: Place,
    },
    /// What a backend gets beside another that floods the same gateway with ten times as many
    /// claims.
    Backends {
        #[command(flatten)]
        options: backends::Options,
        #[command(flatten)]
        place: Place,
    },
    /// How long a start and an audit take beside tens of millions of leases that are over, and how
    /// much memory.
    History {
        #[command(flatten)]
        options: history::Options,
        #[command(flatten)]
        place: Place,
    },
    /// Orders a second at the peak, what one costs, and how long it takes below the peak.
    Orders {
        #[command(flatten)]
        options: orders::Options,
        #[command(flatten)]
        place: Place,
    },
    /// Whether the order of service is that of joining, and what a flood of claims does to orders
    /// and to a gateway's memory.
    Fairness {
        #[command(flatten)]
        options: fairness::Options,
        #[command(flatten)]
        place: Place,
    },
}

/// Where a run lives and leaves its results.
#[derive(Debug, Args)]
pub struct Place {
    /// The folder for data, credentials and logs, which are removed at the end, and for the
    /// results.
    #[arg(
        long,
        value_name = "DIR",
        env = "TIDEGATE_LOAD_DATA",
        default_value = "target/load"
    )]
    pub data: PathBuf,
}

#[derive(Debug, Clone, Copy)]
pub struct Timing {
    pub warm_up: Duration,
    pub measured: Duration,
}

impl Arguments {
    pub fn timing(&self) -> Timing {
        Timing {
            warm_up: Duration::from_secs(self.warm_up_seconds),
            measured: Duration::from_secs(self.seconds),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_are_parted_by_commas_and_their_bounds_are_kept() {
        let arguments =
            Arguments::try_parse_from(["tidegate-load", "--lanes", "1,8", "--shoppers", "5"])
                .unwrap();
        assert_eq!((arguments.lanes, arguments.shoppers), (vec![1, 8], vec![5]));
        for bad in [["--lanes", "0"], ["--shoppers", "1,0"], ["--seconds", "0"]] {
            assert!(
                Arguments::try_parse_from(["tidegate-load", bad[0], bad[1]]).is_err(),
                "{bad:?}"
            );
        }
    }
}
