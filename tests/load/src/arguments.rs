//! The command line.

use std::{path::PathBuf, time::Duration};

use clap::{Parser, Subcommand};

use crate::{backends, claims, fairness, goodput, history, orders};

/// Measures what one machine serves. The exit code is 0 whenever it could measure: this is no test.
#[derive(Debug, Parser)]
#[command(name = "tidegate-load", version)]
pub struct Arguments {
    #[command(subcommand)]
    pub command: Command,
    /// The folder for data, credentials and logs, which are removed at the end, and for the
    /// results.
    #[arg(
        long,
        global = true,
        value_name = "DIR",
        env = "TIDEGATE_LOAD_DATA",
        default_value = "target/load"
    )]
    pub data: PathBuf,
}

/// What is measured, and what the harness starts itself as.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Durable claims a second with everything on, the bare echo that is their ceiling, and one
    /// hot row under pgbench that is their peer.
    Claims(claims::Options),
    /// What is left of the peak when up to ten times as many come, with the waiting room and
    /// without.
    Goodput(goodput::Options),
    /// Whether the order of service is that of joining, and what a flood of claims does to orders
    /// and to a gateway's memory.
    Fairness(fairness::Options),
    /// Orders a second at the peak, what one costs, and how long it takes below the peak.
    Orders(orders::Options),
    /// What a backend gets beside another that floods the same gateway with ten times as many
    /// claims.
    Backends(backends::Options),
    /// How long a start and an audit take beside tens of millions of leases that are over, and how
    /// much memory.
    History(history::Options),
    /// Answers every claim with one fixed coupon until standard input ends; prints its address
    /// first.
    Echo {
        /// The folder of the certificates.
        #[arg(long, value_name = "DIR")]
        credentials: PathBuf,
    },
}

#[derive(Debug, Clone, Copy)]
pub struct Timing {
    pub warm_up: Duration,
    pub measured: Duration,
}

impl Timing {
    pub const fn of_seconds(warm_up: u64, measured: u64) -> Self {
        Self {
            warm_up: Duration::from_secs(warm_up),
            measured: Duration::from_secs(measured),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_are_parted_by_commas_and_their_bounds_are_kept() {
        let read = |words: &[&str]| {
            let words = ["tidegate-load", "claims"].iter().chain(words);
            Arguments::try_parse_from(words).map(|arguments| arguments.command)
        };
        let Ok(Command::Claims(options)) = read(&["--lanes", "1,8", "--shoppers", "5"]) else {
            panic!("the words are not understood");
        };
        assert_eq!((options.lanes, options.shoppers), (vec![1, 8], vec![5]));
        for bad in [["--lanes", "0"], ["--shoppers", "1,0"], ["--seconds", "0"]] {
            assert!(read(&bad).is_err(), "{bad:?}");
        }
    }
}
